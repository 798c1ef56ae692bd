// From the counts and kinds of tasks of a spec to its roles (cloud_ml v1, 6.3; training environment,
// section 2).
#include <algorithm>

#include "base/strings.h"
#include "core/quantity.h"
#include "core/train_job.h"

namespace cml {
namespace {

std::int64_t CpuOf(const std::string& text) {
  const auto parsed = text.empty() ? Result<std::int64_t>(0) : ParseCpu("", text);
  return parsed.ok() ? parsed.value() : 0;
}
std::int64_t BytesOf(const std::string& text) {
  const auto parsed = text.empty() ? Result<std::int64_t>(0) : ParseMemory("", text);
  return parsed.ok() ? parsed.value() : 0;
}

int Rank(std::string_view role) {
  if (IsChief(role)) return 0;
  if (role == "worker") return 1;
  if (role == "ps") return 2;
  if (role == "evaluator") return 3;
  return 4;
}

// A parameter server computes nothing that a GPU is for.
RolePlan Plan(const TrainJobSpec& spec, const std::string& name, const TaskSpec& task) {
  RolePlan role;
  role.name = name;
  role.replicas = static_cast<std::uint32_t>(std::max<std::int64_t>(0, task.count));
  role.limits.millicores = CpuOf(task.cpu_limit.empty() ? spec.cpu_limit : task.cpu_limit);
  role.limits.memory_bytes = BytesOf(task.memory_limit.empty() ? spec.memory_limit : task.memory_limit);
  role.limits.gpus = name == "ps" ? 0 : task.gpu_limit.value_or(spec.gpu_limit);
  role.limits.disk_bytes = BytesOf(spec.disk_limit);
  role.gpu_model = ToLower(task.gpu_type);
  role.args = task.task_args;
  return role;
}

// TensorFlow 1 knows its first task as master; with an evaluator beside it, only as chief.
std::string ChiefName(const TrainJobSpec& spec) {
  const bool first_generation = spec.framework == "tensorflow" && spec.framework_version.starts_with("1.");
  return first_generation && spec.evaluator_count.value_or(0) == 0 ? "master" : "chief";
}

}  // namespace

bool AsksForCluster(const TrainJobSpec& spec) {
  return spec.ps_count > 0 || spec.worker_count > 0 || !spec.cluster_spec.empty() ||
         spec.evaluator_count.value_or(0) > 0;
}

std::vector<RolePlan> RolesOf(const TrainJobSpec& spec) {
  std::vector<RolePlan> roles;
  if (!AsksForCluster(spec)) {
    roles.push_back(Plan(spec, "worker", {}));
    return roles;
  }
  const auto add = [&](const std::string& name, const TaskSpec& task) {
    if (task.count > 0) roles.push_back(Plan(spec, name, task));
  };
  if (spec.cluster_spec.empty()) {
    add(ChiefName(spec), {.count = spec.chief_count.value_or(1)});
    add("worker", {.count = spec.worker_count});
    add("ps", {.count = spec.ps_count});
    add("evaluator", {.count = spec.evaluator_count.value_or(0)});
  } else {
    for (const auto& [name, task] : spec.cluster_spec) add(name, task);
    std::stable_sort(roles.begin(), roles.end(),
                     [](const RolePlan& a, const RolePlan& b) { return Rank(a.name) < Rank(b.name); });
  }
  return roles;
}

std::int64_t ReplicaCount(const std::vector<RolePlan>& roles) {
  std::int64_t count = 0;
  for (const RolePlan& role : roles) count += role.replicas;
  return count;
}

Limits LimitsOf(const TrainJobSpec& spec) {
  Limits all;
  for (const RolePlan& role : RolesOf(spec)) {
    all.millicores += role.limits.millicores * role.replicas;
    all.memory_bytes += role.limits.memory_bytes * role.replicas;
    all.gpus += role.limits.gpus * role.replicas;
    all.disk_bytes += role.limits.disk_bytes * role.replicas;
  }
  return all;
}

Cluster ClusterOf(const TrainJob& job) {
  const TrainJobSpec& spec = job.wish.spec;
  Cluster cluster;
  cluster.framework = spec.framework;
  for (const Replica& r : job.record.replicas) {
    if (cluster.roles.empty() || cluster.roles.back().name != r.status.role) {
      cluster.roles.push_back({r.status.role, {}});
    }
    cluster.roles.back().replicas.push_back({r.placement.host, r.placement.port});
  }
  cluster.job = {{"job_name", spec.job_name},   {"module_name", spec.module_name},
                 {"trainer_uri", spec.trainer_uri}, {"job_args", spec.job_args},
                 {"job_dir", spec.job_dir},     {"framework", spec.framework},
                 {"framework_version", spec.framework_version}};
  return cluster;
}

std::optional<ReplicaId> ParseReplicaName(std::string_view text) {
  const auto dash = text.rfind('-');
  if (dash == 0 || dash == std::string_view::npos) return std::nullopt;
  const auto index = ParseUnsigned(text.substr(dash + 1));
  if (!index || *index >= kMostReplicas) return std::nullopt;
  return ReplicaId{std::string(text.substr(0, dash)), static_cast<std::uint32_t>(*index)};
}

std::string ReplicaNameOf(const ReplicaStatus& replica) {
  return replica.role + "-" + std::to_string(replica.index);
}

}  // namespace cml
