// control/admission/plan.h — which waiting gangs may start, and where; who is to make room; and why
// the others wait. One pure function over a snapshot, for all backends: same snapshot, same answer,
// in whatever order its lists are. Cannot fail; what makes no sense (a gang without replicas, an unknown
// node) waits or is ignored, and is told.
//
// The policy, in the order in which it decides
//  1. Priority. Class, then rank. What is of higher priority is served first.
//  2. Fair share. Among equals the organisation that is furthest below its target. Entitlement is
//     dominant resource fairness (Ghodsi, NSDI 11) weighted, bounded by demand and quota; the target is
//     the entitlement less recent use above it, spread over `correction` (fair_share.h).
//  3. Least service. Within an organisation by level: attained service (width × time, as the
//     two-dimensional service of Tiresias, NSDI 19) in steps that grow fourfold; then by arrival.
//     Who has waited `ageing` times as long as it ran goes up a level, so that nobody starves.
//  4. Quota. Own quota, plus what the cohort's others leave, up to the borrowing limit.
//  5. Gang. All replicas have a place, or none.
//  6. Backfill. Who does not fit is overtaken; who is first in its organisation, at the lowest level, and
//     has waited for `patience` is given a reservation: on the nodes where it fits soonest nobody takes of
//     what it lacks there.
//  7. Place. Where the least room is lost for what is usually asked for (nodes.h).
//  8. Preemption, for those who were not placed. A victim is preemptible and
//       of lower priority (the PRIORITY rule), or of equal priority, has run for its quantum, and
//         – is of the same organisation and of a higher level, or of the same and came later than one with
//           a reservation (the TURN rule), or
//         – its organisation stays above its target further than the other would come (the SHARE rule), or
//         – its organisation borrows, and the other takes no more than its own quota of the same cohort
//           (the RECLAIM rule).
//         – there is enough room, but scattered, and the victim starts again elsewhere in the same plan (the
//           MOVE rule; of lower priority as well).
//     Never one of higher priority. Only who is needed to make room goes.
#pragma once
#include <string>
#include <vector>

#include "control/admission/snapshot.h"

namespace cml::control::admission {

// Durations in milliseconds; service in width × milliseconds, where the width of a gang is its GPUs, or
// its CPUs and memory as GPUs of kMillicoresPerGpu and kMemoryPerGpu when that is more.
struct Policy {
  std::int64_t first_level = 1'000'000;     // 1,000 GPU seconds
  std::int64_t level_factor = 4;
  int levels = 7;                           // the last one is without end: first come, first served
  std::int64_t ageing = 8;
  std::int64_t ageing_least = 30 * 60'000;  // of what it ran, for who ran less
  std::int64_t quantum_least = 10 * 60'000;
  std::int64_t quantum_part = 10;           // 1/10 of what it ran before, if that is more
  std::int64_t patience = 30 * 60'000;
  int reservations = 4;                     // at most so many gangs at a time
  double correction = 600;                  // seconds
  int attempts = 8;                         // kinds of gang for which room is sought in one plan
  int victims_looked_at = 512;
};

enum class PreemptionRule { kPriority, kTurn, kShare, kReclaim, kMove };
struct Preemption {
  ResourceId victim;
  ResourceId in_favour_of;
  PreemptionRule rule = PreemptionRule::kPriority;
};
// Holds once the preempted of this plan have left.
struct Start {
  ResourceId id;
  std::vector<Placement> placements;  // per replica, in the order of roles
};

enum class WaitKind {
  kNoSuchNode,   // no open node has the labels, or the GPU model
  kNeverFits,    // more than any node, or all of them together, have
  kOverQuota,    // more than its quota and borrowing limit, ever
  kQuota,        // until others of its organisation or cohort end
  kNoRoom,       // does not fit into what is free
  kReserved,     // would fit, but there is a reservation for one before it
  kPreempted,    // has just made room for another
};
struct WaitReason {
  ResourceId id;
  WaitKind kind = WaitKind::kNoRoom;
  std::string sentence;
  std::int64_t position = 0;  // in its organisation's queue; the first is 1
};

struct Plan {
  std::vector<Preemption> preemptions;
  std::vector<Start> starts;        // in the order in which they were decided
  std::vector<WaitReason> reasons;  // one for each that goes on waiting, by id
};
Plan PlanAdmission(const Snapshot& snapshot, const Policy& policy = {});

}  // namespace cml::control::admission
