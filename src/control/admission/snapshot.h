// control/admission/snapshot.h — all that admission may know: nodes, organisations, what runs and who
// waits, at one instant. Plain values; owns nothing, cannot fail.
//
// Everything is per replica and in whole numbers. GPUs are counted in thousandths of a card: below
// 1000 a part of one card, else a multiple of 1000, whole cards. How long a job will run is not here,
// and no policy that reads this can know it.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "core/run.h"
#include "core/train_job.h"

namespace cml::control::admission {

inline constexpr std::int64_t kWholeCard = 1000;

struct Amounts {
  std::int64_t millicores = 0, memory_bytes = 0, gpu_milli = 0;

  Amounts& operator+=(const Amounts& o) {
    millicores += o.millicores;
    memory_bytes += o.memory_bytes;
    gpu_milli += o.gpu_milli;
    return *this;
  }
  Amounts& operator-=(const Amounts& o) {
    millicores -= o.millicores;
    memory_bytes -= o.memory_bytes;
    gpu_milli -= o.gpu_milli;
    return *this;
  }
  friend Amounts operator+(Amounts a, const Amounts& b) { return a += b; }
  friend Amounts operator-(Amounts a, const Amounts& b) { return a -= b; }
  friend Amounts operator*(const Amounts& a, std::int64_t n) {
    return {a.millicores * n, a.memory_bytes * n, a.gpu_milli * n};
  }
  bool Within(const Amounts& most) const {
    return millicores <= most.millicores && memory_bytes <= most.memory_bytes && gpu_milli <= most.gpu_milli;
  }
  friend auto operator<=>(const Amounts&, const Amounts&) = default;
};

// What one replica asks for.
struct Ask {
  Amounts amounts;
  std::string gpu_model;                        // empty: any
  std::map<std::string, std::string> selector;  // labels that its node must have
  friend auto operator<=>(const Ask&, const Ask&) = default;
};
struct RoleAsk {
  std::int64_t replicas = 1;
  Ask ask;
  friend auto operator<=>(const RoleAsk&, const RoleAsk&) = default;
};
using GangAsk = std::vector<RoleAsk>;  // all replicas of all roles, or none
Amounts Total(const GangAsk& gang);

// Of two jobs the one of the higher class is of higher priority, in one class that of the higher rank.
struct Priority {
  PriorityClass priority_class = PriorityClass::kPreferred;
  std::int64_t rank = 0;
  friend auto operator<=>(const Priority&, const Priority&) = default;
};

enum class NodeUse { kOpen, kCordoned };  // cordoned: what runs there may go on, nothing new
struct NodeFacts {
  Node node;
  NodeUse use = NodeUse::kOpen;
};

// An organisation may hold its quota and `borrow` more as long as the cohort as a whole stays within
// the sum of its quotas. No quota: as much as there is. An organisation that is not listed has weight 1.
struct OrgFacts {
  OrgId id;
  double weight = 1;              // > 0
  std::string cohort;             // empty: borrows from nobody
  std::optional<Amounts> quota;
  Amounts borrow;
  // Recent use above (or below) what it was entitled to, as fractions of the cluster × seconds, faded
  // with time: UseLedger of fair_share.h keeps it.
  double over_use = 0;
};

enum class Preemptible { kNo, kYes };

struct GangFacts {
  ResourceId id;
  OrgId org;
  Priority priority;
  SysTime since{};             // when it was first enqueued
  GangAsk gang;
  std::int64_t ran_ms = 0;     // in all earlier runs together
  Preemptible preemptible = Preemptible::kNo;
};
struct WaitingGang : GangFacts {
  SysTime wait_from{};         // since when it waits this time; the epoch: `since`
};
struct RunningGang : GangFacts {
  SysTime started{};                  // of this run
  std::vector<Placement> placements;  // per replica, in the order of roles
};

// What is asked for as a rule, for instance the gangs of the last days: placement keeps room for it.
struct UsualAsk {
  Ask ask;
  std::int64_t count = 0;
};

// After an event it is enough to give away what is free. Now and then, say once a minute while somebody
// waits, room is made by preemption as well: that looks at far more.
enum class Seek { kFreeRoom, kPreemption };

struct Snapshot {
  SysTime now{};
  Seek seek = Seek::kPreemption;
  std::vector<NodeFacts> nodes;
  std::vector<OrgFacts> orgs;
  std::vector<RunningGang> running;
  std::vector<WaitingGang> waiting;
  std::vector<UsualAsk> usual;  // empty: best fit
};

}  // namespace cml::control::admission
