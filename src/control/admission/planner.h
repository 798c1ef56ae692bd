// control/admission/planner.h — the policy of plan.h on an index of the facts that is kept up to date by
// events, for those who decide often: a decision costs what it changes, not what there is.
//
// Not thread-safe. Owns copies of all it is given. Cannot fail: what is told twice or is unknown is
// ignored. Decide() acts on its own book as if its answer were carried out at once. At any time
// Decide() answers as PlanAdmission does for a snapshot of the same facts.
#pragma once
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/admission/fair_share.h"
#include "control/admission/nodes.h"
#include "control/admission/plan.h"

namespace cml::control::admission {

class Planner {
 public:
  explicit Planner(const Policy& policy = {}, std::vector<UsualAsk> usual = {});
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;

  void Add(const NodeFacts& node) { nodes_.Add(node); }  // before the first gang
  void Set(const OrgFacts& org);
  void Add(const WaitingGang& gang);
  void Add(const RunningGang& gang);
  void Remove(const ResourceId& id);  // it ended, or is wanted no more
  void Advance(SysTime now);          // never back

  struct Decision {
    std::vector<Preemption> preemptions;
    std::vector<Start> starts;
  };
  Decision Decide(Seek seek = Seek::kPreemption);

  // Why it waits; of the state after the last Decide. nullopt-like: an empty sentence for who does not wait.
  WaitReason Explain(const ResourceId& id);
  std::vector<WaitReason> ExplainAll();  // by id

  // Of each organisation with something held or wanted, by id: for UseLedger, and for people.
  struct Standing {
    OrgId org;
    double weight = 1;
    double share = 0, entitled = 0, target = 0;  // dominant shares
    std::size_t waiting = 0, running = 0;
  };
  std::vector<Standing> Standings();
  std::size_t waiting() const { return waiting_count_; }
  // What gang `id` holds now; empty for who does not run.
  std::vector<Placement> Placements(const ResourceId& id) const;

 private:
  using Ix = std::int32_t;
  enum class Where { kGone, kWaiting, kRunning };
  struct Shape {  // of a gang
    std::vector<NodeIndex::Part> roles;    // largest first
    std::vector<std::size_t> role_of;      // roles[n] was given as number role_of[n]
    Amounts total;
    std::int64_t width = 0;                // thousandths of a GPU
    std::size_t waiting = 0;
    bool blocked = false;                  // does not fit into what is free; reservations aside
    bool listed = false;                   // in blocked_
    std::uint32_t refused = 0;             // the round in which it did not fit beside the reservations
    int possible = -1;                     // 1: on the nodes empty; 0: never; -1: not known yet
  };
  struct Job {
    ResourceId id;
    Ix org = 0, shape = 0;
    Priority priority;
    std::int64_t since = 0, ran = 0, from = 0;  // milliseconds; from: started, or waits since
    Where where = Where::kGone;
    Preemptible preemptible = Preemptible::kNo;
    int level = 0;
    std::uint32_t barred = 0;              // the round in which it was preempted
    std::int64_t level_changes = 0;        // when; 0: not by itself
    std::vector<Spot> spots;               // in the order of Shape::roles
  };
  struct ByTurn {  // who is served first
    const Planner* planner;
    bool operator()(Ix a, Ix b) const;
  };
  struct ByWorth {  // who is preempted first
    const Planner* planner;
    bool operator()(Ix a, Ix b) const;
  };
  struct Bucket {  // those of one organisation, priority and shape
    Priority priority;
    Ix shape = 0;
    std::set<Ix, ByTurn> jobs;
    std::uint32_t closed = 0;  // the round in which its head could not start
  };
  struct Org {
    explicit Org(const Planner* planner) : victims(ByWorth{planner}) {}
    OrgFacts facts;
    Ix cohort = -1;
    Amounts held, wanted;
    double share = 0, entitled = 0, target = 0;
    std::vector<std::unique_ptr<Bucket>> buckets;
    std::map<std::pair<Priority, Ix>, Bucket*> by_kind;
    std::set<Ix, ByWorth> victims;  // the preemptible ones that run
    std::size_t waiting = 0, running = 0;
  };
  struct Cohort {
    Amounts quota, held;
  };
  struct Victim {
    Ix job;
    PreemptionRule rule;
    double ratio;  // of its organisation
  };

  Job& job(Ix i) { return jobs_[static_cast<std::size_t>(i)]; }
  const Job& job(Ix i) const { return jobs_[static_cast<std::size_t>(i)]; }
  Org& org(Ix i) { return *orgs_[static_cast<std::size_t>(i)]; }
  Shape& shape(Ix i) { return shapes_[static_cast<std::size_t>(i)]; }
  const Shape& shape(Ix i) const { return shapes_[static_cast<std::size_t>(i)]; }

  Ix OrgFor(const OrgId& id);
  Ix ShapeFor(const GangAsk& gang);
  Ix NewJob(const GangFacts& facts);
  int LevelOf(std::int64_t width, std::int64_t ran) const;
  void SetLevel(Ix i);
  void Queue(Ix i);
  void Unqueue(Ix i);
  void Hold(Ix i);
  void Release(Ix i);
  void Leave(Ix i);
  void Count(Ix i, std::int64_t sign);
  void Freed(const std::vector<Spot>& spots);
  double RatioOf(const Org& o, double share) const;

  void Aim();
  bool Turn(Ix a, Ix b) const;
  Ix HeadOf(const Bucket& bucket) const;
  Ix FirstOf(Org& o, Bucket** where);
  void ReserveForPatient();
  void Fill(Decision& decision);
  bool WithinQuota(const Job& j);
  std::vector<Spot> PlaceGang(Ix shape_ix, const Reservation* owner);
  void Undo(Ix shape_ix, const std::vector<Spot>& spots);
  bool FitsNow(Ix shape_ix);
  const Reservation* ReservationOf(Ix i) const;
  void Begin(Ix i, std::vector<Spot> spots, Decision& decision);
  void Preempt(Decision& decision);
  std::vector<Victim> VictimsFor(Ix i);
  void KeepUseful(Ix shape_ix, std::vector<Victim>& victims);
  void SortByWorth(std::vector<Victim>& victims) const;
  bool StillDue(const Victim& victim, const Job& j);
  bool MayMove(Ix v, const Job& j) const;
  std::vector<Ix> LeastToMove(NodeIndex::AskIx ask, const Job& j, const Reservation* owner) const;
  bool MakeRoomByMoves(Ix i, Decision& decision);
  bool MakeRoom(Ix i, Decision& decision);
  bool Possible(Ix shape_ix);
  bool BackIfFree(Ix victim);
  WaitReason ReasonFor(Ix i, std::int64_t position);
  std::string NoRoom(const Shape& s);
  std::string QuotaSentence(const Job& j);
  std::int64_t Quantum(const Job& j) const;

  const Policy policy_;
  NodeIndex nodes_;
  std::vector<Job> jobs_;
  std::vector<Ix> unused_;
  std::unordered_map<ResourceId, Ix> by_id_;
  std::vector<Shape> shapes_;
  std::map<GangAsk, Ix> shape_ix_;
  std::vector<Ix> blocked_;
  std::vector<std::vector<Ix>> on_node_;  // who runs there
  std::vector<std::unique_ptr<Org>> orgs_;
  std::map<OrgId, Ix> org_ix_;  // by id: the order of all sums
  std::vector<Cohort> cohorts_;
  std::map<std::string, Ix> cohort_ix_;
  struct Timer {
    std::int64_t at;
    Ix job;
    friend bool operator>(const Timer& a, const Timer& b) { return a.at > b.at; }
  };
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::vector<std::pair<Ix, std::unique_ptr<Reservation>>> reservations_;
  std::int64_t now_ = 0;
  std::uint32_t round_ = 0;
  std::size_t waiting_count_ = 0;
};

}  // namespace cml::control::admission
