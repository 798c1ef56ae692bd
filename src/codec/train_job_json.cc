#include "codec/train_job_json.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "codec/fields.h"

namespace cml::codec {
namespace {

// Fields of cloud_ml v1 whose feature comes later. They are refused by name, never ignored.
constexpr std::string_view kNotAvailable[] = {
    "ps_count", "worker_count", "cluster_spec", "hyperparameters", "hyperparameters_name",
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

json::object MapObject(const std::map<std::string, std::string>& map) {
  json::object out;
  for (const auto& [key, value] : map) out[key] = value;
  return out;
}

// The fields that a request, a row and an answer have in common, under the same names.
json::object SpecObject(const TrainJobSpec& s) {
  json::object o;
  o["job_name"] = s.job_name;
  o["module_name"] = s.module_name;
  o["trainer_uri"] = s.trainer_uri;
  o["job_args"] = s.job_args;
  o["cpu_limit"] = s.cpu_limit;
  o["memory_limit"] = s.memory_limit;
  o["gpu_limit"] = s.gpu_limit;
  o["framework"] = s.framework;
  o["framework_version"] = s.framework_version;
  o["docker_command"] = s.docker_command;
  o["prepare_command"] = s.prepare_command;
  o["finish_command"] = s.finish_command;
  o["node_selector_key"] = s.node_selector_key;
  o["node_selector_value"] = s.node_selector_value;
  o["fds_endpoint"] = s.fds_endpoint;
  o["fds_bucket"] = s.fds_bucket;
  o["enable_rank"] = s.enable_rank;
  o["save_mode"] = s.save_mode;
  o["env"] = MapObject(s.env);
  o["labels"] = MapObject(s.labels);
  o["description"] = s.description;
  o["job_dir"] = s.job_dir;
  o["priority_class"] = ToString(s.priority_class);
  o["wall_time_limit"] = s.wall_time_limit;
  if (s.max_retries) o["max_retries"] = *s.max_retries;
  o["disk_limit"] = s.disk_limit;
  return o;
}

json::array TextArray(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::object UsageObject(const Usage& u) {
  return {{"cpu_millis", u.cpu_millis}, {"cpu_percent", u.cpu_percent},
          {"memory_bytes", u.memory_bytes}, {"memory_peak", u.memory_peak}, {"receive_bytes", u.receive_bytes},
          {"transmit_bytes", u.transmit_bytes}};
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

json::value TimeOrNull(SysTime t) {
  if (t == SysTime{}) return nullptr;
  return json::string(FormatRfc3339(t));
}

std::string StateOf(const TrainJob& job) {
  if (job.wish.deleted) return std::string(ToString(TrainJobState::kDeleting));
  // A start that the controller has not taken up yet: what it is going to record.
  const bool asked = IsFinal(job.record.state) && job.wish.starts != job.record.starts;
  return std::string(ToString(asked ? TrainJobState::kEnqueued : job.record.state));
}

// Keys of the contract that belong to features of later versions: they must exist, or the published
// clients fail on the answer.
void AddKeysOfLaterFeatures(json::object& o) {
  for (const std::string_view key : {"docker_image", "volume_type", "volume_path", "mount_path",
                                     "hdfs_krb_account", "hdfs_endpoint", "hyperparameters_name",
                                     "hyperparameters_goal", "hyperparameters_params",
                                     "cluster_name", "cluster_env_var", "service_port"}) {
    o[key] = "";
  }
  o["mount_read_only"] = false;
}

json::object TrainObject(const TrainJob& job, std::string_view org_name) {
  const TrainJobRecord& r = job.record;
  json::object o = SpecObject(job.wish.spec);
  AddKeysOfLaterFeatures(o);
  o["org_id"] = job.meta.org.str();
  o["org_name"] = org_name;
  o["state"] = StateOf(job);
  o["create_time"] = FormatContractTime(job.meta.created);
  o["update_time"] = FormatContractTime(job.meta.updated);
  o["node_name"] = r.placement.node;
  const TrainJobSpec& s = job.wish.spec;
  if (!s.node_selector_key.empty()) o["node_selector"] = s.node_selector_key + "=" + s.node_selector_value;
  o["current_rank"] = s.enable_rank;
  if (!r.message.empty()) o["message"] = r.message;  // printed first by the clients where it is
  o["job_id"] = job.meta.id.str();
  o["state_since"] = TimeOrNull(r.since);
  o["reason"] = r.reason;
  o["exit_code"] = r.exit_code ? json::value(*r.exit_code) : json::value(nullptr);
  o["retries"] = r.retries;
  o["started_at"] = TimeOrNull(r.started);
  o["ended_at"] = TimeOrNull(r.ended);
  o["usage"] = UsageObject(r.usage);
  json::array gpus;
  for (const int gpu : r.placement.gpus) gpus.emplace_back(gpu);
  o["gpus"] = std::move(gpus);
  o["defaults"] = TextArray(s.defaults);
  return o;
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
  for (const std::string_view name : kNotAvailable) {
    if (f.Present(name)) spec.not_available.emplace_back(name);
  }
  return spec;
}

std::string EncodeTrainJob(const TrainJob& job, std::string_view org_name) {
  return json::serialize(TrainObject(job, org_name));
}

std::string EncodeTrainJobs(const std::vector<NamedTrainJob>& jobs, std::string_view next_page) {
  json::array data;
  data.reserve(jobs.size());
  for (const auto& [job, org_name] : jobs) data.emplace_back(TrainObject(*job, org_name));
  json::object o{{"data", std::move(data)}};
  if (!next_page.empty()) o["next_page"] = next_page;
  return json::serialize(o);
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

std::string EncodeMetrics(const TrainJob& job) {
  const Usage& u = job.record.usage;
  const bool running = job.record.state == TrainJobState::kRunning;
  return json::serialize(json::object{{"cpu", running ? job.record.usage.cpu_percent : 0},
                                      {"memory", running ? u.memory_bytes : 0},
                                      {"network_receive", u.receive_bytes},
                                      {"network_transmit", u.transmit_bytes},
                                      {"memory_peak", u.memory_peak},
                                      {"cpu_seconds", static_cast<double>(u.cpu_millis) / 1000}});
}

std::string ResourceCodec<TrainJob>::Wish(const TrainJob& job) {
  json::object o = SpecObject(job.wish.spec);
  o["defaults"] = TextArray(job.wish.spec.defaults);
  o["submitted_by"] = job.wish.submitted_by.str();
  o["starts"] = job.wish.starts;
  o["deleted"] = job.wish.deleted;
  return json::serialize(o);
}

Status ResourceCodec<TrainJob>::FromWish(std::string_view text, TrainJob& job) {
  auto parsed = ParseObject(text);
  if (!parsed.ok()) return NotOurs(parsed.error());
  const json::object object = std::move(parsed).value();
  Fields f(object);
  ReadSpec(f, job.wish.spec);
  if (const Status s = ReadPriorityClass(f, job.wish.spec); !s.ok()) return NotOurs(s.error());
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
  json::array gpus;
  for (const int gpu : r.placement.gpus) gpus.emplace_back(gpu);
  json::object o{{"state", ToString(r.state)},
                 {"since", Millis(r.since)},
                 {"starts", r.starts},
                 {"incarnation", r.incarnation},
                 {"retries", r.retries},
                 {"reason", r.reason},
                 {"message", r.message},
                 {"node", r.placement.node},
                 {"gpus", std::move(gpus)},
                 {"millicores", r.limits.millicores},
                 {"memory_bytes", r.limits.memory_bytes},
                 {"gpu_count", r.limits.gpus},
                 {"disk_bytes", r.limits.disk_bytes},
                 {"started", Millis(r.started)},
                 {"ended", Millis(r.ended)},
                 {"usage", UsageObject(r.usage)}};
  if (r.exit_code) o["exit_code"] = *r.exit_code;
  return json::serialize(o);
}

Status ResourceCodec<TrainJob>::FromRecord(std::string_view text, TrainJob& job) {
  auto parsed = ParseObject(text);
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
  if (const auto* gpus = object.if_contains("gpus"); gpus && gpus->is_array()) {
    for (const json::value& gpu : gpus->get_array()) {
      if (gpu.is_int64()) r.placement.gpus.push_back(static_cast<int>(gpu.get_int64()));
    }
  }
  if (const auto* usage = object.if_contains("usage"); usage && usage->is_object()) {
    r.usage = ReadUsage(usage->get_object());
  }
  return Ok{};
}

std::string ResourceCodec<TrainJob>::State(const TrainJob& job) { return StateOf(job); }

}  // namespace cml::codec
