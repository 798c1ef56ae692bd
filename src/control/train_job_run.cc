#include "control/train_job_run.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace cml::control {
namespace {

// Each step that fails leaves a reason and a sentence where the backend looks for them, and the
// script ends with the step's exit status. SIGTERM reaches the program itself, as the whole process
// group gets it; the trap only keeps the shell alive for the finish_command.
constexpr std::string_view kHead = R"sh(cd /job/work
fail() { printf '%s' "$1" >/job/status/reason; printf '%s' "$2" >/job/status/message; }
finish() {
  status=$?
  trap - EXIT
  export CLOUDML_EXIT_STATUS=$status
  if [ -f /job/etc/finish.sh ]; then
    bash /job/etc/finish.sh || echo "finish_command: exit status $?"
  fi
  exit "$status"
}
trap : TERM
trap finish EXIT
)sh";

constexpr std::string_view kPrepare = R"sh(
CML_STEP=prepare
. /job/etc/prepare.sh
status=$?
if [ $status -ne 0 ]; then
  fail PrepareFailed "prepare_command ended with exit status $status"
  exit $status
fi
)sh";

// What a replica that runs again finds in its layer is not installed again.
constexpr std::string_view kInstall = R"sh(
if [ ! -e /job/status/installed ]; then
  python /job/etc/install_packages.py --layer /job/layer{packages} 2>&1 | tee /tmp/.install.log
  status=${{PIPESTATUS[0]}}
  if [ $status -ne 0 ]; then
    fail PackageError "$(tail -n 1 /tmp/.install.log)"
    exit $status
  fi
  rm -f /tmp/.install.log
  : >/job/status/installed
fi
export PYTHONPATH=/job/layer${{PYTHONPATH:+:$PYTHONPATH}}
export PATH=/job/layer/bin:$PATH
)sh";

// The guard of a distributed job's replica keeps its port until its program begins.
constexpr std::string_view kBegin = R"sh(
: >/job/status/started
while [ -e /job/status/holds_port ]; do sleep 0.01; done
)sh";

// Only after a failure is it worth the time to look whether the module is there at all.
constexpr std::string_view kModule = R"sh(
python -u -m {module}{args}
status=$?
if [ $status -eq 1 ] && ! python -c 'import importlib.util, sys
try:
    found = importlib.util.find_spec(sys.argv[1])
except ModuleNotFoundError:
    found = None
sys.exit(found is None)' {module} 2>/dev/null; then
  fail ModuleNotFound "no module named {module} in the packages; check module_name and that setup.py lists its package"
fi
exit $status
)sh";

std::string Args(const TrainJobSpec& spec, const RolePlan& role) {
  std::string out;
  for (const std::string& line : {spec.job_args, role.args}) {
    for (const std::string& word : SplitWords(line).value_or(std::vector<std::string>{})) {
      out += ' ' + ShellQuote(word);
    }
  }
  if (!spec.job_dir.empty()) {
    // Inside a job the platform's buckets are folders; other schemes are the program's business.
    std::string folder = spec.job_dir;
    if (folder.starts_with("fds://")) folder = "/fds/" + folder.substr(6);
    out += " --job-dir " + ShellQuote(folder);
  }
  return out;
}

enum class Kind { kAlone, kOneOfMany };

std::string Script(const TrainJobSpec& spec, const RolePlan& role, Kind kind) {
  std::string script(kHead);
  if (!spec.prepare_command.empty()) script += kPrepare;
  const auto uris = PackageUris(spec);
  if (!uris.empty()) {
    std::string packages;
    for (std::size_t i = 0; i < uris.size(); ++i) {
      packages += " " + ShellQuote("/job/packages/" + PackageFileName(uris[i]));
    }
    script += fmt::format(kInstall, fmt::arg("packages", packages));
  }
  if (kind == Kind::kOneOfMany) script += kBegin;
  // A shell of its own: whatever the command does to it (exec, trap, set -e), ours goes on.
  if (!spec.docker_command.empty()) return script + "\nbash /job/etc/command.sh\nexit $?\n";
  return script + fmt::format(kModule, fmt::arg("module", ShellQuote(spec.module_name)),
                              fmt::arg("args", Args(spec, role)));
}

// Who each replica is, where it is, and where it finds the others.
void AddCluster(const TrainJob& job, RunSpec& run) {
  const Cluster cluster = ClusterOf(job);
  for (const Replica& replica : job.record.replicas) {
    run.placements.push_back(replica.placement);
    for (Role& role : run.roles) {
      if (role.name != replica.status.role) continue;
      auto env = ClusterVariables(cluster, role.name, replica.status.index);
      env["CLOUDML_REPLICA"] = ReplicaNameOf(replica.status);
      role.replica_env.push_back(std::move(env));
    }
  }
}

// Nothing before or behind its command: no script around it is needed.
bool IsPlainCommand(const TrainJobSpec& spec) {
  return !spec.docker_command.empty() && spec.prepare_command.empty() &&
         spec.finish_command.empty() && PackageUris(spec).empty();
}

}  // namespace

std::string PackageFileName(std::string_view uri) {
  uri = uri.substr(0, uri.find_first_of("?#"));
  const auto slash = uri.rfind('/');
  std::string name;
  for (const char c : uri.substr(slash == std::string_view::npos ? 0 : slash + 1)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '+';
    name += plain ? c : '_';
  }
  if (name.size() > 200) name = name.substr(name.size() - 200);
  return name;
}

RunSpec PlanTrainJobRun(const TrainJob& job, std::string_view package_installer) {
  const TrainJobSpec& spec = job.wish.spec;
  RunSpec run;
  run.org = job.meta.org;
  run.kind = RunKind::kBatch;
  run.display_name = spec.job_name;
  run.runtime = {spec.framework, spec.framework_version};
  const std::vector<RolePlan> roles = RolesOf(spec);
  const Kind kind = IsDistributed(roles) ? Kind::kOneOfMany : Kind::kAlone;
  const bool plain = kind == Kind::kAlone && IsPlainCommand(spec);
  // A script of its own only for a role with arguments of its own.
  const auto script_of = [](const RolePlan& role) {
    return role.args.empty() ? std::string("run.sh") : "run-" + role.name + ".sh";
  };
  for (const RolePlan& role : roles) {
    if (!plain) run.files[script_of(role)] = Script(spec, role, kind);
  }
  if (!spec.docker_command.empty()) run.files["command.sh"] = spec.docker_command + "\n";
  if (!spec.prepare_command.empty()) run.files["prepare.sh"] = spec.prepare_command + "\n";
  if (!spec.finish_command.empty()) run.files["finish.sh"] = spec.finish_command + "\n";
  const auto uris = PackageUris(spec);
  if (!uris.empty()) run.files["install_packages.py"] = std::string(package_installer);
  for (std::size_t i = 0; i < uris.size(); ++i) {
    const bool own_store = !uris[i].starts_with("fds://") || spec.fds_endpoint.empty();
    run.fetches.push_back({uris[i], PackageFileName(uris[i]),
                           own_store ? "" : spec.fds_endpoint, job.wish.submitted_by});
  }
  run.checkpoint_key = job.meta.id.str();
  run.wall_seconds = spec.wall_time_limit;

  for (const RolePlan& plan : roles) {
    Role role;
    role.name = plan.name;
    role.replicas = plan.replicas;
    role.command = {"bash", "/job/etc/" + (plain ? std::string("command.sh") : script_of(plan))};
    role.env = spec.env;
    role.env["CLOUD_ML_JOB_ID"] = job.meta.id.str();
    role.env["CLOUDML_JOB_NAME"] = spec.job_name;
    role.env["CLOUDML_ORG_ID"] = job.meta.org.str();
    role.env["CLOUDML_CHECKPOINT_DIR"] = "/job/checkpoint";
    role.env["PYTHONUNBUFFERED"] = "1";
    if (kind == Kind::kAlone) {
      role.env["CLOUDML_REPLICA"] = "worker-0";
      role.limits = job.record.limits;
    } else {
      role.limits = plan.limits;
      role.restarts = spec.max_restarts.value_or(kRestarts);
      role.start_seconds = spec.start_timeout.value_or(kStartTimeout);
    }
    run.roles.push_back(std::move(role));
  }
  if (kind == Kind::kAlone) {
    run.placements.push_back(job.record.placement);
  } else {
    AddCluster(job, run);
  }
  return run;
}

}  // namespace cml::control
