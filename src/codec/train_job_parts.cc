#include "codec/train_job_parts.h"

#include <fmt/format.h>

#include "core/cluster_spec.h"

namespace cml::codec {
namespace {

void WriteClusterSpec(JsonWriter& w, const std::map<std::string, TaskSpec>& tasks) {
  w.Name("cluster_spec").Open('{');
  for (const auto& [name, task] : tasks) {
    w.Name(name).Open('{');
    w.Field("count", task.count);
    if (!task.cpu_limit.empty()) w.Field("cpu_limit", task.cpu_limit);
    if (!task.memory_limit.empty()) w.Field("memory_limit", task.memory_limit);
    if (task.gpu_limit) w.Field("gpu_limit", *task.gpu_limit);
    if (!task.gpu_type.empty()) w.Field("gpu_type", task.gpu_type);
    if (!task.task_args.empty()) w.Field("task_args", task.task_args);
    w.Close('}');
  }
  w.Close('}');
}

std::string_view NameOf(RunState s) {
  switch (s) {
    case RunState::kPending: return "pending";
    case RunState::kRunning: return "running";
    case RunState::kSucceeded: return "completed";
    case RunState::kFailed: return "failed";
  }
  return "";
}

void WriteReplica(JsonWriter& w, const Replica& r) {
  const ReplicaStatus& s = r.status;
  w.Open('{');
  w.Field("name", ReplicaNameOf(s));
  w.Field("role", s.role);
  w.Field("index", s.index);
  w.Field("state", NameOf(s.state));
  w.Field("reason", s.reason);
  w.Field("message", s.message);
  if (s.exit_code) {
    w.Field("exit_code", *s.exit_code);
  } else {
    w.Name("exit_code").Null();
  }
  w.Field("restarts", s.restarts);
  w.Field("node_name", r.placement.node);
  w.Field("address", r.placement.port == 0 ? std::string()
                                           : fmt::format("{}:{}", r.placement.host, r.placement.port));
  WriteList(w, "gpus", r.placement.gpus);
  WriteTimeOrNull(w, "started_at", s.started);
  WriteTimeOrNull(w, "ended_at", s.ended);
  WriteUsage(w, s.usage);
  w.Close('}');
}

}  // namespace

void WriteUsage(JsonWriter& w, const Usage& u) {
  w.Name("usage").Open('{');
  w.Field("cpu_millis", u.cpu_millis);
  w.Field("cpu_percent", u.cpu_percent);
  w.Field("memory_bytes", u.memory_bytes);
  w.Field("memory_peak", u.memory_peak);
  w.Field("receive_bytes", u.receive_bytes);
  w.Field("transmit_bytes", u.transmit_bytes);
  w.Close('}');
}

Usage ReadUsage(const json::object& o) {
  Fields f(o);
  Usage u;
  f.Integer("cpu_millis", u.cpu_millis);
  f.Integer("cpu_percent", u.cpu_percent);
  f.Integer("memory_bytes", u.memory_bytes);
  f.Integer("memory_peak", u.memory_peak);
  f.Integer("receive_bytes", u.receive_bytes);
  f.Integer("transmit_bytes", u.transmit_bytes);
  return u;
}

std::int64_t Millis(SysTime t) { return t.time_since_epoch().count(); }

void ReadTime(Fields& f, std::string_view name, SysTime& into) {
  std::int64_t millis = 0;
  f.Integer(name, millis);
  into = SysTime{std::chrono::milliseconds{millis}};
}

void WriteTimeOrNull(JsonWriter& w, std::string_view name, SysTime t) {
  w.Name(name);
  if (t == SysTime{}) {
    w.Null();
  } else {
    w.Value(FormatRfc3339(t));
  }
}

// "{"worker": {"count": 2, "cpu_limit": "4", …}}" (6.3), as an object or as its text. Numbers may come
// as texts, keys may be missing.
Status ReadClusterSpec(const json::object& request, TrainJobSpec& s) {
  const json::value* given = request.if_contains("cluster_spec");
  if (given == nullptr || given->is_null()) return Ok{};
  const auto wrong = [](std::string_view rule) {
    return Error(Code::kInvalidArgument, fmt::format("cluster_spec: {}", rule));
  };
  constexpr std::string_view kForm =
      "kinds of tasks with their counts are wanted, for instance {\"ps\": {\"count\": 1}, "
      "\"worker\": {\"count\": 2, \"cpu_limit\": \"4\"}}";
  json::object parsed;
  if (given->is_string()) {
    if (given->get_string().empty()) return Ok{};
    auto object = ParseObject(given->get_string());
    if (!object.ok()) return wrong(object.error().message() + "; " + std::string(kForm));
    parsed = std::move(object).value();
    given = nullptr;
  } else if (!given->is_object()) {
    return wrong(kForm);
  }
  for (const auto& [name, value] : given ? given->get_object() : parsed) {
    const std::string task_name(name);
    if (!value.is_object()) return wrong(task_name + ": " + std::string(kForm));
    Fields f(value.get_object());
    TaskSpec task;
    f.Integer("count", task.count);
    f.Text("cpu_limit", task.cpu_limit);
    f.Text("memory_limit", task.memory_limit);
    f.Integer("gpu_limit", task.gpu_limit);
    f.Text("gpu_type", task.gpu_type);
    f.Text("task_args", task.task_args);
    if (const Status read = f.Done(); !read.ok()) {
      return wrong(task_name + ": " + read.error().message());
    }
    s.cluster_spec[task_name] = std::move(task);
  }
  return Ok{};
}

void WriteCluster(JsonWriter& w, const TrainJobSpec& s) {
  if (!AsksForCluster(s)) return;
  w.Field("ps_count", s.ps_count);
  w.Field("worker_count", s.worker_count);
  if (!s.cluster_spec.empty()) WriteClusterSpec(w, s.cluster_spec);
  const auto optional = [&w](std::string_view name, const std::optional<std::int64_t>& value) {
    if (value) w.Field(name, *value);
  };
  optional("chief_count", s.chief_count);
  optional("evaluator_count", s.evaluator_count);
  optional("max_restarts", s.max_restarts);
  optional("start_timeout", s.start_timeout);
  optional("evaluator_wait", s.evaluator_wait);
}

void WriteClusterOf(JsonWriter& w, const TrainJob& job) {
  const bool distributed = IsDistributed(RolesOf(job.wish.spec));
  w.Field("cluster_name", distributed ? std::string_view(job.meta.name) : std::string_view());
  const auto& replicas = job.record.replicas;
  const bool placed = !replicas.empty() && replicas.front().placement.port != 0;
  w.Field("service_port", placed ? std::to_string(replicas.front().placement.port) : std::string());
  std::string text;
  if (placed) {
    const ReplicaStatus& first = replicas.front().status;
    text = TfConfig(ClusterOf(job), first.role, first.index);
  }
  w.Field("cluster_env_var", text);
  if (!distributed) return;
  w.Name("replicas").Open('[');
  for (const Replica& r : replicas) WriteReplica(w, r);
  w.Close(']');
}

void ReadGpus(const json::object& object, std::vector<int>& into) {
  const auto* gpus = object.if_contains("gpus");
  if (gpus == nullptr || !gpus->is_array()) return;
  for (const json::value& gpu : gpus->get_array()) {
    if (gpu.is_int64()) into.push_back(static_cast<int>(gpu.get_int64()));
  }
}

void StoreReplica(JsonWriter& w, const Replica& r) {
  const ReplicaStatus& s = r.status;
  w.Open('{');
  w.Field("role", s.role);
  w.Field("index", s.index);
  w.Field("state", static_cast<int>(s.state));
  w.Field("node", r.placement.node);
  WriteList(w, "gpus", r.placement.gpus);
  if (!r.placement.gpu_model.empty()) w.Field("gpu_model", r.placement.gpu_model);
  w.Field("host", r.placement.host);
  w.Field("port", r.placement.port);
  w.Field("reason", s.reason);
  w.Field("message", s.message);
  w.Field("restarts", s.restarts);
  w.Field("started", Millis(s.started));
  w.Field("ended", Millis(s.ended));
  WriteUsage(w, s.usage);
  if (s.exit_code) w.Field("exit_code", *s.exit_code);
  w.Close('}');
}

Replica LoadReplica(const json::object& o) {
  Replica r;
  ReplicaStatus& s = r.status;
  Fields f(o);
  std::int64_t index = 0, state = 0, port = 0;
  std::optional<std::int64_t> exit_code;
  f.Text("role", s.role);
  f.Integer("index", index);
  f.Integer("state", state);
  f.Text("node", r.placement.node);
  f.Text("gpu_model", r.placement.gpu_model);
  f.Text("host", r.placement.host);
  f.Integer("port", port);
  f.Text("reason", s.reason);
  f.Text("message", s.message);
  f.Integer("restarts", s.restarts);
  ReadTime(f, "started", s.started);
  ReadTime(f, "ended", s.ended);
  f.Integer("exit_code", exit_code);
  s.index = static_cast<std::uint32_t>(index);
  s.state = state >= 0 && state <= 3 ? static_cast<RunState>(state) : RunState::kPending;
  s.node = r.placement.node;
  r.placement.port = static_cast<int>(port);
  if (exit_code) s.exit_code = static_cast<int>(*exit_code);
  ReadGpus(o, r.placement.gpus);
  if (const auto* usage = o.if_contains("usage"); usage && usage->is_object()) {
    s.usage = ReadUsage(usage->get_object());
  }
  return r;
}

}  // namespace cml::codec
