#include "backends/local/local_backend.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "backends/local/gpu.h"
#include "backends/local/machine.h"
#include "backends/local/network_files.h"
#include "backends/local/port_hold.h"
#include "backends/local/recycling.h"
#include "backends/local/replica_lock.h"
#include "backends/local/seccomp_filter.h"
#include "backends/local/weak_limits.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

bool Exists(const fs::path& path) { return ::access(path.c_str(), F_OK) == 0; }

// Of the server's own files, so that two servers of one user do not share a group.
std::string CgroupName(const fs::path& data) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : data.string()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  return fmt::format("cloudml-{:016x}", hash);
}

bool IsPermanent(std::string_view reason) {
  return reason == "PackageError" || reason == "EnvironmentError";
}

bool IsFinal(RunState s) { return s == RunState::kSucceeded || s == RunState::kFailed; }

// All of them decide when all have ended; before that, one that runs makes the run running.
void Summarise(RunStatus& run) {
  const ReplicaStatus* failed = nullptr;
  const ReplicaStatus* waiting = nullptr;
  bool all_ended = true, any_running = false;
  for (const auto& replica : run.replicas) {
    if (replica.state == RunState::kFailed && failed == nullptr) failed = &replica;
    if (replica.state == RunState::kPending) waiting = &replica;
    all_ended = all_ended && IsFinal(replica.state);
    any_running = any_running || replica.state == RunState::kRunning;
  }
  const ReplicaStatus* speaks = failed != nullptr ? failed : waiting;
  if (speaks == nullptr && !run.replicas.empty()) speaks = &run.replicas.front();
  run.state = all_ended ? (failed != nullptr ? RunState::kFailed : RunState::kSucceeded)
              : any_running && waiting == nullptr ? RunState::kRunning
              : any_running                       ? RunState::kRunning
                                                  : RunState::kPending;
  if (speaks == nullptr) return;
  run.reason = speaks->reason;
  run.message = speaks->message;
  run.permanent = failed != nullptr && IsPermanent(failed->reason);
}

template <class F>
void ForEachReplica(const RunSpec& spec, F&& see) {
  for (const auto& role : spec.roles) {
    for (std::uint32_t i = 0; i < role.replicas; ++i) see(role, i);
  }
}

// Until when its shim lived: the time of change that it sets on the status file, twice a second.
SysTime LastHeard(const fs::path& status_file, SysTime started) {
  const SysTime now = SystemClock().Now();
  struct stat st {};
  if (::stat(status_file.c_str(), &st) != 0) return now;
  const SysTime heard{milliseconds(st.st_mtim.tv_sec * 1'000 + st.st_mtim.tv_nsec / 1'000'000)};
  return std::max(started, std::min(heard, now));
}

// The replica is ours alone from here on: its shim has ended, by itself if it was about to.
Result<Fd> TakeOver(const fs::path& replica, const fs::path& status_file, Deadline by) {
  const auto patience = Steady::now() + milliseconds(300);
  while (true) {
    Fd lock = TakeReplicaLock(replica);
    if (lock.valid() || !Exists(replica)) return lock;
    const auto record = ReadReplica(status_file);
    const bool ended = record && IsFinal(record->status.state);
    if (!ended || Steady::now() > patience) (void)SignalShim(replica, SIGKILL);
    if (Steady::now() > by) return Error(Code::kDeadlineExceeded, "the run does not end yet");
    std::this_thread::sleep_for(milliseconds(1));
  }
}

}  // namespace

Result<std::unique_ptr<LocalBackend>> LocalBackend::Open(LocalOptions options) {
  if (options.launcher == nullptr)
    return Error(Code::kInternal, "the local backend has no launcher");
  PreparationContext context;
  context.layout.data = fs::absolute(options.data);
  const Layout& layout = context.layout;
  for (const auto& folder :
       {layout.data, layout.Runs(), layout.Status(), layout.Logs(), layout.Checkpoints(),
        layout.Sandbox(), layout.Pool(), layout.Trash()}) {
    CML_RETURN_IF_ERROR(MakeFolders(folder));
  }
  context.bwrap = FindProgram("bwrap");
  if (context.bwrap.empty()) {
    return Error(Code::kFailedPrecondition,
                 "jobs need bubblewrap, which is not installed: apt install bubblewrap");
  }
  context.filter = layout.Sandbox() / "calls.bpf";
  CML_RETURN_IF_ERROR(WriteSeccompFilter(context.filter));

  const bool root = ::geteuid() == 0;
  context.sandbox =
      options.sandbox.value_or(root ? SandboxMode::kRoot : SandboxMode::kUserNamespace);
  CgroupSources sources;
  sources.root = root;
  if (options.cgroups == CgroupChoice::kBest) {
    context.cgroups = MakeCgroupParent(sources, CgroupName(layout.data));
  }
  const Machine machine = LookAtMachine(sources);
  Node node;
  node.name = options.node_name.empty() ? machine.host_name : options.node_name;
  node.millicores =
      options.capacity.millicores > 0 ? options.capacity.millicores : machine.millicores;
  node.memory_bytes =
      options.capacity.memory_bytes > 0 ? options.capacity.memory_bytes : machine.memory_bytes;
  node.gpus = options.fake_gpus > 0 ? FakeGpus(options.fake_gpus) : FindGpus();
  node.labels = options.labels;
  node.address = "127.0.0.1";  // sandboxes have the machine's own network
  node.labels.emplace("hostname", node.name);
  if (!node.gpus.empty()) node.labels.emplace("gpu", node.gpus.front().model);
  context.node = node.name;
  context.gpus = node.gpus;
  if (options.network == NetworkChoice::kOrganisation) {
    context.networks = std::make_shared<OrgNetworks>(layout.Networks(), *options.launcher);
  }
  context.options = std::move(options);

  std::unique_ptr<LocalBackend> backend(new LocalBackend(std::move(context), std::move(node)));
  CML_RETURN_IF_ERROR(backend->StartThreads());
  return backend;
}

LocalBackend::LocalBackend(PreparationContext context, Node node)
    : context_(context),
      preparation_(std::move(context)),
      node_(std::move(node)),
      boot_id_(BootId()) {}

LocalBackend::~LocalBackend() {
  for (auto& worker : workers_) worker.request_stop();
  workers_.clear();
  watcher_.reset();
  if (context_.options.environments != nullptr) context_.options.environments->OnProgress({});
  // A shim that was launched a moment ago has yet to make its group in there.
  const auto runs = LocalBackend::List({});
  if (runs.ok() && !runs.value().empty()) return;
  RemoveCgroupParent(context_.cgroups);
}

Status LocalBackend::Ensure(const RunKey& key, const RunSpec& spec, Deadline) {
  CML_RETURN_IF_ERROR(ValidateSpec(spec, context_));
  const fs::path folder = context_.layout.Run(key);
  if (Exists(folder)) {
    Kick(key, spec.runtime);  // a no-op where every replica was launched
    return Ok{};
  }
  if (key.incarnation <= HighestRemoved(key.resource)) return Ok{};
  if (!Claim(key, spec.runtime)) return Ok{};
  if (const Status staged = preparation_.Stage(key, spec); !staged.ok()) {
    Settle(key, spec, {Progress::What::kGone, "", ""});
    if (staged.error().code() != Code::kAlreadyExists) return staged;
    Kick(key, spec.runtime);
    return Ok{};
  }
  const auto say = [this, &key](const std::string& message) { SayProgress(key, message); };
  Settle(key, spec, preparation_.Advance(key, spec, Effort::kQuick, say));
  return Ok{};
}

Result<std::optional<RunStatus>> LocalBackend::Observe(const RunKey& key, Deadline) {
  if (!Exists(context_.layout.Run(key))) return ObserveLeftover(key);
  RunStatus run;
  const auto spec = SpecOf(key);
  if (!spec) {
    if (!Exists(context_.layout.Run(key))) return ObserveLeftover(key);
    run.state = RunState::kFailed;
    run.reason = "RunLost";
    run.message = "the run's files are damaged";
    return std::optional<RunStatus>(std::move(run));
  }
  bool unstarted = false;
  ForEachReplica(*spec, [&](const Role& role, std::uint32_t index) {
    run.replicas.push_back(ObserveReplica(key, role, index));
    unstarted = unstarted || (run.replicas.back().state == RunState::kPending &&
                              run.replicas.back().reason == "Preparing");
  });
  if (unstarted) Kick(key, spec->runtime);
  Summarise(run);
  return std::optional<RunStatus>(std::move(run));
}

// A run whose folder somebody else took away: its status files still tell what it was.
std::optional<RunStatus> LocalBackend::ObserveLeftover(const RunKey& key) {
  RunStatus run;
  for (const std::string& name : LeftoversOf(key)) {
    const fs::path file = context_.layout.StatusOf(key, name);
    auto record = ReadReplica(file);
    if (!record) continue;  // being removed by ourselves
    if (!IsFinal(record->status.state)) {
      EndLeftover(key, name, *record);
      const auto dash = name.rfind('-');
      record->status.role = name.substr(0, dash);
      record->status.index = static_cast<std::uint32_t>(ParseUnsigned(name.substr(dash + 1)).value_or(0));
      record->status.state = RunState::kFailed;
      record->status.reason = "RunLost";
      record->status.message = "the run's folder was removed while it ran";
      record->status.ended = LastHeard(file, record->status.started);
      if (!Exists(file) || !WriteReplica(file, *record, Sync::kDurable).ok()) continue;
    }
    run.replicas.push_back(std::move(record->status));
  }
  if (run.replicas.empty()) return std::nullopt;
  Summarise(run);
  return run;
}

// Names of the replicas that have a status file. Looked for only where the usual ones are, as this
// is asked for every run that is yet to be made.
std::vector<std::string> LocalBackend::LeftoversOf(const RunKey& key) const {
  std::vector<std::string> names;
  bool any = false;
  for (const char* role : {"worker", "chief", "master", "ps", "evaluator"}) {
    any = any || Exists(context_.layout.StatusOf(key, ReplicaName(role, 0)));
  }
  if (!any) return names;
  std::error_code ec;
  const std::string prefix = ToString(key) + ".";
  for (const auto& entry : fs::directory_iterator(context_.layout.Status(), ec)) {
    const std::string file = entry.path().filename().string();
    if (Layout::KeyOfStatus(file) == key) names.push_back(file.substr(prefix.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Whoever took the folder away did not end what ran in it.
void LocalBackend::EndLeftover(const RunKey& key, const std::string& name, const ReplicaRecord& record) {
  if (record.boot_id != boot_id_) return;
  if (record.cgroups.empty()) {
    KillMarked(MarkOf(context_.layout.data, ToString(key) + "." + name));
    return;
  }
  const Cgroup group = Cgroup::At(record.cgroups);
  (void)group.Kill(milliseconds(5'000));
  (void)group.Remove(milliseconds(1'000));
}

Status LocalBackend::RemoveLeftovers(const RunKey& key) {
  for (const std::string& name : LeftoversOf(key)) {
    const fs::path file = context_.layout.StatusOf(key, name);
    const auto record = ReadReplica(file);
    if (record && !IsFinal(record->status.state)) EndLeftover(key, name, *record);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove", file);
  }
  return Ok{};
}

ReplicaStatus LocalBackend::ObserveReplica(const RunKey& key, const Role& role,
                                           std::uint32_t index) {
  const std::string name = ReplicaName(role.name, index);
  const fs::path folder = context_.layout.Replica(key, name);
  const fs::path status_file = context_.layout.StatusOf(key, name);
  auto record = ReadReplica(status_file);
  if (!record || !IsFinal(record->status.state)) {
    const bool kept = ReplicaIsLocked(folder);
    // The shim may have written its last word, and left, since we read.
    if (!kept || !record) record = ReadReplica(status_file);
    if (!record) {
      ReplicaStatus pending;
      pending.role = role.name;
      pending.index = index;
      pending.node = node_.name;
      pending.reason = kept ? "Starting" : "Preparing";
      pending.message = MessageOf(key);
      return pending;
    }
    if (!IsFinal(record->status.state)) {
      // Known by its place, should the file be damaged.
      record->status.role = role.name;
      record->status.index = index;
      if (!kept) return DeclareLost(key, std::move(*record));
      if (record->cgroups.empty()) {
        if (const auto sample = ReadReplica(folder / kUsageFile)) {
          record->status.usage = sample->status.usage;
        }
      } else {
        const CgroupUsage usage = Cgroup::At(record->cgroups).Usage();
        record->status.usage.cpu_millis = usage.cpu_millis;
        record->status.usage.memory_bytes = usage.memory_bytes;
        record->status.usage.memory_peak = usage.memory_peak;
      }
    }
  }
  return record->status;
}

// A sandbox dies with its shim; this makes sure, and waits for the last of it. One that was killed
// while it got ready can have left a process that waits for ever.
Status LocalBackend::EndWhatIsLeft(const RunKey& key, const std::string& replica) {
  const auto text = ReadFile(context_.layout.Replica(key, replica) / kPlanFile);
  const auto plan = text.ok() ? ParsePlan(text.value()) : std::nullopt;
  if (!plan) return Ok{};  // no shim could start anything
  if (plan->cgroup_parent.mode == CgroupMode::kNone) {
    KillMarked(MarkOf(context_.layout.data, ToString(key) + "." + replica));
    return Ok{};
  }
  const Cgroup group = Cgroup::Of(plan->cgroup_parent, plan->cgroup_name);
  CML_RETURN_IF_ERROR(group.Kill(milliseconds(5'000)));
  (void)group.Remove(milliseconds(1'000));
  return Ok{};
}

ReplicaStatus LocalBackend::DeclareLost(const RunKey& key, ReplicaRecord record) {
  const std::string name = ReplicaName(record.status.role, record.status.index);
  const fs::path status_file = context_.layout.StatusOf(key, name);
  const SysTime heard = LastHeard(status_file, record.status.started);
  const Fd lock = TakeReplicaLock(context_.layout.Replica(key, name));
  if (!lock.valid()) return record.status;  // somebody else is at it
  if (auto again = ReadReplica(status_file); again && IsFinal(again->status.state)) {
    return again->status;
  }
  const bool same_boot = record.boot_id == boot_id_;
  if (same_boot) {
    const CgroupUsage usage = Cgroup::At(record.cgroups).Usage();
    record.status.usage.cpu_millis = usage.cpu_millis;
    record.status.usage.memory_peak = usage.memory_peak;
    if (!EndWhatIsLeft(key, name).ok()) return record.status;
  }
  ReplicaStatus running = record.status;
  record.status.state = RunState::kFailed;
  record.status.reason = "RunLost";
  record.status.message = same_boot
                              ? "the process that kept the run was killed, and the run with it"
                              : "the machine restarted while it ran";
  record.status.ended = heard;
  if (auto written = WriteReplica(status_file, record, Sync::kDurable); !written.ok()) {
    LogWarning("cannot record a lost run",
               {{"run", ToString(key)}, {"error", written.error().message()}});
    return running;
  }
  return record.status;
}

Status LocalBackend::Stop(const RunKey& key, Deadline) {
  const auto spec = SpecOf(key);
  if (!spec) return Ok{};
  Status result = Ok{};
  ForEachReplica(*spec, [&](const Role& role, std::uint32_t index) {
    const std::string name = ReplicaName(role.name, index);
    const fs::path folder = context_.layout.Replica(key, name);
    const auto record = ReadReplica(context_.layout.StatusOf(key, name));
    if (record && IsFinal(record->status.state)) return;
    // A shim that starts from here on finds the file; one that lives gets the signal.
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      result = ErrnoError(errno, "stop", folder);
      return;
    }
    auto file = OpenFile(folder / kStopFile, O_WRONLY | O_CREAT);
    if (!file.ok()) result = std::move(file).error();
    if (SignalShim(folder, SIGTERM) || record) return;
    const Fd lock = TakeReplicaLock(folder);
    if (!lock.valid() || Exists(context_.layout.StatusOf(key, name))) return;
    ReplicaRecord stopped;
    stopped.status.role = role.name;
    stopped.status.index = index;
    stopped.status.node = node_.name;
    stopped.status.state = RunState::kFailed;
    stopped.status.reason = "Stopped";
    stopped.status.message = "stopped before it started";
    stopped.status.ended = SystemClock().Now();
    stopped.boot_id = boot_id_;
    auto written = WriteReplica(context_.layout.StatusOf(key, name), stopped, Sync::kDurable);
    if (!written.ok()) result = std::move(written);
  });
  return result;
}

Status LocalBackend::Remove(const RunKey& key, Deadline by) {
  const Layout& layout = context_.layout;
  const fs::path folder = layout.Run(key);
  if (!Exists(folder)) return RemoveLeftovers(key);
  if (key.incarnation > HighestRemoved(key.resource)) {
    CML_RETURN_IF_ERROR(MakeFolders(layout.LogsOf(key.resource)));
    // Not synced: who removes a run has recorded its end durably, and a machine that loses power
    // loses its jobs as well.
    CML_RETURN_IF_ERROR(WriteFileAtomically(layout.Removed(key.resource),
                                            std::to_string(key.incarnation) + "\n", 0600,
                                            Sync::kNotDurable));
  }
  std::vector<Fd> locks;  // no shim starts while the folder goes away
  std::vector<std::string> names;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const std::string name = entry.path().filename().string();
    if (name == "etc" || name == "packages" || !entry.is_directory(ec)) continue;
    names.push_back(name);
    CML_ASSIGN_OR_RETURN(Fd lock, TakeOver(entry.path(), layout.StatusOf(key, name), by));
    locks.push_back(std::move(lock));
    const auto record = ReadReplica(layout.StatusOf(key, name));
    if (record && IsFinal(record->status.state)) continue;
    CML_RETURN_IF_ERROR(EndWhatIsLeft(key, name));
  }
  if (const auto spec = SpecOf(key); spec && names.size() == 1) {
    if (const fs::path kept = preparation_.Recycle(key, *spec); !kept.empty()) {
      locks.clear();
      OfferUsedFolder(kept);
      return Ok{};
    }
  }
  const fs::path grave = layout.Trash() / (ToString(key) + "-" + RandomToken(6));
  if (::rename(folder.c_str(), grave.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, "remove", folder);
  }
  for (const auto& name : names) (void)::unlink(layout.StatusOf(key, name).c_str());
  const std::scoped_lock lock(mu_);
  trash_ = true;
  wake_.notify_all();
  return Ok{};
}

Result<std::vector<RunKey>> LocalBackend::List(Deadline) {
  std::set<RunKey> keys;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(context_.layout.Runs(), ec)) {
    if (auto key = ParseRunKey(entry.path().filename().string())) keys.insert(std::move(*key));
  }
  if (ec) return ErrnoError(ec.value(), "list", context_.layout.Runs());
  for (const auto& entry : fs::directory_iterator(context_.layout.Status(), ec)) {
    if (auto key = Layout::KeyOfStatus(entry.path().filename().string())) keys.insert(std::move(*key));
  }
  return std::vector<RunKey>(keys.begin(), keys.end());
}

Result<std::vector<Node>> LocalBackend::Nodes(Deadline) { return std::vector<Node>{node_}; }

Result<std::vector<RuntimeInfo>> LocalBackend::Runtimes(Deadline) {
  if (context_.options.environments == nullptr) return std::vector<RuntimeInfo>();
  return context_.options.environments->List();
}

Status LocalBackend::PrepareRuntime(const RuntimeRef& runtime, Deadline) {
  if (context_.options.environments == nullptr) {
    return Error(Code::kFailedPrecondition, "this server has no framework environments");
  }
  return context_.options.environments->Prepare(runtime);
}

Status LocalBackend::RemoveRuntime(const RuntimeRef& runtime, Deadline by) {
  if (context_.options.environments == nullptr) return Ok{};
  CML_ASSIGN_OR_RETURN(const std::vector<RunKey> keys, List(by));
  for (const auto& key : keys) {
    const auto spec = SpecOf(key);
    if (!spec || spec->runtime != runtime) continue;
    CML_ASSIGN_OR_RETURN(const auto status, Observe(key, by));
    if (status && !IsFinal(status->state)) {
      return Error(Code::kFailedPrecondition,
                   fmt::format("runtime {} {} is used by {}", runtime.name, runtime.version,
                               spec->display_name.empty() ? ToString(key) : spec->display_name));
    }
  }
  return context_.options.environments->Remove(runtime);
}

fs::path LocalBackend::LogOf(const RunKey& key, const std::string& role,
                             std::uint32_t index) const {
  return role.empty() ? context_.layout.MergedLog(key) : context_.layout.Log(key, ReplicaName(role, index));
}

Status LocalBackend::RemoveLogs(const ResourceId& resource) {
  if (resource.empty()) return Error(Code::kInvalidArgument, "no resource is named");
  return RemoveTree(context_.layout.LogsOf(resource));
}

Status LocalBackend::RemoveCheckpoint(const std::string& checkpoint_key) {
  if (checkpoint_key.empty() || checkpoint_key.front() == '.' ||
      checkpoint_key.find('/') != std::string::npos) {
    return Error(Code::kInvalidArgument,
                 "checkpoint name " + Quote(checkpoint_key) + " is not possible");
  }
  const fs::path folder = context_.layout.Checkpoints() / checkpoint_key;
  const fs::path grave = context_.layout.Trash() / (checkpoint_key + "-" + RandomToken(6));
  if (::rename(folder.c_str(), grave.c_str()) != 0) {
    return errno == ENOENT ? Status(Ok{}) : ErrnoError(errno, "remove", folder);
  }
  const std::scoped_lock lock(mu_);
  trash_ = true;
  wake_.notify_all();
  return Ok{};
}

bool LocalBackend::IsPortFree(const OrgId& org, int port) const {
  fs::path proc_net = "/proc/self/net";
  if (context_.networks) {
    const auto holder = ReadHolder(context_.layout.Networks() / org.str());
    if (!holder || !holder->failure.empty()) return true;  // nobody is there
    proc_net = fs::path("/proc") / std::to_string(holder->pid) / "net";
  }
  return NobodyListens(port, proc_net);
}

void LocalBackend::OnChange(std::function<void(const RunKey&)> changed) {
  const std::scoped_lock lock(mu_);
  changed_ = std::move(changed);
}

std::optional<RunSpec> LocalBackend::SpecOf(const RunKey& key) const {
  auto text = ReadFile(context_.layout.Spec(key));
  return text.ok() ? ParseSpec(text.value()) : std::nullopt;
}

std::uint64_t LocalBackend::HighestRemoved(const ResourceId& resource) const {
  auto text = ReadFile(context_.layout.Removed(resource), 64);
  // Incarnations begin at 1, so that 0 says "none".
  return text.ok() ? ParseUnsigned(Trim(text.value())).value_or(0) : 0;
}

}  // namespace cml::backends::local
