// control/plan_admission.h — which waiting jobs may start, and where. A pure function over a
// snapshot: same snapshot, same answer; no clock, no I/O.
//
// Order: priority class, then rank, then time of arrival. A job that does not fit holds back those
// behind it only for what it lacks itself: while it waits for GPUs, jobs that ask for none go on.
// So nobody is overtaken on the resource he waits for, and nobody starves.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/id.h"
#include "core/run.h"
#include "core/train_job.h"

namespace cml::control {

struct WaitingJob {
  ResourceId id;
  PriorityClass priority = PriorityClass::kPreferred;
  std::int64_t rank = 0;
  SysTime since{};
  Limits ask;  // of all replicas together
  std::string selector_key, selector_value{};  // of a node's label; empty: any node
  // Of a job of several, what each asks for; empty: one that asks for all.
  std::vector<Limits> replicas{};

  // First to start comes first.
  friend bool operator<(const WaitingJob& a, const WaitingJob& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    if (a.rank != b.rank) return a.rank > b.rank;
    if (a.since != b.since) return a.since < b.since;
    return a.id < b.id;
  }
};

struct NodeUse {
  Node node;
  std::int64_t millicores_used = 0;
  std::int64_t memory_used = 0;
  std::vector<int> gpus_used;  // indices
};

struct Admission {
  ResourceId id;
  std::vector<Placement> placements;  // one per replica: all of them have a place, or none
};
struct AdmissionPlan {
  std::vector<Admission> starts;
  std::map<ResourceId, std::string> reasons;  // for each waiting job that was looked at
};

// `waiting` in order. Jobs behind the point where nothing is left to give are not looked at.
AdmissionPlan PlanAdmission(std::vector<NodeUse> nodes, const std::vector<WaitingJob>& waiting);

// Takes `ask` from a node; the placement names the GPUs. nullopt-like: empty node name when it
// does not fit.
Placement TryPlace(NodeUse& node, const Limits& ask);

}  // namespace cml::control
