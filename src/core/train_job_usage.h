// core/train_job_usage.h — what the replicas of a train job's run have held, and for how long: the
// reserved limits from the command's start to its end. Pure.
#pragma once
#include <vector>

#include "core/run.h"
#include "core/train_job.h"
#include "core/usage.h"

namespace cml {

// One record for each replica whose command was started, from its own start to its own end, or to
// `now` where it still runs. Waiting, placing and preparing are not counted. The ids are of the
// run and its replicas, so that the same end recorded twice counts once.
std::vector<UsageRecord> UsageOf(const TrainJob& job, const std::vector<ReplicaStatus>& replicas,
                                 SysTime now);

// When nothing is left of the run that the record says is running: from its start to when it was
// last known to run.
std::vector<UsageRecord> UsageWithoutTrace(const TrainJob& job);

}  // namespace cml
