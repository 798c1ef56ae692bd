#include "codec/train_job_json.h"

#include <fmt/format.h>

#include <array>

#include "base/strings.h"
#include "codec/fields.h"
#include "codec/json_writer.h"
#include "core/cluster_spec.h"

namespace cml::codec {
namespace {

// Fields of cloud_ml v1 whose feature comes later. They are refused by name, never ignored.
constexpr std::string_view kNotAvailable[] = {
    "hyperparameters", "hyperparameters_name",
    "hyperparameters_goal", "hyperparameters_params", "volume_type", "volume_path", "mount_path",
    "mount_read_only", "hdfs_endpoint", "hdfs_krb_account", "hdfs_krb_password", "hdfs_krb_keytab",
    "docker_image", "tensorboard_logdir", "model_name", "model_version", "gpu_type", "gpu_memory",
    "pipeline_id", "model_input_path", "model_export_path", "data_input_path", "data_output_path",
    "log_path", "fds_mounts"};

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

void ReadSpec(Fields& f, TrainJobSpec& s) {
  f.Text("job_name", s.job_name);
  f.Text("module_name", s.module_name);
  f.Text("trainer_uri", s.trainer_uri);
  f.Text("job_args", s.job_args);
  f.Text("cpu_limit", s.cpu_limit);
  f.Text("memory_limit", s.memory_limit);
  f.Integer("gpu_limit", s.gpu_limit);
  f.Text("framework", s.framework);
  f.Text("framework_version", s.framework_version);
  f.Text("docker_command", s.docker_command);
  f.Text("prepare_command", s.prepare_command);
  f.Text("finish_command", s.finish_command);
  f.Text("node_selector_key", s.node_selector_key);
  f.Text("node_selector_value", s.node_selector_value);
  f.Text("fds_endpoint", s.fds_endpoint);
  f.Text("fds_bucket", s.fds_bucket);
  f.Integer("enable_rank", s.enable_rank);
  f.Boolean("save_mode", s.save_mode);
  f.TextMap("env", s.env);
  f.TextMap("labels", s.labels);
  f.Text("description", s.description);
  f.Text("job_dir", s.job_dir);
  f.Integer("wall_time_limit", s.wall_time_limit);
  f.Integer("max_retries", s.max_retries);
  f.Text("disk_limit", s.disk_limit);
  f.Integer("ps_count", s.ps_count);
  f.Integer("worker_count", s.worker_count);
  f.Integer("chief_count", s.chief_count);
  f.Integer("evaluator_count", s.evaluator_count);
  f.Integer("max_restarts", s.max_restarts);
  f.Integer("start_timeout", s.start_timeout);
  f.Integer("evaluator_wait", s.evaluator_wait);
}

Status ReadPriorityClass(Fields& f, TrainJobSpec& s) {
  std::string name;
  f.Text("priority_class", name);
  CML_RETURN_IF_ERROR(f.Done());
  if (name.empty()) return Ok{};
  const auto parsed = ParsePriorityClass(name);
  if (!parsed) {
    return Error(Code::kInvalidArgument,
                 fmt::format("priority_class {}: guaranteed, preferred or best-effort", Quote(name)));
  }
  s.priority_class = *parsed;
  return Ok{};
}

void WriteMap(JsonWriter& w, std::string_view name, const std::map<std::string, std::string>& map) {
  w.Name(name).Open('{');
  for (const auto& [key, value] : map) w.Field(key, value);
  w.Close('}');
}

template <class T>
void WriteList(JsonWriter& w, std::string_view name, const std::vector<T>& items) {
  w.Name(name).Open('[');
  for (const T& item : items) w.Value(item);
  w.Close(']');
}

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

// Those of a distributed job; none for others, whose texts stay short.
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

// The fields that a request, a row and an answer have in common, under the same names.
void WriteSpec(JsonWriter& w, const TrainJobSpec& s) {
  w.Field("job_name", s.job_name);
  w.Field("module_name", s.module_name);
  w.Field("trainer_uri", s.trainer_uri);
  w.Field("job_args", s.job_args);
  w.Field("cpu_limit", s.cpu_limit);
  w.Field("memory_limit", s.memory_limit);
  w.Field("gpu_limit", s.gpu_limit);
  w.Field("framework", s.framework);
  w.Field("framework_version", s.framework_version);
  w.Field("docker_command", s.docker_command);
  w.Field("prepare_command", s.prepare_command);
  w.Field("finish_command", s.finish_command);
  w.Field("node_selector_key", s.node_selector_key);
  w.Field("node_selector_value", s.node_selector_value);
  w.Field("fds_endpoint", s.fds_endpoint);
  w.Field("fds_bucket", s.fds_bucket);
  w.Field("enable_rank", s.enable_rank);
  w.Field("save_mode", s.save_mode);
  WriteMap(w, "env", s.env);
  WriteMap(w, "labels", s.labels);
  w.Field("description", s.description);
  w.Field("job_dir", s.job_dir);
  w.Field("priority_class", ToString(s.priority_class));
  w.Field("wall_time_limit", s.wall_time_limit);
  if (s.max_retries) w.Field("max_retries", *s.max_retries);
  w.Field("disk_limit", s.disk_limit);
  WriteCluster(w, s);
}

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

std::string_view StateOf(const TrainJob& job) {
  if (job.wish.deleted) return ToString(TrainJobState::kDeleting);
  // A start that the controller has not taken up yet: what it is going to record.
  const bool asked = IsFinal(job.record.state) && job.wish.starts != job.record.starts;
  return ToString(asked ? TrainJobState::kEnqueued : job.record.state);
}

// Keys of the contract that belong to features of later versions: they must exist, or the published
// clients fail on the answer.
void WriteKeysOfLaterFeatures(JsonWriter& w) {
  for (const std::string_view key : {"docker_image", "volume_type", "volume_path", "mount_path",
                                     "hdfs_krb_account", "hdfs_endpoint", "hyperparameters_name",
                                     "hyperparameters_goal", "hyperparameters_params"}) {
    w.Field(key, "");
  }
  w.Field("mount_read_only", false);
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

// The keys of a cluster (6.3), which every job has; of one process they are empty.
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

void WriteTrainJob(JsonWriter& w, const TrainJob& job, std::string_view org_name) {
  const TrainJobRecord& r = job.record;
  const TrainJobSpec& s = job.wish.spec;
  w.Open('{');
  WriteSpec(w, s);
  WriteKeysOfLaterFeatures(w);
  WriteClusterOf(w, job);
  w.Field("org_id", job.meta.org.str());
  w.Field("org_name", org_name);
  w.Field("state", StateOf(job));
  w.Field("create_time", FormatContractTime(job.meta.created));
  w.Field("update_time", FormatContractTime(job.meta.updated));
  w.Field("node_name", r.placement.node);
  if (!s.node_selector_key.empty()) {
    w.Field("node_selector", s.node_selector_key + "=" + s.node_selector_value);
  }
  w.Field("current_rank", s.enable_rank);
  if (!r.message.empty()) w.Field("message", r.message);  // printed first by the clients where it is
  w.Field("job_id", job.meta.id.str());
  WriteTimeOrNull(w, "state_since", r.since);
  w.Field("reason", r.reason);
  if (r.exit_code) {
    w.Field("exit_code", *r.exit_code);
  } else {
    w.Name("exit_code").Null();
  }
  w.Field("retries", r.retries);
  WriteTimeOrNull(w, "started_at", r.started);
  WriteTimeOrNull(w, "ended_at", r.ended);
  WriteUsage(w, r.usage);
  WriteList(w, "gpus", r.placement.gpus);
  WriteList(w, "defaults", s.defaults);
  w.Close('}');
}

constexpr std::size_t kUsualJob = 2048;  // bytes of its JSON

// Where the values of one stored row lie while it is read: nearly always on the stack.
class StoredMemory {
 public:
  json::storage_ptr pointer() { return &resource_; }

 private:
  std::array<unsigned char, 8192> first_;
  json::monotonic_resource resource_{first_.data(), first_.size()};
};

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

Error NotOurs(const Error& e) { return Error(Code::kDataLoss, "a stored job cannot be read").While(e.message()); }

}  // namespace

Result<TrainJobSpec> DecodeTrainJobRequest(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(body));
  CML_RETURN_IF_ERROR(RefuseDoubleNames(body));
  Fields f(object);
  TrainJobSpec spec;
  ReadSpec(f, spec);
  CML_RETURN_IF_ERROR(ReadPriorityClass(f, spec));
  CML_RETURN_IF_ERROR(ReadClusterSpec(object, spec));
  for (const std::string_view name : kNotAvailable) {
    if (f.Present(name)) spec.not_available.emplace_back(name);
  }
  return spec;
}

std::string EncodeTrainJob(const TrainJob& job, std::string_view org_name) {
  JsonWriter w(kUsualJob);
  WriteTrainJob(w, job, org_name);
  return w.Take();
}

std::string EncodeTrainJobs(const std::vector<NamedTrainJob>& jobs, std::string_view next_page) {
  JsonWriter w(jobs.size() * kUsualJob);
  w.Open('{').Name("data").Open('[');
  for (const auto& [job, org_name] : jobs) WriteTrainJob(w, *job, org_name);
  w.Close(']');
  if (!next_page.empty()) w.Field("next_page", next_page);
  w.Close('}');
  return w.Take();
}

std::string EncodeEvents(std::string_view object_name, const std::vector<Event>& events) {
  json::array out;
  for (const Event& e : events) {
    out.emplace_back(json::object{{"firstTimestamp", FormatRfc3339(e.first)},
                                  {"lastTimestamp", FormatRfc3339(e.last)},
                                  {"count", e.count},
                                  {"involvedObject", json::object{{"name", object_name}}},
                                  {"type", e.type == EventType::kNormal ? "Normal" : "Warning"},
                                  {"reason", e.reason},
                                  {"message", e.message}});
  }
  return json::serialize(json::object{{"events", std::move(out)}, {"recommend", json::array{}}});
}

std::string EncodeMetrics(const Usage& u, Alive alive) {
  const bool running = alive == Alive::kYes;
  return json::serialize(json::object{{"cpu", running ? u.cpu_percent : 0},
                                      {"memory", running ? u.memory_bytes : 0},
                                      {"network_receive", u.receive_bytes},
                                      {"network_transmit", u.transmit_bytes},
                                      {"memory_peak", u.memory_peak},
                                      {"cpu_seconds", static_cast<double>(u.cpu_millis) / 1000}});
}

std::string ResourceCodec<TrainJob>::Wish(const TrainJob& job) {
  JsonWriter w(kUsualJob);
  w.Open('{');
  WriteSpec(w, job.wish.spec);
  WriteList(w, "defaults", job.wish.spec.defaults);
  w.Field("submitted_by", job.wish.submitted_by.str());
  w.Field("starts", job.wish.starts);
  w.Field("deleted", job.wish.deleted);
  w.Close('}');
  return w.Take();
}

Status ResourceCodec<TrainJob>::FromWish(std::string_view text, TrainJob& job) {
  StoredMemory memory;
  auto parsed = ParseObject(text, memory.pointer());
  if (!parsed.ok()) return NotOurs(parsed.error());
  const json::object object = std::move(parsed).value();
  Fields f(object);
  ReadSpec(f, job.wish.spec);
  if (const Status s = ReadPriorityClass(f, job.wish.spec); !s.ok()) return NotOurs(s.error());
  if (const Status s = ReadClusterSpec(object, job.wish.spec); !s.ok()) return NotOurs(s.error());
  if (const auto* defaults = object.if_contains("defaults"); defaults && defaults->is_array()) {
    for (const json::value& name : defaults->get_array()) {
      if (name.is_string()) job.wish.spec.defaults.emplace_back(name.get_string());
    }
  }
  std::string submitted_by;
  f.Text("submitted_by", submitted_by);
  job.wish.submitted_by = AccessKey{submitted_by};
  std::int64_t starts = 0;
  f.Integer("starts", starts);
  job.wish.starts = static_cast<std::uint64_t>(starts);
  f.Boolean("deleted", job.wish.deleted);
  if (const Status s = f.Done(); !s.ok()) return NotOurs(s.error());
  return Ok{};
}

std::string ResourceCodec<TrainJob>::Record(const TrainJob& job) {
  const TrainJobRecord& r = job.record;
  JsonWriter w(kUsualJob);
  w.Open('{');
  w.Field("state", ToString(r.state));
  w.Field("since", Millis(r.since));
  w.Field("starts", r.starts);
  w.Field("incarnation", r.incarnation);
  w.Field("retries", r.retries);
  w.Field("reason", r.reason);
  w.Field("message", r.message);
  w.Field("node", r.placement.node);
  WriteList(w, "gpus", r.placement.gpus);
  w.Field("millicores", r.limits.millicores);
  w.Field("memory_bytes", r.limits.memory_bytes);
  w.Field("gpu_count", r.limits.gpus);
  w.Field("disk_bytes", r.limits.disk_bytes);
  w.Field("started", Millis(r.started));
  w.Field("ended", Millis(r.ended));
  WriteUsage(w, r.usage);
  if (r.exit_code) w.Field("exit_code", *r.exit_code);
  if (!r.replicas.empty()) {
    w.Name("replicas").Open('[');
    for (const Replica& replica : r.replicas) StoreReplica(w, replica);
    w.Close(']');
  }
  w.Close('}');
  return w.Take();
}

Status ResourceCodec<TrainJob>::FromRecord(std::string_view text, TrainJob& job) {
  StoredMemory memory;
  auto parsed = ParseObject(text, memory.pointer());
  if (!parsed.ok()) return NotOurs(parsed.error());
  const json::object object = std::move(parsed).value();
  Fields f(object);
  TrainJobRecord& r = job.record;
  std::string state;
  std::int64_t starts = 0, incarnation = 0;
  f.Text("state", state);
  ReadTime(f, "since", r.since);
  f.Integer("starts", starts);
  f.Integer("incarnation", incarnation);
  f.Integer("retries", r.retries);
  f.Text("reason", r.reason);
  f.Text("message", r.message);
  f.Text("node", r.placement.node);
  f.Integer("millicores", r.limits.millicores);
  f.Integer("memory_bytes", r.limits.memory_bytes);
  f.Integer("gpu_count", r.limits.gpus);
  f.Integer("disk_bytes", r.limits.disk_bytes);
  ReadTime(f, "started", r.started);
  ReadTime(f, "ended", r.ended);
  std::optional<std::int64_t> exit_code;
  f.Integer("exit_code", exit_code);
  if (exit_code) r.exit_code = static_cast<int>(*exit_code);
  if (const Status s = f.Done(); !s.ok()) return NotOurs(s.error());
  const auto parsed_state = ParseTrainJobState(state);
  if (!parsed_state) return NotOurs(Error(Code::kDataLoss, "state " + state));
  r.state = *parsed_state;
  r.starts = static_cast<std::uint64_t>(starts);
  r.incarnation = static_cast<std::uint64_t>(incarnation);
  ReadGpus(object, r.placement.gpus);
  if (const auto* replicas = object.if_contains("replicas"); replicas && replicas->is_array()) {
    for (const json::value& replica : replicas->get_array()) {
      if (replica.is_object()) r.replicas.push_back(LoadReplica(replica.get_object()));
    }
  }
  if (const auto* usage = object.if_contains("usage"); usage && usage->is_object()) {
    r.usage = ReadUsage(usage->get_object());
  }
  return Ok{};
}

std::string ResourceCodec<TrainJob>::State(const TrainJob& job) { return std::string(StateOf(job)); }

}  // namespace cml::codec
