// The rules of a train job's fields (cloud_ml v1, sections 5 and 6.1).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "core/quantity.h"
#include "core/train_job.h"

namespace cml {
namespace {

constexpr std::size_t kMostName = 63;      // a DNS label, as names become host names
constexpr std::size_t kMostText = 65'536;  // job_args, commands, description
constexpr std::size_t kMostUri = 4'096;
constexpr std::size_t kMostEntries = 256;  // env, labels
constexpr std::int64_t kLeastMemory = 16 << 20;

constexpr bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsAlpha(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
constexpr bool IsAlnum(char c) { return IsAlpha(c) || IsDigit(c); }

template <class Pred>
bool All(std::string_view s, Pred pred) { return std::all_of(s.begin(), s.end(), pred); }

Error Wrong(std::string_view field, std::string_view value, std::string_view rule) {
  return Error(Code::kInvalidArgument, fmt::format("{} {}: {}", field, Quote(value), rule));
}

// What a person probably meant by a name that breaks the rule; empty: no idea.
std::string NearestName(std::string_view name) {
  std::string out;
  for (const char c : ToLower(name)) {
    if (IsLower(c) || IsDigit(c)) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  if (out.size() > kMostName) out.resize(kMostName);
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

Status CheckName(std::string_view field, const std::string& name) {
  const auto part_ok = [](std::string_view part) {
    return !part.empty() && part.front() != '-' && part.back() != '-' &&
           All(part, [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
  };
  const auto parts = Split(name, '.');
  if (name.size() <= kMostName && std::all_of(parts.begin(), parts.end(), part_ok)) return Ok{};
  std::string rule = fmt::format("1 to {} lower-case letters, digits and '-', starting and ending "
                                 "with a letter or digit", kMostName);
  if (const std::string nearest = NearestName(name); !nearest.empty()) {
    rule += fmt::format("; try \"{}\"", nearest);
  }
  return Wrong(field, name, rule);
}

Status CheckModule(const std::string& module) {
  const auto part_ok = [](std::string_view part) {
    return !part.empty() && (IsAlpha(part.front()) || part.front() == '_') &&
           All(part, [](char c) { return IsAlnum(c) || c == '_' || c == '-'; });
  };
  const auto parts = Split(module, '.');
  if (module.size() <= 255 && std::all_of(parts.begin(), parts.end(), part_ok)) return Ok{};
  return Wrong("module_name", module, "a Python module name, for instance trainer.task");
}

Status CheckText(std::string_view field, const std::string& text, std::size_t most = kMostText) {
  if (text.size() > most) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{}: {} bytes; at most {} are allowed", field, text.size(), most));
  }
  if (text.find('\0') != std::string::npos) {
    return Error(Code::kInvalidArgument, fmt::format("{}: it holds a zero byte", field));
  }
  if (!IsValidUtf8(text)) {
    return Error(Code::kInvalidArgument, fmt::format("{}: it is not valid UTF-8", field));
  }
  return Ok{};
}

bool HasControl(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

Status CheckPackages(const TrainJobSpec& spec) {
  CML_RETURN_IF_ERROR(CheckText("trainer_uri", spec.trainer_uri, kMostUri));
  if (HasControl(spec.trainer_uri)) {
    return Wrong("trainer_uri", spec.trainer_uri, "it holds a control character, perhaps a line end");
  }
  const auto uris = PackageUris(spec);
  if (uris.empty() && !spec.trainer_uri.empty()) {
    return Wrong("trainer_uri", spec.trainer_uri, "it names no package");
  }
  std::set<std::string_view> names;
  for (const std::string& uri : uris) {
    const bool web = uri.starts_with("http://") || uri.starts_with("https://");
    if (!web && !ParseObjectUri(uri)) {
      return Wrong("trainer_uri", uri,
                   "fds://bucket/object or http(s)://…; the command line uploads a local folder "
                   "or archive for you (-u ./folder)");
    }
    const std::string_view path = std::string_view(uri).substr(0, uri.find_first_of("?#"));
    const auto ends = {".tar.gz", ".tgz", ".zip", ".whl", ".tar"};
    if (std::none_of(ends.begin(), ends.end(), [&](const char* e) { return path.ends_with(e); })) {
      return Wrong("trainer_uri", uri, "a Python package ends in .tar.gz, .zip or .whl");
    }
    if (!names.insert(path.substr(path.rfind('/') + 1)).second) {
      return Wrong("trainer_uri", uri, "two packages have the same file name");
    }
  }
  return Ok{};
}

Status CheckEnv(const TrainJobSpec& spec) {
  if (spec.env.size() > kMostEntries) {
    return Error(Code::kInvalidArgument, fmt::format("env: {} variables; at most {} are allowed",
                                                     spec.env.size(), kMostEntries));
  }
  for (const auto& [name, value] : spec.env) {
    if (name.empty() || name.size() > 255 || IsDigit(name.front()) ||
        !All(name, [](char c) { return IsAlnum(c) || c == '_'; })) {
      return Wrong("env", name, "a variable's name has letters, digits and '_' and does not start "
                                "with a digit");
    }
    CML_RETURN_IF_ERROR(CheckText("env " + name, value, 32'768));
  }
  return Ok{};
}

Status CheckLabels(const TrainJobSpec& spec) {
  if (spec.labels.size() > kMostEntries) {
    return Error(Code::kInvalidArgument, fmt::format("labels: {} labels; at most {} are allowed",
                                                     spec.labels.size(), kMostEntries));
  }
  const auto part_ok = [](std::string_view s) {
    return s.size() <= 63 && All(s, [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.' || c == '/'; });
  };
  for (const auto& [key, value] : spec.labels) {
    if (key.empty() || !part_ok(key) || !part_ok(value)) {
      return Wrong("labels", key + "=" + value,
                   "key and value have at most 63 letters, digits, '-', '_', '.' and '/'");
    }
  }
  return Ok{};
}

Status CheckRange(std::string_view field, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return Ok{};
  return Error(Code::kInvalidArgument,
               fmt::format("{} {}: a whole number from {} to {}", field, value, least, most));
}

Status CheckWhatRuns(const TrainJobSpec& spec) {
  if (spec.docker_command.empty()) {
    if (spec.module_name.empty()) {
      return Error(Code::kInvalidArgument,
                   "module_name: missing; name the module to run, for instance trainer.task, or give "
                   "a docker_command");
    }
    if (spec.trainer_uri.empty()) {
      return Error(Code::kInvalidArgument,
                   "trainer_uri: missing; name the package that holds the module, for instance "
                   "fds://default/trainer-1.0.tar.gz");
    }
  }
  if (!spec.module_name.empty()) CML_RETURN_IF_ERROR(CheckModule(spec.module_name));
  CML_RETURN_IF_ERROR(CheckPackages(spec));
  CML_RETURN_IF_ERROR(CheckText("job_args", spec.job_args));
  if (!SplitWords(spec.job_args)) return Wrong("job_args", spec.job_args, "a quote is not closed");
  CML_RETURN_IF_ERROR(CheckText("docker_command", spec.docker_command));
  CML_RETURN_IF_ERROR(CheckText("prepare_command", spec.prepare_command));
  return CheckText("finish_command", spec.finish_command);
}

Status CheckAmounts(const TrainJobSpec& spec) {
  if (!spec.cpu_limit.empty()) {
    CML_ASSIGN_OR_RETURN([[maybe_unused]] const auto cpu, ParseCpu("cpu_limit", spec.cpu_limit));
  }
  if (!spec.memory_limit.empty()) {
    CML_ASSIGN_OR_RETURN(const auto memory, ParseMemory("memory_limit", spec.memory_limit));
    if (memory < kLeastMemory) {
      return Wrong("memory_limit", spec.memory_limit, "no program starts in less than 16M");
    }
  }
  if (!spec.disk_limit.empty()) {
    CML_ASSIGN_OR_RETURN([[maybe_unused]] const auto disk, ParseMemory("disk_limit", spec.disk_limit));
  }
  CML_RETURN_IF_ERROR(CheckRange("gpu_limit", spec.gpu_limit, 0, 1024));
  CML_RETURN_IF_ERROR(CheckRange("enable_rank", spec.enable_rank, 0, 1));
  CML_RETURN_IF_ERROR(CheckRange("wall_time_limit", spec.wall_time_limit, 0, 366LL * 86'400));
  return spec.max_retries ? CheckRange("max_retries", *spec.max_retries, 0, 100) : Status(Ok{});
}

// One kind of task; `name` as in cluster_spec.
Status CheckTask(const std::string& name, const TaskSpec& task) {
  const bool name_ok = name.size() <= 20 && !name.empty() && IsLower(name.front()) &&
                       All(name, [](char c) { return IsLower(c) || IsDigit(c) || c == '_'; });
  if (!name_ok) {
    return Wrong("cluster_spec", name,
                 "a kind of task has 1 to 20 lower-case letters, digits and '_' and starts with a "
                 "letter; TensorFlow knows chief, worker, ps and evaluator");
  }
  const std::string field = "cluster_spec " + name + " ";
  const bool one = IsChief(name) || name == "evaluator";
  CML_RETURN_IF_ERROR(CheckRange(field + "count", task.count, 0, one ? 1 : kMostReplicas));
  if (!task.cpu_limit.empty()) {
    CML_ASSIGN_OR_RETURN([[maybe_unused]] const auto cpu, ParseCpu(field + "cpu_limit", task.cpu_limit));
  }
  if (!task.memory_limit.empty()) {
    CML_ASSIGN_OR_RETURN(const auto memory, ParseMemory(field + "memory_limit", task.memory_limit));
    if (memory < kLeastMemory) {
      return Wrong(field + "memory_limit", task.memory_limit, "no program starts in less than 16M");
    }
  }
  CML_RETURN_IF_ERROR(CheckRange(field + "gpu_limit", task.gpu_limit.value_or(0), 0, 1024));
  if (name == "ps" && task.gpu_limit.value_or(0) > 0) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{}gpu_limit {}: a parameter server gets no GPU; give them to the workers",
                             field, *task.gpu_limit));
  }
  CML_RETURN_IF_ERROR(CheckText(field + "gpu_type", task.gpu_type, 63));
  CML_RETURN_IF_ERROR(CheckText(field + "task_args", task.task_args));
  if (!SplitWords(task.task_args)) return Wrong(field + "task_args", task.task_args, "a quote is not closed");
  return Ok{};
}

// What TensorFlow would refuse only when all is running (training environment, section 2).
Status CheckChief(const TrainJobSpec& spec) {
  const auto count = [&](const char* name) {
    const auto it = spec.cluster_spec.find(name);
    return it == spec.cluster_spec.end() ? 0 : it->second.count;
  };
  if (count("master") == 0) return Ok{};
  for (const char* other : {"chief", "evaluator"}) {
    if (count(other) > 0) {
      return Error(Code::kInvalidArgument,
                   fmt::format("cluster_spec: master and {} exclude each other; call the first task "
                               "chief, or leave out the {}", other, other));
    }
  }
  return Ok{};
}

Status CheckCluster(const TrainJobSpec& spec) {
  CML_RETURN_IF_ERROR(CheckRange("ps_count", spec.ps_count, 0, kMostReplicas));
  CML_RETURN_IF_ERROR(CheckRange("worker_count", spec.worker_count, 0, kMostReplicas));
  CML_RETURN_IF_ERROR(CheckRange("chief_count", spec.chief_count.value_or(0), 0, 1));
  CML_RETURN_IF_ERROR(CheckRange("evaluator_count", spec.evaluator_count.value_or(0), 0, 1));
  CML_RETURN_IF_ERROR(CheckRange("max_restarts", spec.max_restarts.value_or(0), 0, 100));
  CML_RETURN_IF_ERROR(CheckRange("start_timeout", spec.start_timeout.value_or(0), 0, 7LL * 86'400));
  CML_RETURN_IF_ERROR(CheckRange("evaluator_wait", spec.evaluator_wait.value_or(0), 0, 7LL * 86'400));
  const bool counts = spec.ps_count > 0 || spec.worker_count > 0 || spec.chief_count || spec.evaluator_count;
  if (counts && !spec.cluster_spec.empty()) {
    return Error(Code::kInvalidArgument,
                 "cluster_spec: give it or ps_count and worker_count, not both; in cluster_spec every "
                 "kind of task has a count of its own");
  }
  if (!AsksForCluster(spec)) return Ok{};
  for (const auto& [name, task] : spec.cluster_spec) CML_RETURN_IF_ERROR(CheckTask(name, task));
  CML_RETURN_IF_ERROR(CheckChief(spec));
  const auto roles = RolesOf(spec);
  const std::int64_t all = ReplicaCount(roles);
  if (all > kMostReplicas) {
    return Error(Code::kInvalidArgument, fmt::format("{} tasks asked; a job has at most {}", all, kMostReplicas));
  }
  const bool trains = std::any_of(roles.begin(), roles.end(), [](const RolePlan& role) {
    return role.name != "ps" && role.name != "evaluator";
  });
  if (trains) return Ok{};
  return Error(Code::kInvalidArgument,
               spec.cluster_spec.empty()
                   ? "worker_count: nobody would train; ask for at least one worker"
                   : "cluster_spec: nobody would train; ask for a worker or a chief, for instance "
                     "{\"ps\": {\"count\": 1}, \"worker\": {\"count\": 2}}");
}

Status CheckSelector(const TrainJobSpec& spec) {
  if (spec.node_selector_key.empty() != spec.node_selector_value.empty()) {
    return Error(Code::kInvalidArgument,
                 "node_selector_key, node_selector_value: give both or neither");
  }
  CML_RETURN_IF_ERROR(CheckText("node_selector_key", spec.node_selector_key, 253));
  return CheckText("node_selector_value", spec.node_selector_value, 253);
}

}  // namespace

Status Validate(const TrainJobSpec& spec) {
  if (spec.job_name.empty()) {
    return Error(Code::kInvalidArgument, "job_name: missing; give the job a name");
  }
  CML_RETURN_IF_ERROR(CheckName("job_name", spec.job_name));
  if (!spec.not_available.empty()) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{}: not available yet on this server; submit the job without it",
                             fmt::join(spec.not_available, ", ")));
  }
  CML_RETURN_IF_ERROR(CheckWhatRuns(spec));
  CML_RETURN_IF_ERROR(CheckAmounts(spec));
  CML_RETURN_IF_ERROR(CheckCluster(spec));
  CML_RETURN_IF_ERROR(CheckSelector(spec));
  CML_RETURN_IF_ERROR(CheckEnv(spec));
  CML_RETURN_IF_ERROR(CheckLabels(spec));
  CML_RETURN_IF_ERROR(CheckText("framework", spec.framework, 255));
  CML_RETURN_IF_ERROR(CheckText("framework_version", spec.framework_version, 255));
  CML_RETURN_IF_ERROR(CheckText("fds_endpoint", spec.fds_endpoint, kMostUri));
  CML_RETURN_IF_ERROR(CheckText("fds_bucket", spec.fds_bucket, 255));
  CML_RETURN_IF_ERROR(CheckText("job_dir", spec.job_dir, kMostUri));
  if (HasControl(spec.job_dir)) return Wrong("job_dir", spec.job_dir, "no control characters");
  return CheckText("description", spec.description, 4'096);
}

}  // namespace cml
