#include "backends/local/replica_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "backends/local/record.h"
#include "backends/local/recycling.h"
#include "base/file.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

// A pair in one value: its first part has no '='.
std::string Pair(std::string_view a, std::string_view b) {
  return std::string(a) + "=" + std::string(b);
}
std::pair<std::string, std::string> Unpaired(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string_view NameOf(RunState s) {
  switch (s) {
    case RunState::kPending:
      return "pending";
    case RunState::kRunning:
      return "running";
    case RunState::kSucceeded:
      return "succeeded";
    case RunState::kFailed:
      return "failed";
  }
  return "";
}

std::optional<RunState> StateOf(std::string_view name) {
  for (const auto s :
       {RunState::kPending, RunState::kRunning, RunState::kSucceeded, RunState::kFailed}) {
    if (NameOf(s) == name) return s;
  }
  return std::nullopt;
}

void AddLimits(Record& record, const Limits& limits) {
  record.Add("millicores", limits.millicores);
  record.Add("memory", limits.memory_bytes);
  record.Add("gpus", limits.gpus);
  record.Add("processes", limits.processes);
  record.Add("disk", limits.disk_bytes);
}

// True when the line was one of a limit.
bool ReadLimit(std::string_view key, std::string_view value, Limits& limits) {
  const std::int64_t number = ParseInt(value).value_or(0);
  if (key == "millicores") {
    limits.millicores = number;
  } else if (key == "memory") {
    limits.memory_bytes = number;
  } else if (key == "gpus") {
    limits.gpus = number;
  } else if (key == "processes") {
    limits.processes = number;
  } else if (key == "disk") {
    limits.disk_bytes = number;
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string FormatSpec(const RunSpec& spec) {
  Record r;
  r.Add("org", spec.org.str());
  r.Add("kind", spec.kind == RunKind::kService ? "service" : "batch");
  r.Add("display_name", spec.display_name);
  r.Add("runtime", spec.runtime.name);
  r.Add("runtime_version", spec.runtime.version);
  for (const auto& [name, contents] : spec.files) r.Add("file", Pair(name, contents));
  for (const auto& fetch : spec.fetches) {
    r.Add("fetch",
          Pair(fetch.target, fetch.uri));  // the lines up to the next fetch are of this one
    r.Add("fetch_endpoint", fetch.endpoint);
    r.Add("fetch_as", fetch.as.str());
  }
  r.Add("checkpoint", spec.checkpoint_key);
  r.Add("grace", spec.grace_seconds);
  r.Add("wall", spec.wall_seconds);
  for (const auto& role : spec.roles) {
    r.Add("role", role.name);  // the lines up to the next role are of this one
    r.Add("replicas", static_cast<std::int64_t>(role.replicas));
    for (const auto& word : role.command) r.Add("command", word);
    for (const auto& [name, value] : role.env) r.Add("env", Pair(name, value));
    AddLimits(r, role.limits);
    if (role.restarts > 0) r.Add("restarts", role.restarts);
    if (role.start_seconds > 0) r.Add("start", role.start_seconds);
    for (const auto& env : role.replica_env) {
      r.Add("replica", "");  // the variables up to the next replica are of this one
      for (const auto& [name, value] : env) r.Add("replica_env", Pair(name, value));
    }
  }
  for (const auto& placement : spec.placements) {
    r.Add("placement", placement.node);
    if (placement.port != 0) {
      r.Add("host", placement.host);
      r.Add("port", static_cast<std::int64_t>(placement.port));
    }
    for (const int gpu : placement.gpus) r.Add("gpu", static_cast<std::int64_t>(gpu));
  }
  return r.Format();
}

std::optional<RunSpec> ParseSpec(std::string_view text) {
  const auto record = Record::Parse(text);
  if (!record) return std::nullopt;
  RunSpec spec;
  spec.org = OrgId{record->Text("org")};
  spec.kind = record->Text("kind") == "service" ? RunKind::kService : RunKind::kBatch;
  spec.display_name = record->Text("display_name");
  spec.runtime = {record->Text("runtime"), record->Text("runtime_version")};
  spec.checkpoint_key = record->Text("checkpoint");
  spec.grace_seconds = record->Number("grace");
  spec.wall_seconds = record->Number("wall");
  for (const auto& [key, value] : record->lines()) {
    if (key == "file") {
      spec.files.insert(Unpaired(value));
    } else if (key == "fetch") {
      auto [target, uri] = Unpaired(value);
      spec.fetches.push_back({std::move(uri), std::move(target), {}, {}});
    } else if (key == "fetch_endpoint" && !spec.fetches.empty()) {
      spec.fetches.back().endpoint = value;
    } else if (key == "fetch_as" && !spec.fetches.empty()) {
      spec.fetches.back().as = AccessKey{value};
    } else if (key == "role") {
      spec.roles.push_back({});
      spec.roles.back().name = value;
    } else if (key == "placement") {
      spec.placements.push_back({value, {}});
    } else if (key == "host" && !spec.placements.empty()) {
      spec.placements.back().host = value;
    } else if (key == "port" && !spec.placements.empty()) {
      spec.placements.back().port = static_cast<int>(ParseInt(value).value_or(0));
    } else if (key == "gpu" && !spec.placements.empty()) {
      spec.placements.back().gpus.push_back(static_cast<int>(ParseInt(value).value_or(0)));
    } else if (!spec.roles.empty()) {
      Role& role = spec.roles.back();
      if (key == "replicas") {
        role.replicas = static_cast<std::uint32_t>(ParseUnsigned(value).value_or(1));
      } else if (key == "command") {
        role.command.push_back(value);
      } else if (key == "env") {
        role.env.insert(Unpaired(value));
      } else if (key == "restarts") {
        role.restarts = ParseInt(value).value_or(0);
      } else if (key == "start") {
        role.start_seconds = ParseInt(value).value_or(0);
      } else if (key == "replica") {
        role.replica_env.emplace_back();
      } else if (key == "replica_env" && !role.replica_env.empty()) {
        role.replica_env.back().insert(Unpaired(value));
      } else {
        (void)ReadLimit(key, value, role.limits);
      }
    }
  }
  return spec;
}

std::string FormatReplica(const ReplicaRecord& record) {
  const ReplicaStatus& s = record.status;
  Record r;
  r.Add("state", NameOf(s.state));
  r.Add("role", s.role);
  r.Add("index", static_cast<std::int64_t>(s.index));
  r.Add("node", s.node);
  if (s.exit_code) r.Add("exit_code", static_cast<std::int64_t>(*s.exit_code));
  r.Add("reason", s.reason);
  r.Add("message", s.message);
  r.Add("started", s.started.time_since_epoch().count());
  r.Add("ended", s.ended.time_since_epoch().count());
  r.Add("cpu_millis", s.usage.cpu_millis);
  r.Add("memory", s.usage.memory_bytes);
  r.Add("memory_peak", s.usage.memory_peak);
  if (s.restarts > 0) r.Add("restarts", s.restarts);
  r.Add("boot_id", record.boot_id);
  for (const auto& folder : record.cgroups) r.Add("cgroup", folder.string());
  return r.Format();
}

std::optional<ReplicaRecord> ParseReplica(std::string_view text) {
  const auto r = Record::Parse(text);
  if (!r) return std::nullopt;
  const auto state = StateOf(r->Text("state"));
  if (!state) return std::nullopt;
  ReplicaRecord record;
  ReplicaStatus& s = record.status;
  s.state = *state;
  s.role = r->Text("role");
  s.index = static_cast<std::uint32_t>(r->Number("index"));
  s.node = r->Text("node");
  if (r->Has("exit_code")) s.exit_code = static_cast<int>(r->Number("exit_code"));
  s.reason = r->Text("reason");
  s.message = r->Text("message");
  s.started = SysTime(std::chrono::milliseconds(r->Number("started")));
  s.ended = SysTime(std::chrono::milliseconds(r->Number("ended")));
  s.usage.cpu_millis = r->Number("cpu_millis");
  s.usage.memory_bytes = r->Number("memory");
  s.usage.memory_peak = r->Number("memory_peak");
  s.restarts = r->Number("restarts");
  record.boot_id = r->Text("boot_id");
  for (auto& folder : r->All("cgroup")) record.cgroups.emplace_back(std::move(folder));
  return record;
}

Status WriteReplica(const fs::path& file, const ReplicaRecord& record, Sync sync,
                    const fs::path& spare) {
  const std::string text = FormatReplica(record);
  if (spare.empty()) {
    CML_RETURN_IF_ERROR(WriteFileAtomically(file, text, 0600, Sync::kNotDurable));
  } else {
    CML_RETURN_IF_ERROR(OverwriteFile(spare, text, 0600));
    if (::renameat2(AT_FDCWD, spare.c_str(), AT_FDCWD, file.c_str(), RENAME_EXCHANGE) != 0 &&
        ::rename(spare.c_str(), file.c_str()) != 0) {
      return ErrnoError(errno, "rename to", file);
    }
  }
  if (sync == Sync::kNotDurable) return Ok{};
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(file, O_RDONLY));
  if (::fdatasync(fd.get()) != 0) return ErrnoError(errno, "sync", file);
  return SyncFolder(file.parent_path());
}

std::optional<ReplicaRecord> ReadReplica(const fs::path& file) {
  auto text = ReadFile(file, 1 << 20);
  if (!text.ok()) return std::nullopt;
  if (auto record = ParseReplica(text.value())) return record;
  ReplicaRecord damaged;
  damaged.status.state = RunState::kRunning;
  return damaged;
}

std::string FormatPlan(const ShimPlan& plan) {
  Record r;
  r.Add("role", plan.identity.role);
  r.Add("index", static_cast<std::int64_t>(plan.identity.index));
  r.Add("node", plan.identity.node);
  r.Add("status_file", plan.status_file.string());
  r.Add("log_file", plan.log_file.string());
  r.Add("log_bytes", plan.log_bytes);
  r.Add("bwrap", plan.bwrap.string());
  for (const auto& word : plan.sandbox) r.Add("sandbox", word);
  r.Add("filter", plan.filter.string());
  r.Add("network", plan.network.string());
  r.Add("uid", plan.uid);
  for (const auto& word : plan.command) r.Add("command", word);
  for (const auto& variable : plan.env) r.Add("env", variable);
  r.Add("cgroup_mode", ToString(plan.cgroup_parent.mode));
  for (const auto& folder : plan.cgroup_parent.folders) r.Add("cgroup", folder.string());
  r.Add("cgroup_name", plan.cgroup_name);
  AddLimits(r, plan.limits);
  r.Add("grace", plan.grace_seconds);
  r.Add("wall", plan.wall_seconds);
  r.Add("merged_file", plan.merged_file.string());
  r.Add("restarts", plan.restarts);
  r.Add("start", plan.start_seconds);
  r.Add("port", static_cast<std::int64_t>(plan.port));
  return r.Format();
}

std::optional<ShimPlan> ParsePlan(std::string_view text) {
  const auto r = Record::Parse(text);
  if (!r) return std::nullopt;
  ShimPlan plan;
  plan.identity.role = r->Text("role");
  plan.identity.index = static_cast<std::uint32_t>(r->Number("index"));
  plan.identity.node = r->Text("node");
  plan.status_file = r->Text("status_file");
  plan.log_file = r->Text("log_file");
  plan.log_bytes = r->Number("log_bytes");
  plan.bwrap = r->Text("bwrap");
  plan.sandbox = r->All("sandbox");
  plan.filter = r->Text("filter");
  plan.network = r->Text("network");
  plan.uid = r->Number("uid");
  plan.command = r->All("command");
  plan.env = r->All("env");
  for (const auto mode : {CgroupMode::kNone, CgroupMode::kV1, CgroupMode::kV2}) {
    if (ToString(mode) == r->Text("cgroup_mode")) plan.cgroup_parent.mode = mode;
  }
  for (auto& folder : r->All("cgroup")) plan.cgroup_parent.folders.emplace_back(std::move(folder));
  plan.cgroup_name = r->Text("cgroup_name");
  for (const auto& [key, value] : r->lines()) (void)ReadLimit(key, value, plan.limits);
  plan.grace_seconds = r->Number("grace");
  plan.wall_seconds = r->Number("wall");
  plan.merged_file = r->Text("merged_file");
  plan.restarts = r->Number("restarts");
  plan.start_seconds = r->Number("start");
  plan.port = static_cast<int>(r->Number("port"));
  return plan;
}

std::string BootId() {
  auto text = ReadFile("/proc/sys/kernel/random/boot_id", 4096);
  return text.ok() ? std::string(Trim(text.value())) : std::string();
}

}  // namespace cml::backends::local
