// control/track_replicas.h — takes what was observed of a distributed job's replicas into its record,
// and tells as events what is new. Pure.
//
// An event about one replica begins with its name: "worker-1: …".
#pragma once
#include <vector>

#include "core/run.h"
#include "core/train_job.h"

namespace cml::control {

// The record's rows for these placements, nothing of them started yet.
std::vector<Replica> PlacedReplicas(const std::vector<RolePlan>& roles, const std::vector<Placement>& placements);

enum class News { kNone, kSome };
// Usage alone is no news. Does nothing for a job without rows.
News TrackReplicas(const std::vector<ReplicaStatus>& seen, SysTime now, TrainJobRecord& record,
                   std::vector<Event>& events);

Usage Sum(const std::vector<ReplicaStatus>& replicas);

}  // namespace cml::control
