#include "core/train_job_usage.h"

#include <algorithm>

namespace cml {

namespace {

// What this replica had: its part of what the job reserved, and its own cards.
struct Share {
  Limits limits;
  std::string gpu_model;
};
Share ShareOf(const TrainJob& job, const ReplicaStatus& replica) {
  if (job.record.replicas.empty()) return {job.record.limits, job.record.placement.gpu_model};
  Share share;
  for (const RolePlan& role : RolesOf(job.wish.spec)) {
    if (role.name == replica.role) share.limits = role.limits;
  }
  for (const Replica& r : job.record.replicas) {
    const bool same = r.status.role == replica.role && r.status.index == replica.index;
    if (same) share.gpu_model = r.placement.gpu_model;
  }
  return share;
}

}  // namespace

std::vector<UsageRecord> UsageOf(const TrainJob& job, const std::vector<ReplicaStatus>& replicas,
                                 SysTime now) {
  std::vector<UsageRecord> all;
  for (const ReplicaStatus& replica : replicas) {
    SysTime from = replica.started;
    // Its files were damaged; that it ran, the record knows.
    if (from == SysTime{} && replica.reason == "RunLost" &&
        job.record.state == TrainJobState::kRunning) {
      from = job.record.started;
    }
    if (from == SysTime{}) continue;
    UsageRecord usage;
    usage.id = ToString(RunKey{job.meta.id, job.record.incarnation}) + "/" + replica.role + "-" +
               std::to_string(replica.index);
    usage.kind = ToString(ResourceKind::kTrainJob);
    usage.org = job.meta.org;
    usage.user = job.wish.user;
    usage.key = job.wish.submitted_by;
    usage.resource = job.meta.id;
    usage.name = job.meta.name;
    usage.labels = job.wish.spec.labels;
    const Share share = ShareOf(job, replica);
    usage.millicores = share.limits.millicores;
    usage.memory_bytes = share.limits.memory_bytes;
    usage.gpus = share.limits.gpus;
    if (usage.gpus > 0) usage.gpu_model = share.gpu_model;
    usage.from = from;
    usage.to = std::max(from, replica.ended == SysTime{} ? now : replica.ended);
    all.push_back(std::move(usage));
  }
  return all;
}

std::vector<UsageRecord> UsageWithoutTrace(const TrainJob& job) {
  if (job.record.state != TrainJobState::kRunning) return {};
  if (!job.record.replicas.empty()) {
    std::vector<ReplicaStatus> seen;
    for (const Replica& r : job.record.replicas) seen.push_back(r.status);
    return UsageOf(job, seen, job.meta.updated);
  }
  ReplicaStatus replica;
  replica.role = "worker";
  replica.started = job.record.started;
  replica.ended = job.meta.updated;
  return UsageOf(job, {replica}, job.meta.updated);
}

}  // namespace cml
