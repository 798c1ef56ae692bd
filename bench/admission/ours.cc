// Our policy in the simulator: the planner by events, and now and then the pure function on a snapshot, which
// must say the same.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "control/admission/planner.h"
#include "simulator.h"

namespace cml::bench {
namespace {

using namespace control::admission;

constexpr std::int64_t kTick = 60'000;  // while somebody waits, time alone may change the answer

class Ours : public Scheduler {
 public:
  Ours(const Simulator& sim, Orgs orgs, const PhillyOptions& options)
      : orgs_(orgs), check_(options.check), policy_(PolicyFor(options)), planner_(policy_) {
    for (const NodeFacts& node : sim.nodes()) planner_.Add(node);
    sim_ = &sim;
  }
  std::string name() const override { return orgs_ == Orgs::kOne ? "ours, one organisation" : "ours, fair between 15"; }
  void Arrived(int job) override { planner_.Add(WaitingFacts(job)); }
  void Ended(int job) override { planner_.Remove(IdOf(job)); }
  std::int64_t Timer(const Simulator& sim) override {
    return planner_.waiting() > 0 ? (sim.now() / kTick + 1) * kTick : kNever;
  }

  void Schedule(Simulator& sim) override {
    const double seconds = static_cast<double>(sim.now() - charged_) / 1000;
    charged_ = sim.now();
    for (const Planner::Standing& s : standings_) ledgers_[s.org].Charge(seconds, s.share, s.entitled);
    for (const auto& [org, ledger] : ledgers_) {
      OrgFacts facts;
      facts.id = org;
      facts.over_use = ledger.over_use();
      planner_.Set(facts);
    }
    planner_.Advance(Time(sim.now()));
    const bool compare = check_ > 0 && ++decisions_ % check_ == 0;
    Plan pure;
    if (compare) pure = PlanAdmission(TakeSnapshot(sim), policy_);
    const Planner::Decision decision = planner_.Decide();
    if (compare) Compare(pure, decision);
    for (const Preemption& p : decision.preemptions) sim.Stop(JobOf(p.victim));
    for (const Start& s : decision.starts) sim.Start(JobOf(s.id));
    standings_ = planner_.Standings();
  }

 private:
  static Policy PolicyFor(const PhillyOptions& options) {
    Policy policy;
    if (options.quantum > 0) policy.quantum_least = options.quantum * std::int64_t{60'000};
    return policy;
  }
  static SysTime Time(std::int64_t ms) { return SysTime{std::chrono::milliseconds{ms + 1}}; }
  static ResourceId IdOf(int job) {
    char id[16];
    std::snprintf(id, sizeof id, "%010d", job);
    return ResourceId{id};
  }
  static int JobOf(const ResourceId& id) { return std::atoi(id.str().c_str()); }
  OrgId OrgOf(const SimJob& j) const { return OrgId{orgs_ == Orgs::kOne ? "1" : std::to_string(100 + j.org)}; }

  template <class Gang>
  Gang Facts(int job) const {
    const SimJob& j = sim_->jobs()[static_cast<std::size_t>(job)];
    Gang g;
    g.id = IdOf(job);
    g.org = OrgOf(j);
    g.since = Time(j.submit);
    g.gang = sim_->GangOf(j.gpus);
    g.ran_ms = j.held;
    g.preemptible = Preemptible::kYes;
    return g;
  }
  WaitingGang WaitingFacts(int job) const {
    WaitingGang g = Facts<WaitingGang>(job);
    if (const std::int64_t stopped = sim_->jobs()[static_cast<std::size_t>(job)].stopped; stopped >= 0) g.wait_from = Time(stopped);
    return g;
  }

  Snapshot TakeSnapshot(const Simulator& sim) {
    Snapshot s;
    s.now = Time(sim.now());
    s.nodes = sim.nodes();
    for (const auto& [org, ledger] : ledgers_) {
      OrgFacts facts;
      facts.id = org;
      facts.over_use = ledger.over_use();
      s.orgs.push_back(facts);
    }
    for (int i = 0; i < static_cast<int>(sim.jobs().size()); ++i) {
      const SimJob& j = sim.jobs()[static_cast<std::size_t>(i)];
      if (j.waiting) s.waiting.push_back(WaitingFacts(i));
      if (!j.running) continue;
      RunningGang g = Facts<RunningGang>(i);
      g.started = Time(j.started);
      g.placements = planner_.Placements(g.id);
      s.running.push_back(std::move(g));
    }
    return s;
  }

  static void Compare(const Plan& pure, const Planner::Decision& decision) {
    bool same = pure.starts.size() == decision.starts.size() && pure.preemptions.size() == decision.preemptions.size();
    for (std::size_t k = 0; same && k < pure.starts.size(); ++k) {
      same = pure.starts[k].id == decision.starts[k].id && pure.starts[k].placements == decision.starts[k].placements;
    }
    for (std::size_t k = 0; same && k < pure.preemptions.size(); ++k) same = pure.preemptions[k].victim == decision.preemptions[k].victim;
    if (same) return;
    std::fprintf(stderr, "error: the index and the pure function disagree\n");
    std::exit(1);
  }

  const Orgs orgs_;
  const int check_;
  const Simulator* sim_ = nullptr;
  const Policy policy_;
  Planner planner_;
  std::map<OrgId, UseLedger> ledgers_;
  std::vector<Planner::Standing> standings_;
  std::int64_t charged_ = 0;
  std::int64_t decisions_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> MakeOurs(const Simulator& sim, Orgs orgs, const PhillyOptions& options) {
  return std::make_unique<Ours>(sim, orgs, options);
}

}  // namespace cml::bench
