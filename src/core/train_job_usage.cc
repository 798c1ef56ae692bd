#include "core/train_job_usage.h"

#include <algorithm>

namespace cml {

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
    usage.millicores = job.record.limits.millicores;
    usage.memory_bytes = job.record.limits.memory_bytes;
    usage.gpus = job.record.limits.gpus;
    if (usage.gpus > 0) usage.gpu_model = job.record.placement.gpu_model;
    usage.from = from;
    usage.to = std::max(from, replica.ended == SysTime{} ? now : replica.ended);
    all.push_back(std::move(usage));
  }
  return all;
}

std::vector<UsageRecord> UsageWithoutTrace(const TrainJob& job) {
  if (job.record.state != TrainJobState::kRunning) return {};
  ReplicaStatus replica;
  replica.role = "worker";
  replica.started = job.record.started;
  replica.ended = job.meta.updated;
  return UsageOf(job, {replica}, job.meta.updated);
}

}  // namespace cml
