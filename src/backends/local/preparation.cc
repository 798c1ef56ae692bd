#include "backends/local/preparation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "backends/local/gpu.h"
#include "backends/local/recycling.h"
#include "backends/local/replica_files.h"
#include "backends/local/replica_lock.h"
#include "backends/local/weak_limits.h"
#include "base/file.h"
#include "base/random.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

using What = Progress::What;

// Safe as one component of a path, and as a word of our file names.
bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 200 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '+';
         });
}

bool IsRoleName(std::string_view name) {
  return IsPlainName(name) && name.find('.') == std::string_view::npos && name.size() <= 40;
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Error Wrong(std::string message) { return Error(Code::kInvalidArgument, std::move(message)); }

Status ValidateRole(const Role& role) {
  if (!IsRoleName(role.name)) return Wrong("role " + Quote(role.name) + " is no name");
  if (role.replicas == 0) return Wrong("role " + role.name + " has no replica");
  if (role.command.empty() || role.command.front().empty()) {
    return Wrong("role " + role.name + " has no command");
  }
  std::size_t bytes = 0;
  for (const auto& word : role.command) {
    if (HasNul(word)) return Wrong("the command of role " + role.name + " has a zero byte");
    constexpr std::size_t kMostWord = 120 * 1024;  // the kernel takes 128 KiB
    if (word.size() > kMostWord) return Wrong("a word of the command is longer than 120 KiB");
    bytes += word.size() + 1;
  }
  for (const auto& [name, value] : role.env) {
    if (name.empty() || name.find('=') != std::string::npos || HasNul(name) || HasNul(value)) {
      return Wrong("environment variable " + Quote(name) + " cannot be set");
    }
    bytes += name.size() + value.size() + 2;
  }
  constexpr std::size_t kMost = 1 << 20;
  if (bytes > kMost) return Wrong("command and environment are longer than 1 MiB");
  return Ok{};
}

std::string HostName(const RunSpec& spec, const std::string& replica) {
  std::string name = spec.display_name.empty() ? replica : spec.display_name + "-" + replica;
  for (char& c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    if (!good) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : '-';
  }
  constexpr std::size_t kMost = 63;
  if (name.size() > kMost) name.erase(0, name.size() - kMost);
  return name;
}

Limits WithDefaults(Limits limits, const Limits& defaults) {
  const auto fill = [](std::int64_t& value, std::int64_t otherwise) {
    if (value == 0) value = otherwise;
  };
  fill(limits.millicores, defaults.millicores);
  fill(limits.memory_bytes, defaults.memory_bytes);
  fill(limits.processes, defaults.processes);
  fill(limits.disk_bytes, defaults.disk_bytes);
  return limits;
}

bool IsTransient(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded;
}

}  // namespace

Status ValidateSpec(const RunSpec& spec, const PreparationContext& context) {
  if (spec.kind == RunKind::kService) {
    return Wrong("this backend runs batch jobs only; services are not available yet");
  }
  if (spec.roles.empty()) return Wrong("the run has no role");
  std::set<std::string> seen;
  for (const auto& role : spec.roles) {
    CML_RETURN_IF_ERROR(ValidateRole(role));
    if (!seen.insert(role.name).second) return Wrong("role " + role.name + " is there twice");
    if (role.limits.gpus > static_cast<std::int64_t>(context.gpus.size())) {
      return Wrong(fmt::format("{} GPUs asked; {} has {}", role.limits.gpus, context.node,
                               context.gpus.size()));
    }
  }
  for (const auto& [name, contents] : spec.files) {
    if (!IsPlainName(name)) return Wrong("file name " + Quote(name) + " is not possible");
  }
  for (const auto& fetch : spec.fetches) {
    if (!IsPlainName(fetch.target))
      return Wrong("file name " + Quote(fetch.target) + " is not possible");
    if (!context.options.fetch) return Wrong("this server cannot fetch packages");
  }
  if (!spec.checkpoint_key.empty() && !IsPlainName(spec.checkpoint_key)) {
    return Wrong("checkpoint name " + Quote(spec.checkpoint_key) + " is not possible");
  }
  if (!spec.runtime.empty() && context.options.environments == nullptr) {
    return Wrong("this server has no framework environments");
  }
  return Ok{};
}

uid_t Preparation::UidOf(const OrgId& org) const {
  if (c_.sandbox == SandboxMode::kUserNamespace) return ::getuid();
  return c_.options.uid_of ? c_.options.uid_of(org) : 0;
}

fs::path Preparation::Recycle(const RunKey& key, const RunSpec& spec) const {
  if (spec.roles.size() != 1 || spec.roles.front().replicas != 1) return {};
  const std::string name = ReplicaName(spec.roles.front().name, 0);
  const fs::path pool = c_.layout.Pool() / std::to_string(UidOf(spec.org));
  const fs::path kept = KeepUsedFolder(c_.layout.Run(key), pool, name);
  if (kept.empty()) return kept;
  // The status file comes home, to be the first one of the next run.
  const fs::path status_file = c_.layout.StatusOf(key, name);
  if (::rename(status_file.c_str(), (kept / kUsedReplica / kFirstStatus).c_str()) != 0) {
    (void)::unlink(status_file.c_str());
  }
  return kept;
}

Status Preparation::OwnedFolder(const fs::path& path, uid_t uid, mode_t mode) const {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST) return ErrnoError(errno, "make folder", path);
    if (::chmod(path.c_str(), mode) != 0) return ErrnoError(errno, "change the mode of", path);
    return Ok{};
  }
  if (c_.sandbox == SandboxMode::kRoot && ::chown(path.c_str(), uid, uid) != 0) {
    return ErrnoError(errno, "give away", path);
  }
  if (mode != 0700 && ::chmod(path.c_str(), mode) != 0) {
    return ErrnoError(errno, "change the mode of", path);
  }
  return Ok{};
}

Status Preparation::Stage(const RunKey& key, const RunSpec& spec) const {
  const fs::path folder = c_.layout.Run(key);
  if (::access(folder.c_str(), F_OK) == 0) return Error(Code::kAlreadyExists, "the run is there");
  const fs::path fresh = c_.layout.Runs() / (".new-" + RandomToken(10));
  const auto make = [&]() -> Status {
    const std::string first = ReplicaName(spec.roles.front().name, 0);
    if (!TakeUsedFolder(c_.layout.Pool() / std::to_string(UidOf(spec.org)), fresh, first)) {
      CML_RETURN_IF_ERROR(MakeFolders(fresh));
    }
    for (const char* name : {"etc", "packages"}) {
      if (name == std::string_view("etc") ? spec.files.empty() : spec.fetches.empty()) continue;
      // The job's user shall read them.
      CML_RETURN_IF_ERROR(MakeFolders(fresh / name, 0755));
      if (::chmod((fresh / name).c_str(), 0755) != 0) {
        return ErrnoError(errno, "change the mode of", fresh / name);
      }
    }
    // Another job's scripts may lie there.
    std::error_code ec;
    for (fs::directory_iterator it(fresh / "etc", ec), end; !ec && it != end; it.increment(ec)) {
      const fs::path& script = it->path();
      if (!spec.files.contains(script.filename().string())) (void)::unlink(script.c_str());
    }
    for (const auto& [name, contents] : spec.files) {
      CML_RETURN_IF_ERROR(OverwriteFile(fresh / "etc" / name, contents, 0755));
    }
    CML_RETURN_IF_ERROR(OverwriteFile(fresh / "spec", FormatSpec(spec), 0600));
    if (::rename(fresh.c_str(), folder.c_str()) != 0) return ErrnoError(errno, "make", folder);
    return Ok{};
  };
  Status made = make();
  if (!made.ok()) {
    (void)RemoveTree(fresh);
    if (::access(folder.c_str(), F_OK) == 0) return Error(Code::kAlreadyExists, "the run is there");
    return Error(Code::kUnavailable, made.error().message());
  }
  return Ok{};
}

Variant Preparation::VariantOf(const RunSpec& spec) const {
  for (const auto& placement : spec.placements) {
    for (const int index : placement.gpus) {
      for (const Gpu& gpu : c_.gpus) {
        if (gpu.index == index && !gpu.uuid.empty()) return Variant::kGpu;
      }
    }
  }
  return Variant::kCpu;
}

std::vector<Gpu> Preparation::GpusOf(const RunSpec& spec, std::size_t number) const {
  std::vector<Gpu> gpus;
  if (number >= spec.placements.size()) return gpus;
  for (const int index : spec.placements[number].gpus) {
    for (const Gpu& gpu : c_.gpus) {
      if (gpu.index == index) gpus.push_back(gpu);
    }
  }
  return gpus;
}

Progress Preparation::FetchAll(const RunKey& key, const RunSpec& spec,
                               const std::function<void(const std::string&)>& say) const {
  const fs::path folder = c_.layout.Run(key) / "packages";
  std::size_t number = 0;
  for (const auto& fetch : spec.fetches) {
    ++number;
    const fs::path target = folder / fetch.target;
    if (::access(target.c_str(), F_OK) == 0) continue;
    say(fmt::format("package {} of {}: fetching {}", number, spec.fetches.size(), fetch.target));
    const fs::path partial = c_.layout.Run(key) / (".fetch-" + RandomToken(8));
    Status got = c_.options.fetch(spec.org, fetch, partial);
    if (::access(c_.layout.Run(key).c_str(), F_OK) != 0) return {What::kGone, "", ""};
    if (got.ok() &&
        (::chmod(partial.c_str(), 0644) != 0 || ::rename(partial.c_str(), target.c_str()) != 0)) {
      got = ErrnoError(errno, "keep", target);
    }
    if (got.ok()) continue;
    (void)::unlink(partial.c_str());
    const std::string message =
        fmt::format("package {}: {}", Quote(fetch.uri, 200), got.error().message());
    if (IsTransient(got.error().code())) return {What::kTryAgain, "PackageError", message};
    return {What::kFailed, "PackageError", message};
  }
  return {};
}

Result<Preparation::Shared> Preparation::Share(const RunSpec& spec,
                                               EnvironmentState environment) const {
  Shared shared;
  shared.environment = std::move(environment);
  shared.uid = UidOf(spec.org);
  if (c_.sandbox == SandboxMode::kRoot && shared.uid == 0) {
    return Error(Code::kInternal, "the organisation has no user of its own");
  }
  const auto network = c_.networks ? NetworkChoice::kOrganisation : NetworkChoice::kHost;
  CML_ASSIGN_OR_RETURN(shared.etc, EtcFor(c_.layout.Sandbox(), shared.uid, network));
  if (c_.networks) {
    CML_ASSIGN_OR_RETURN(shared.network, c_.networks->For(spec.org));
  }
  if (c_.options.buckets) {
    CML_ASSIGN_OR_RETURN(shared.buckets, c_.options.buckets(spec.org));
  }
  if (!spec.checkpoint_key.empty()) {
    shared.checkpoint = c_.layout.Checkpoints() / spec.checkpoint_key;
    CML_RETURN_IF_ERROR(OwnedFolder(shared.checkpoint, shared.uid, 0700));
  }
  return shared;
}

Status Preparation::Launch(const RunKey& key, const RunSpec& spec, const Shared& shared,
                           const Member& member) const {
  const std::string name = ReplicaName(member.role.name, member.index);
  const fs::path folder = c_.layout.Replica(key, name);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, "make folder", folder);
  }
  CML_RETURN_IF_ERROR(OwnedFolder(folder / "work", shared.uid, 0700));
  CML_RETURN_IF_ERROR(OwnedFolder(folder / "layer", shared.uid, 0700));
  CML_RETURN_IF_ERROR(OwnedFolder(folder / "status", shared.uid, 0700));
  CML_RETURN_IF_ERROR(OwnedFolder(folder / "tmp", shared.uid, 01777));

  const std::vector<Gpu> gpus = GpusOf(spec, member.number);
  SandboxSpec sandbox;
  sandbox.mode = c_.sandbox;
  sandbox.uid = shared.uid;
  sandbox.hostname = HostName(spec, name);
  sandbox.etc = shared.etc;
  sandbox.replica = folder;
  if (!spec.files.empty()) sandbox.job_etc = c_.layout.Run(key) / "etc";
  if (!spec.fetches.empty()) sandbox.packages = c_.layout.Run(key) / "packages";
  sandbox.checkpoint = shared.checkpoint;
  sandbox.buckets = shared.buckets;
  sandbox.read_only = shared.environment.mounts;
  sandbox.devices = GpuDevices(gpus);

  std::map<std::string, std::string> env = {{"HOME", "/job/work"},
                                            {"USER", "job"},
                                            {"LOGNAME", "job"},
                                            {"LANG", "C.UTF-8"},
                                            {"TMPDIR", "/tmp"},
                                            {"SHELL", "/bin/bash"},
                                            {"PATH", "/usr/local/bin:/usr/bin:/bin"}};
  const Limits limits = WithDefaults(member.role.limits, c_.options.defaults);
  if (limits.millicores > 0) {
    // Libraries would take all cores of the machine, and their threads wait for each other.
    env["OMP_NUM_THREADS"] = std::to_string((limits.millicores + 999) / 1000);
  }
  for (const auto* more : {&c_.options.env, &shared.environment.env, &member.role.env}) {
    for (const auto& [variable, value] : *more) env[variable] = value;
  }
  if (c_.cgroups.mode == CgroupMode::kNone) {
    env[kMarkVariable] = MarkOf(c_.layout.data, ToString(key) + "." + name);
  }
  if (member.index < member.role.replica_env.size()) {
    for (const auto& [variable, value] : member.role.replica_env[member.index]) env[variable] = value;
  }
  env["CUDA_VISIBLE_DEVICES"] = VisibleDevices(gpus);

  ShimPlan plan;
  plan.identity.role = member.role.name;
  plan.identity.index = member.index;
  plan.identity.node = c_.node;
  plan.status_file = c_.layout.StatusOf(key, name);
  plan.log_file = c_.layout.Log(key, name);
  plan.log_bytes = static_cast<std::int64_t>(c_.options.log_bytes);
  plan.bwrap = c_.bwrap;
  plan.sandbox = SandboxArguments(sandbox);
  plan.filter = c_.filter;
  plan.network = shared.network;
  plan.uid = shared.uid;
  plan.command = member.role.command;
  for (const auto& [variable, value] : env) plan.env.push_back(variable + "=" + value);
  plan.cgroup_parent = c_.cgroups;
  plan.cgroup_name = ToString(key) + "." + name;
  plan.limits = limits;
  plan.grace_seconds = spec.grace_seconds;
  plan.wall_seconds = spec.wall_seconds;
  plan.restarts = member.role.restarts;
  plan.start_seconds = member.role.start_seconds;
  if (spec.roles.size() > 1 || member.role.replicas > 1) plan.merged_file = c_.layout.MergedLog(key);
  if (member.number < spec.placements.size()) plan.port = spec.placements[member.number].port;
  CML_RETURN_IF_ERROR(OverwriteFile(folder / kPlanFile, FormatPlan(plan), 0600));
  return c_.options.launcher->Launch(folder);
}

Progress Preparation::Advance(const RunKey& key, const RunSpec& spec, Effort effort,
                              const std::function<void(const std::string&)>& say) const {
  EnvironmentState environment;
  if (!spec.runtime.empty()) {
    using Phase = EnvironmentState::Phase;
    environment = c_.options.environments->Ask(spec.runtime, VariantOf(spec));
    switch (environment.phase) {
      case Phase::kReady:
        break;
      case Phase::kAbsent:
      case Phase::kPreparing: {
        std::string told = std::move(environment.message);
        if (!told.empty()) {
          told =
              fmt::format("environment {} {}: {}", spec.runtime.name, spec.runtime.version, told);
        }
        return {What::kWaits, "Preparing", std::move(told)};
      }
      case Phase::kUnavailable:
      case Phase::kFailed:
        return {What::kFailed, "EnvironmentError", environment.message};
    }
  }
  if (!spec.fetches.empty()) {
    if (effort == Effort::kQuick) return {What::kSlow, "Preparing", "packages are to be fetched"};
    if (Progress fetched = FetchAll(key, spec, say); fetched.what != What::kStarted) return fetched;
  }
  const auto failed = [&](const Error& e) -> Progress {
    if (::access(c_.layout.Run(key).c_str(), F_OK) != 0) return {What::kGone, "", ""};
    if (IsTransient(e.code())) return {What::kTryAgain, "StartFailed", e.message()};
    return {What::kFailed, "StartFailed", e.message()};
  };
  auto shared = Share(spec, std::move(environment));
  if (!shared.ok()) return failed(shared.error());
  Progress progress;
  std::size_t number = 0;
  for (const auto& role : spec.roles) {
    for (std::uint32_t i = 0; i < role.replicas; ++i, ++number) {
      const std::string name = ReplicaName(role.name, i);
      if (::access(c_.layout.StatusOf(key, name).c_str(), F_OK) == 0) continue;
      if (ReplicaIsLocked(c_.layout.Replica(key, name))) continue;
      const Status launched = Launch(key, spec, shared.value(), {role, i, number});
      if (!launched.ok()) return failed(launched.error());
      progress.what = What::kLaunched;
    }
  }
  return progress;
}

}  // namespace cml::backends::local
