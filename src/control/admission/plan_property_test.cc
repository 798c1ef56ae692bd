// Random snapshots against what plan.h promises, judged by plain sums that share no code with the planner.
// Each failure prints its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "control/admission/planner.h"

namespace cml::control::admission {
namespace {

SysTime At(std::int64_t seconds) { return SysTime{std::chrono::seconds{1'000'000 + seconds}}; }

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  std::int64_t Below(std::int64_t n) { return static_cast<std::int64_t>(random_() % static_cast<unsigned long>(n)); }
  bool Once(int in) { return Below(in) == 0; }

 private:
  std::mt19937_64 random_;
};

// ---- the judge's own book of a snapshot ----

struct Machine {
  std::int64_t cpu = 0, memory = 0;
  std::map<int, std::int64_t> cards;
  std::map<int, std::string> models;
  const NodeFacts* facts = nullptr;
};

bool Part(const Ask& ask) { return ask.amounts.gpu_milli > 0 && ask.amounts.gpu_milli < kWholeCard; }

struct Book {
  std::map<std::string, Machine> machines;
  std::map<OrgId, Amounts> held;

  explicit Book(const Snapshot& s) {
    for (const NodeFacts& n : s.nodes) {
      Machine m{n.node.millicores, n.node.memory_bytes, {}, {}, &n};
      for (const Gpu& g : n.node.gpus) {
        m.cards[g.index] = kWholeCard;
        m.models[g.index] = g.model;
      }
      machines[n.node.name] = m;
    }
    for (const RunningGang& r : s.running) Move(r, r.placements, 1);
  }
  void Move(const GangFacts& gang, const std::vector<Placement>& placements, std::int64_t sign) {
    std::size_t next = 0;
    for (const RoleAsk& role : gang.gang) {
      for (std::int64_t n = 0; n < role.replicas; ++n, ++next) {
        Machine& m = machines.at(placements.at(next).node);
        m.cpu -= sign * role.ask.amounts.millicores;
        m.memory -= sign * role.ask.amounts.memory_bytes;
        for (const int card : placements[next].gpus) m.cards.at(card) -= sign * (Part(role.ask) ? role.ask.amounts.gpu_milli : kWholeCard);
        held[gang.org] += role.ask.amounts * sign;
      }
    }
  }
  bool NothingNegative() const {
    return std::all_of(machines.begin(), machines.end(), [](const auto& m) {
      return m.second.cpu >= 0 && m.second.memory >= 0 &&
             std::all_of(m.second.cards.begin(), m.second.cards.end(), [](const auto& c) { return c.second >= 0; });
    });
  }
  // How many replicas fit on the machine; on the empty one when `empty`.
  static std::int64_t Room(const Machine& m, const Ask& ask, bool empty) {
    if (m.facts->use == NodeUse::kCordoned) return 0;
    for (const auto& [key, value] : ask.selector) {
      const auto it = m.facts->node.labels.find(key);
      if (it == m.facts->node.labels.end() || it->second != value) return 0;
    }
    std::int64_t most = 1'000'000;
    const Amounts& a = ask.amounts;
    if (a.millicores > 0) most = std::min(most, (empty ? m.facts->node.millicores : m.cpu) / a.millicores);
    if (a.memory_bytes > 0) most = std::min(most, (empty ? m.facts->node.memory_bytes : m.memory) / a.memory_bytes);
    if (a.gpu_milli > 0) {
      std::int64_t cards = 0;
      for (const auto& [index, free] : m.cards) {
        if (!ask.gpu_model.empty() && m.models.at(index) != ask.gpu_model) continue;
        const std::int64_t there = empty ? kWholeCard : free;
        cards += Part(ask) ? there / a.gpu_milli : there / kWholeCard;
      }
      most = std::min(most, Part(ask) ? cards : cards / (a.gpu_milli / kWholeCard));
    }
    return most;
  }
  std::int64_t Room(const Ask& ask, bool empty = false) const {
    std::int64_t sum = 0;
    for (const auto& [name, m] : machines) sum += Room(m, ask, empty);
    return sum;
  }
};

const OrgFacts* OrgOf(const Snapshot& s, const OrgId& id) {
  for (const OrgFacts& o : s.orgs) {
    if (o.id == id) return &o;
  }
  return nullptr;
}

bool WithinQuota(const Snapshot& s, const Book& book, const OrgId& id, const Amounts& more) {
  const OrgFacts* o = OrgOf(s, id);
  if (o == nullptr || !o->quota) return true;
  const auto held = [&](const OrgId& org) {
    const auto it = book.held.find(org);
    return it == book.held.end() ? Amounts{} : it->second;
  };
  if (!(held(id) + more).Within(*o->quota + (o->cohort.empty() ? Amounts{} : o->borrow))) return false;
  if (o->cohort.empty()) return true;
  Amounts quota, all = more;
  for (const OrgFacts& other : s.orgs) {
    if (other.cohort != o->cohort || !other.quota) continue;
    quota += *other.quota;
    all += held(other.id);
  }
  return all.Within(quota);
}

// ---- random snapshots ----

Ask RandomAsk(Dice& dice) {
  Ask ask;
  ask.amounts = {dice.Below(9) * 1000, dice.Below(9) << 30, 0};
  const std::int64_t gpu = dice.Below(8);
  if (gpu >= 6) ask.amounts.gpu_milli = 100 + 100 * dice.Below(9);
  else if (gpu >= 2) ask.amounts.gpu_milli = kWholeCard << (gpu - 2);
  else if (ask.amounts.millicores == 0) ask.amounts.millicores = 500;
  if (ask.amounts.gpu_milli > 0 && dice.Once(4)) ask.gpu_model = dice.Once(3) ? "h100" : dice.Once(2) ? "a10" : "v100";
  if (dice.Once(8)) ask.selector["zone"] = dice.Once(4) ? "c" : dice.Once(2) ? "b" : "a";
  return ask;
}

template <class Gang>
Gang RandomGang(Dice& dice, int number) {
  Gang g;
  g.id = ResourceId{"j" + std::to_string(number)};
  g.org = OrgId{std::to_string(dice.Below(5))};
  g.priority = {static_cast<PriorityClass>(dice.Below(3)), dice.Below(2)};
  g.since = At(-dice.Below(20'000));
  g.ran_ms = dice.Once(2) ? 0 : dice.Below(40'000'000);
  g.preemptible = dice.Once(4) ? Preemptible::kNo : Preemptible::kYes;
  g.gang.push_back({dice.Once(3) ? 1 + dice.Below(4) : 1, RandomAsk(dice)});
  if (dice.Once(5)) g.gang.push_back({1 + dice.Below(2), RandomAsk(dice)});
  return g;
}

Snapshot RandomSnapshot(unsigned seed) {
  Dice dice(seed);
  Snapshot s;
  s.now = At(0);
  s.seek = dice.Once(4) ? Seek::kFreeRoom : Seek::kPreemption;
  const std::int64_t nodes = 1 + dice.Below(6);
  for (std::int64_t n = 0; n < nodes; ++n) {
    NodeFacts node{{"n" + std::to_string(n), (1 + dice.Below(32)) * 1000, (1 + dice.Below(64)) << 30, {}, {}}, NodeUse::kOpen};
    const std::int64_t cards = dice.Below(9);
    const bool mixed = dice.Once(5);
    for (std::int64_t c = 0; c < cards; ++c) node.node.gpus.push_back({static_cast<int>(c * 2), mixed && c % 2 == 1 ? "a10" : n % 2 == 0 ? "v100" : "a10", ""});
    node.node.labels["zone"] = dice.Once(2) ? "a" : "b";
    if (dice.Once(8)) node.use = NodeUse::kCordoned;
    s.nodes.push_back(node);
  }
  for (int o = 0; o < 5; ++o) {
    OrgFacts org;
    org.id = OrgId{std::to_string(o)};
    org.weight = static_cast<double>(1 + dice.Below(3));
    if (!dice.Once(3)) org.quota = Amounts{dice.Below(64) * 1000, dice.Below(99) << 30, dice.Below(12) * kWholeCard};
    if (!dice.Once(3)) org.cohort = dice.Once(4) ? "y" : "x";
    if (dice.Once(2)) org.borrow = Amounts{dice.Below(32) * 1000, dice.Below(64) << 30, dice.Below(8) * kWholeCard};
    org.over_use = static_cast<double>(dice.Below(200) - 100);
    s.orgs.push_back(org);
  }
  for (int k = 0; k < 4; ++k) s.usual.push_back({RandomAsk(dice), 1 + dice.Below(20)});
  // What runs was put there without thought, but fits.
  Book book(s);
  for (int k = 0; k < 30; ++k) {
    RunningGang r = RandomGang<RunningGang>(dice, k);
    r.started = At(-dice.Below(6000));
    const Ask& ask = r.gang[0].ask;
    r.gang = {{1, ask}};
    for (auto& [name, m] : book.machines) {
      if (Book::Room(m, ask, false) < 1 || dice.Once(3)) continue;
      Placement p{name, {}};
      for (const auto& [index, free] : m.cards) {
        const bool enough = Part(ask) ? p.gpus.empty() : static_cast<std::int64_t>(p.gpus.size()) * kWholeCard < ask.amounts.gpu_milli;
        if (ask.amounts.gpu_milli == 0 || !enough || free < (Part(ask) ? ask.amounts.gpu_milli : kWholeCard)) continue;
        if (ask.gpu_model.empty() || m.models.at(index) == ask.gpu_model) p.gpus.push_back(index);
      }
      r.placements = {p};
      book.Move(r, r.placements, 1);
      s.running.push_back(r);
      break;
    }
  }
  const std::int64_t waiting = dice.Below(40);
  for (int k = 0; k < waiting; ++k) {
    WaitingGang w = RandomGang<WaitingGang>(dice, 100 + k);
    if (dice.Once(2)) w.wait_from = w.since + std::chrono::seconds{dice.Below(600)};
    s.waiting.push_back(w);
  }
  return s;
}

std::string Describe(const Plan& plan) {
  std::string text;
  for (const Preemption& p : plan.preemptions) text += "-" + p.victim.str() + " for " + p.in_favour_of.str() + "\n";
  for (const Start& s : plan.starts) {
    text += "+" + s.id.str();
    for (const Placement& p : s.placements) {
      text += " " + p.node + ":";
      for (const int g : p.gpus) text += std::to_string(g) + ",";
    }
    text += "\n";
  }
  for (const WaitReason& r : plan.reasons) text += "?" + r.id.str() + " " + std::to_string(r.position) + " " + r.sentence + "\n";
  return text;
}

constexpr unsigned kSeeds = 300;

template <class Check>
void ForEachSnapshot(Check check) {
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Snapshot s = RandomSnapshot(seed);
    check(s, PlanAdmission(s), seed);
    if (::testing::Test::HasFailure()) return;
  }
}

std::map<ResourceId, GangFacts> GangsOf(const Snapshot& s) {
  std::map<ResourceId, GangFacts> gangs;
  for (const RunningGang& r : s.running) gangs[r.id] = r;
  for (const WaitingGang& w : s.waiting) gangs[w.id] = w;
  return gangs;
}

// The book once the plan is carried out.
Book After(const Snapshot& s, const Plan& plan) {
  Book book(s);
  const auto gangs = GangsOf(s);
  for (const Preemption& p : plan.preemptions) {
    for (const RunningGang& r : s.running) {
      if (r.id == p.victim) book.Move(r, r.placements, -1);
    }
  }
  for (const Start& st : plan.starts) book.Move(gangs.at(st.id), st.placements, 1);
  return book;
}

TEST(PlanPropertyTest, NeverOverANodesCapacityAndOnlyWhereItMayBe) {
  std::size_t started = 0, preempted = 0;
  ForEachSnapshot([&](const Snapshot& s, const Plan& plan, unsigned) {
    const auto gangs = GangsOf(s);
    std::set<ResourceId> once;
    for (const Start& st : plan.starts) {
      EXPECT_TRUE(once.insert(st.id).second) << st.id.str() << " is started twice";
      std::size_t next = 0;
      for (const RoleAsk& role : gangs.at(st.id).gang) {
        for (std::int64_t n = 0; n < role.replicas; ++n, ++next) {
          ASSERT_LT(next, st.placements.size()) << "not all replicas have a place";
          const Placement& p = st.placements[next];
          const auto node = std::find_if(s.nodes.begin(), s.nodes.end(), [&](const NodeFacts& f) { return f.node.name == p.node; });
          ASSERT_NE(node, s.nodes.end());
          EXPECT_EQ(node->use, NodeUse::kOpen);
          for (const auto& [key, value] : role.ask.selector) EXPECT_EQ(node->node.labels.at(key), value);
          EXPECT_EQ(static_cast<std::int64_t>(p.gpus.size()), (role.ask.amounts.gpu_milli + kWholeCard - 1) / kWholeCard);
          for (const int card : p.gpus) {
            const auto gpu = std::find_if(node->node.gpus.begin(), node->node.gpus.end(), [&](const Gpu& g) { return g.index == card; });
            ASSERT_NE(gpu, node->node.gpus.end());
            if (!role.ask.gpu_model.empty()) {
              EXPECT_EQ(gpu->model, role.ask.gpu_model);
            }
          }
        }
      }
      EXPECT_EQ(next, st.placements.size());
    }
    EXPECT_TRUE(After(s, plan).NothingNegative()) << Describe(plan);
    started += plan.starts.size();
    preempted += plan.preemptions.size();
  });
  EXPECT_GT(started, 500U);   // the snapshots are not empty ones
  EXPECT_GT(preempted, 100U);
}

TEST(PlanPropertyTest, NeverOverQuotaPlusWhatMayBeBorrowed) {
  ForEachSnapshot([](const Snapshot& s, const Plan& plan, unsigned) {
    const Book before(s), after = After(s, plan);
    std::set<OrgId> grew;
    for (const auto& [org, held] : after.held) {
      const auto it = before.held.find(org);
      // What runs may be over a quota that was lowered; it must not become more so.
      if (!held.Within(it == before.held.end() ? Amounts{} : it->second)) grew.insert(org);
    }
    for (const OrgId& org : grew) {
      const OrgFacts* o = OrgOf(s, org);
      if (o == nullptr || !o->quota) continue;
      const Amounts most = *o->quota + (o->cohort.empty() ? Amounts{} : o->borrow);
      const Amounts had = before.held.contains(org) ? before.held.at(org) : Amounts{};
      const Amounts& has = after.held.at(org);
      EXPECT_TRUE(has.millicores <= std::max(most.millicores, had.millicores) && has.memory_bytes <= std::max(most.memory_bytes, had.memory_bytes) &&
                  has.gpu_milli <= std::max(most.gpu_milli, had.gpu_milli))
          << "organisation " << org.str() << "\n" << Describe(plan);
    }
    std::map<std::string, std::array<Amounts, 3>> cohorts;  // quota, before, after
    for (const OrgFacts& o : s.orgs) {
      if (o.cohort.empty() || !o.quota) continue;
      auto& c = cohorts[o.cohort];
      c[0] += *o.quota;
      if (before.held.contains(o.id)) c[1] += before.held.at(o.id);
      if (after.held.contains(o.id)) c[2] += after.held.at(o.id);
    }
    for (const auto& [name, c] : cohorts) {
      EXPECT_LE(c[2].gpu_milli, std::max(c[0].gpu_milli, c[1].gpu_milli)) << "cohort " << name;
      EXPECT_LE(c[2].millicores, std::max(c[0].millicores, c[1].millicores)) << "cohort " << name;
      EXPECT_LE(c[2].memory_bytes, std::max(c[0].memory_bytes, c[1].memory_bytes)) << "cohort " << name;
    }
  });
}

TEST(PlanPropertyTest, PreemptsOnlyByItsRules) {
  std::map<PreemptionRule, int> seen;
  const Policy policy;
  ForEachSnapshot([&](const Snapshot& s, const Plan& plan, unsigned) {
    const auto gangs = GangsOf(s);
    std::set<ResourceId> victims;
    for (const Preemption& p : plan.preemptions) {
      const auto victim = std::find_if(s.running.begin(), s.running.end(), [&](const RunningGang& r) { return r.id == p.victim; });
      ASSERT_NE(victim, s.running.end()) << "who does not run cannot be preempted";
      EXPECT_TRUE(victims.insert(p.victim).second);
      const GangFacts& other = gangs.at(p.in_favour_of);
      ++seen[p.rule];
      EXPECT_EQ(victim->preemptible, Preemptible::kYes);
      const bool other_starts = std::any_of(plan.starts.begin(), plan.starts.end(), [&](const Start& st) { return st.id == p.in_favour_of; });
      EXPECT_TRUE(other_starts) << "nobody goes for nothing";
      const bool again = std::any_of(plan.starts.begin(), plan.starts.end(), [&](const Start& st) { return st.id == p.victim; });
      EXPECT_EQ(again, p.rule == PreemptionRule::kMove);
      if (p.rule == PreemptionRule::kPriority) {
        EXPECT_LT(victim->priority, other.priority);
        continue;
      }
      EXPECT_LE(victim->priority, other.priority) << "never one of higher priority";
      const std::int64_t ran = (s.now - victim->started).count();
      EXPECT_GE(ran, std::max(policy.quantum_least, victim->ran_ms / policy.quantum_part)) << "before its quantum is over";
      if (p.rule == PreemptionRule::kTurn) {
        EXPECT_EQ(victim->org, other.org);
      }
      if (p.rule == PreemptionRule::kShare) {
        EXPECT_NE(victim->org, other.org);
      }
      if (p.rule == PreemptionRule::kReclaim) {
        const OrgFacts *lender = OrgOf(s, other.org), *borrower = OrgOf(s, victim->org);
        ASSERT_TRUE(lender != nullptr && borrower != nullptr && lender->quota && borrower->quota);
        EXPECT_EQ(lender->cohort, borrower->cohort);
        EXPECT_FALSE(lender->cohort.empty());
      }
    }
  });
  for (const PreemptionRule rule : {PreemptionRule::kPriority, PreemptionRule::kTurn, PreemptionRule::kShare, PreemptionRule::kReclaim,
                                    PreemptionRule::kMove}) {
    EXPECT_GT(seen[rule], 0) << "rule " << static_cast<int>(rule) << " was never seen";
  }
}

TEST(PlanPropertyTest, EachWhoWaitsHasOneReasonAndItIsTrue) {
  std::map<WaitKind, int> seen;
  ForEachSnapshot([&](const Snapshot& s, const Plan& plan, unsigned) {
    const Book after = After(s, plan);
    const auto gangs = GangsOf(s);
    std::set<ResourceId> waits, told;
    for (const WaitingGang& w : s.waiting) waits.insert(w.id);
    for (const Preemption& p : plan.preemptions) waits.insert(p.victim);
    for (const Start& st : plan.starts) waits.erase(st.id);
    Amounts all;
    for (const NodeFacts& n : s.nodes) {
      if (n.use == NodeUse::kOpen) all += {n.node.millicores, n.node.memory_bytes, static_cast<std::int64_t>(n.node.gpus.size()) * kWholeCard};
    }
    std::map<OrgId, std::set<std::int64_t>> positions;
    for (const WaitReason& r : plan.reasons) {
      EXPECT_TRUE(told.insert(r.id).second);
      EXPECT_FALSE(r.sentence.empty());
      ++seen[r.kind];
      const GangFacts& g = gangs.at(r.id);
      EXPECT_TRUE(positions[g.org].insert(r.position).second) << "two at one position";
      const OrgFacts* o = OrgOf(s, g.org);
      const auto every_role = [&](auto fits) { return std::all_of(g.gang.begin(), g.gang.end(), fits); };
      const bool ever = every_role([&](const RoleAsk& role) { return after.Room(role.ask, true) >= role.replicas; });
      const bool now = every_role([&](const RoleAsk& role) { return after.Room(role.ask) >= role.replicas; });
      const std::string what = r.id.str() + ": " + r.sentence;
      switch (r.kind) {
        case WaitKind::kNoSuchNode: {
          const bool some = every_role([&](const RoleAsk& role) {
            Ask only = role.ask;
            only.amounts = {0, 0, role.ask.gpu_model.empty() ? 0 : kWholeCard};
            return after.Room(only, true) > 0;
          });
          EXPECT_FALSE(some) << what;
          break;
        }
        case WaitKind::kNeverFits:
          EXPECT_FALSE(ever && Total(g.gang).Within(all)) << what;
          break;
        case WaitKind::kOverQuota:
          ASSERT_TRUE(o != nullptr && o->quota) << what;
          EXPECT_FALSE(Total(g.gang).Within(*o->quota + (o->cohort.empty() ? Amounts{} : o->borrow))) << what;
          break;
        case WaitKind::kQuota:
          EXPECT_FALSE(WithinQuota(s, after, g.org, Total(g.gang))) << what;
          break;
        case WaitKind::kNoRoom:
          if (g.gang.size() == 1) {
            EXPECT_FALSE(now) << what;
          }
          EXPECT_TRUE(g.gang.size() > 1 || ever) << what;
          break;
        case WaitKind::kReserved: {  // it fits, and somebody before it has waited long
          EXPECT_TRUE(now) << what;
          EXPECT_TRUE(std::any_of(s.waiting.begin(), s.waiting.end(), [&](const WaitingGang& w) {
            return w.id != r.id && s.now - (w.wait_from == SysTime{} ? w.since : w.wait_from) >= std::chrono::milliseconds{Policy{}.patience};
          })) << what;
          break;
        }
        case WaitKind::kPreempted:
          EXPECT_TRUE(std::any_of(plan.preemptions.begin(), plan.preemptions.end(), [&](const Preemption& p) { return p.victim == r.id; })) << what;
          break;
      }
    }
    EXPECT_EQ(told, waits);
    for (const auto& [org, at] : positions) {
      EXPECT_EQ(*at.begin(), 1);
      EXPECT_EQ(*at.rbegin(), static_cast<std::int64_t>(at.size()));
    }
  });
  for (const WaitKind kind : {WaitKind::kNoSuchNode, WaitKind::kNeverFits, WaitKind::kOverQuota, WaitKind::kQuota, WaitKind::kNoRoom,
                              WaitKind::kReserved}) {
    EXPECT_GT(seen[kind], 0) << "kind " << static_cast<int>(kind) << " was never seen";
  }
}

TEST(PlanPropertyTest, SameSnapshotSameAnswerInWhateverOrder) {
  ForEachSnapshot([](const Snapshot& s, const Plan& plan, unsigned seed) {
    Snapshot other = s;
    std::mt19937 random(seed);
    std::shuffle(other.nodes.begin(), other.nodes.end(), random);
    std::shuffle(other.orgs.begin(), other.orgs.end(), random);
    std::shuffle(other.running.begin(), other.running.end(), random);
    std::shuffle(other.waiting.begin(), other.waiting.end(), random);
    std::shuffle(other.usual.begin(), other.usual.end(), random);
    EXPECT_EQ(Describe(PlanAdmission(s)), Describe(plan));
    EXPECT_EQ(Describe(PlanAdmission(other)), Describe(plan));
  });
}

// A life of events: at each step the index answers as the pure function does for a snapshot of the same facts.
TEST(PlanPropertyTest, TheIndexAnswersAsThePureFunction) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed * 7919);
    Snapshot s = RandomSnapshot(seed);
    s.running.clear();
    s.waiting.clear();
    Planner planner({}, s.usual);
    for (const NodeFacts& n : s.nodes) planner.Add(n);
    for (const OrgFacts& o : s.orgs) planner.Set(o);
    planner.Advance(s.now);
    std::map<ResourceId, GangFacts> known;
    int number = 0;
    for (int step = 0; step < 60; ++step) {
      s.now += std::chrono::seconds{dice.Below(1800)};
      planner.Advance(s.now);
      for (std::int64_t n = dice.Below(4); n > 0; --n) {
        WaitingGang w = RandomGang<WaitingGang>(dice, ++number);
        w.since = s.now;
        w.ran_ms = 0;
        s.waiting.push_back(w);
        planner.Add(w);
      }
      if (!s.running.empty() && dice.Once(2)) {
        const auto at = s.running.begin() + dice.Below(static_cast<std::int64_t>(s.running.size()));
        planner.Remove(at->id);
        s.running.erase(at);
      }
      if (!s.waiting.empty() && dice.Once(6)) {
        planner.Remove(s.waiting.back().id);
        s.waiting.pop_back();
      }
      if (dice.Once(3)) {
        OrgFacts& o = s.orgs[static_cast<std::size_t>(dice.Below(5))];
        o.over_use = static_cast<double>(dice.Below(200) - 100);
        o.weight = static_cast<double>(1 + dice.Below(3));
        planner.Set(o);
      }
      s.seek = dice.Once(3) ? Seek::kFreeRoom : Seek::kPreemption;
      const Plan pure = PlanAdmission(s);
      Planner::Decision decision = planner.Decide(s.seek);
      ASSERT_EQ(Describe({decision.preemptions, decision.starts, planner.ExplainAll()}), Describe(pure)) << "step " << step;
      if (!pure.reasons.empty()) {
        const WaitReason& last = pure.reasons.back();
        const WaitReason one = planner.Explain(last.id);
        EXPECT_EQ(one.sentence, last.sentence);
        EXPECT_EQ(one.position, last.position);
      }
      for (const Preemption& p : pure.preemptions) {
        const auto it = std::find_if(s.running.begin(), s.running.end(), [&](const RunningGang& r) { return r.id == p.victim; });
        WaitingGang w;
        static_cast<GangFacts&>(w) = *it;
        w.ran_ms += (s.now - it->started).count();
        w.wait_from = s.now;
        s.running.erase(it);
        s.waiting.push_back(w);
      }
      for (const Start& st : pure.starts) {
        const auto it = std::find_if(s.waiting.begin(), s.waiting.end(), [&](const WaitingGang& w) { return w.id == st.id; });
        RunningGang r;
        static_cast<GangFacts&>(r) = *it;
        r.started = s.now;
        r.placements = st.placements;
        s.waiting.erase(it);
        s.running.push_back(r);
      }
    }
  }
}

// A stream of small jobs that never ends must not keep a wide gang, or a job that has had much already, from
// running. Runs end after at most an hour; `preemptible` or not.
void NobodyStarves(Preemptible preemptible, unsigned seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Dice dice(seed);
  Planner planner;
  for (int n = 0; n < 4; ++n) {
    NodeFacts node{{"n" + std::to_string(n), 32'000, std::int64_t{64} << 30, {}, {}}, NodeUse::kOpen};
    for (int g = 0; g < 4; ++g) node.node.gpus.push_back({g, "v100", ""});
    planner.Add(node);
  }
  const auto gang = [&](const std::string& id, std::int64_t replicas, std::int64_t gpus) {
    WaitingGang w;
    w.id = ResourceId{id};
    w.org = OrgId{std::to_string(dice.Below(2))};
    w.preemptible = preemptible;
    w.gang = {{replicas, {{1000, std::int64_t{1} << 30, gpus * kWholeCard}, "", {}}}};
    return w;
  };
  std::map<std::int64_t, std::vector<ResourceId>> ends;  // by minute
  std::set<ResourceId> open;
  bool wide = false, old = false;
  for (std::int64_t minute = 0; minute < 4 * 24 * 60 && !(wide && old); ++minute) {
    planner.Advance(At(60 * minute));
    for (const ResourceId& id : ends[minute]) planner.Remove(id);
    ends.erase(minute);
    for (int k = 0; k < 2; ++k) {
      WaitingGang w = gang("s" + std::to_string(minute * 2 + k), 1, 1);
      w.since = At(60 * minute);
      planner.Add(w);
    }
    if (minute == 100) {
      WaitingGang w = gang("wide", 4, 4);
      w.since = At(60 * minute);
      planner.Add(w);
      w = gang("old", 1, 1);
      w.since = At(60 * minute);
      w.ran_ms = 2 * 3'600'000;
      planner.Add(w);
    }
    for (const Start& s : planner.Decide().starts) {
      wide = wide || s.id == ResourceId{"wide"};
      old = old || s.id == ResourceId{"old"};
      ends[minute + 1 + dice.Below(60)].push_back(s.id);  // one that was preempted in between ends as well: no matter
    }
  }
  EXPECT_TRUE(wide) << "the wide gang never started";
  EXPECT_TRUE(old) << "the job with much service never started";
}

TEST(PlanPropertyTest, NobodyStarves) {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    NobodyStarves(Preemptible::kYes, seed);
    NobodyStarves(Preemptible::kNo, seed);
  }
}

}  // namespace
}  // namespace cml::control::admission
