#include "codec/train_job_json.h"

#include <fmt/format.h>

#include <array>

#include "base/strings.h"
#include "codec/fields.h"
#include "codec/json_writer.h"
#include "codec/train_job_parts.h"

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

std::string EncodeTrainJobForAudit(const TrainJob& job) {
  const TrainJobSpec& s = job.wish.spec;
  JsonWriter w(kUsualJob);
  const auto text = [&w](std::string_view name, std::string_view value) {
    if (!value.empty()) w.Field(name, value);
  };
  w.Open('{');
  w.Field("job_id", job.meta.id.str());
  w.Field("state", StateOf(job));
  w.Field("starts", job.wish.starts);
  text("module_name", s.module_name);
  text("trainer_uri", s.trainer_uri);
  text("job_args", s.job_args);
  text("docker_command", s.docker_command);
  text("prepare_command", s.prepare_command);
  text("finish_command", s.finish_command);
  text("framework", s.framework);
  text("framework_version", s.framework_version);
  text("cpu_limit", s.cpu_limit);
  text("memory_limit", s.memory_limit);
  w.Field("gpu_limit", s.gpu_limit);
  w.Field("enable_rank", s.enable_rank);
  w.Field("priority_class", ToString(s.priority_class));
  WriteMap(w, "labels", s.labels);
  w.Name("env").Open('{');
  for (const auto& [name, value] : s.env) w.Field(name, "***");
  w.Close('}').Close('}');
  return w.Take();
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
  if (!job.wish.user.empty()) w.Field("user", job.wish.user);
  if (job.wish.stop != 0) {
    w.Field("stop", job.wish.stop);
    w.Field("stop_reason", job.wish.stop_reason);
    w.Field("stop_message", job.wish.stop_message);
  }
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
  f.Text("user", job.wish.user);
  std::int64_t stop = 0;
  f.Integer("stop", stop);
  job.wish.stop = static_cast<std::uint64_t>(stop);
  f.Text("stop_reason", job.wish.stop_reason);
  f.Text("stop_message", job.wish.stop_message);
  if (const Status s = f.Done(); !s.ok()) return NotOurs(s.error());
  if (starts < 0 || stop < 0) return NotOurs(Error(Code::kDataLoss, "a count below 0"));
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
  if (!r.placement.gpu_model.empty()) w.Field("gpu_model", r.placement.gpu_model);
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
  f.Text("gpu_model", r.placement.gpu_model);
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
  if (starts < 0 || incarnation < 0) return NotOurs(Error(Code::kDataLoss, "a count below 0"));
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
