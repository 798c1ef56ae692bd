#include "control/admission/plan.h"

#include <gtest/gtest.h>

#include "control/admission/fair_share.h"

namespace cml::control::admission {
namespace {

NodeFacts MakeNode(const std::string& name, std::int64_t cores, std::int64_t gib, int gpus) {
  NodeFacts n{{name, cores * 1000, gib << 30, {}, {{"gpu", "v100"}}}, NodeUse::kOpen};
  for (int i = 0; i < gpus; ++i) n.node.gpus.push_back({i, "v100", ""});
  return n;
}
WaitingGang Gang(const std::string& id, std::int64_t cores, std::int64_t gib, std::int64_t gpus, std::int64_t replicas = 1) {
  WaitingGang w;
  w.id = ResourceId{id};
  w.org = OrgId{"1"};
  w.gang = {{replicas, {{cores * 1000, gib << 30, gpus * kWholeCard}, "", {}}}};
  return w;
}

std::vector<std::string> Started(const Plan& plan) {
  std::vector<std::string> ids;
  for (const Start& s : plan.starts) ids.push_back(s.id.str());
  return ids;
}
std::string ReasonOf(const Plan& plan, const std::string& id) {
  for (const WaitReason& r : plan.reasons) {
    if (r.id.str() == id) return r.sentence;
  }
  return "it does not wait";
}
SysTime At(std::int64_t minutes) { return SysTime{std::chrono::minutes{100'000 + minutes}}; }

RunningGang Running(const WaitingGang& gang, const std::string& node, int cards, SysTime started) {
  RunningGang r;
  static_cast<GangFacts&>(r) = gang;
  r.preemptible = Preemptible::kYes;
  r.started = started;
  r.placements = {{node, {}}};
  for (int c = 0; c < cards; ++c) r.placements[0].gpus.push_back(c);
  return r;
}

TEST(PlanAdmissionTest, StartsWhatFits) {
  Snapshot s;
  s.nodes = {MakeNode("n1", 4, 8, 0)};
  s.waiting = {Gang("a", 2, 1, 0), Gang("b", 2, 1, 0), Gang("c", 1, 1, 0)};
  const Plan plan = PlanAdmission(s);
  EXPECT_EQ(Started(plan), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ReasonOf(plan, "c"), "1 CPU asked, 0 free");
}

TEST(PlanAdmissionTest, WhatCanNeverStartSaysSoAndHoldsNobodyBack) {
  Snapshot s;
  s.nodes = {MakeNode("n1", 4, 8, 0)};
  WaitingGang labelled = Gang("l", 1, 1, 0);
  labelled.gang[0].ask.selector = {{"gpu", "a100"}};
  s.waiting = {Gang("huge", 64, 1, 0), labelled, Gang("many", 1, 1, 0, 9), Gang("a", 1, 1, 0)};
  const Plan plan = PlanAdmission(s);
  EXPECT_EQ(Started(plan), std::vector<std::string>{"a"});
  EXPECT_EQ(ReasonOf(plan, "huge"), "64 CPU asked, but no node has more than 4: it cannot start here; delete it and ask for less");
  EXPECT_EQ(ReasonOf(plan, "l"), "no node has the label gpu=a100");
  EXPECT_EQ(ReasonOf(plan, "many"),
            "9 replicas with 1 CPU, 1G memory each asked, but all nodes together hold 4: it cannot start here; delete it and ask for less");
}

TEST(PlanAdmissionTest, OrderIsClassThenRankThenArrival) {
  Snapshot s;
  s.now = At(10);
  s.nodes = {MakeNode("n1", 1, 8, 0)};
  WaitingGang late = Gang("late", 1, 1, 0), early = Gang("early", 1, 1, 0), ranked = Gang("ranked", 1, 1, 0), guaranteed = Gang("g", 1, 1, 0);
  early.since = At(0);
  late.since = At(1);
  ranked.since = At(2);
  ranked.priority.rank = 1;
  guaranteed.since = At(3);
  guaranteed.priority.priority_class = PriorityClass::kGuaranteed;
  s.waiting = {late, guaranteed, ranked, early};
  for (const char* next : {"g", "ranked", "early", "late"}) {
    const Plan plan = PlanAdmission(s);
    ASSERT_EQ(Started(plan), std::vector<std::string>{next});
    std::erase_if(s.waiting, [&](const WaitingGang& w) { return w.id == plan.starts[0].id; });
  }
}

TEST(PlanAdmissionTest, OrganisationsGetTheirWeight) {
  Snapshot s;
  s.nodes = {MakeNode("n1", 8, 64, 8)};
  s.orgs = {{OrgId{"1"}, 3, "", {}, {}, 0}, {OrgId{"2"}, 1, "", {}, {}, 0}};
  for (int i = 0; i < 8; ++i) {
    s.waiting.push_back(Gang("a" + std::to_string(i), 1, 1, 1));
    s.waiting.push_back(Gang("b" + std::to_string(i), 1, 1, 1));
    s.waiting.back().org = OrgId{"2"};
  }
  int first = 0;
  for (const std::string& id : Started(PlanAdmission(s))) first += id[0] == 'a' ? 1 : 0;
  EXPECT_EQ(first, 6);
  s.orgs[0].over_use = 1800;  // it had much lately
  first = 0;
  for (const std::string& id : Started(PlanAdmission(s))) first += id[0] == 'a' ? 1 : 0;
  EXPECT_EQ(first, 0);
}

TEST(PlanAdmissionTest, APatientGangKeepsItsRoomAndSmallOnesWait) {
  Snapshot s;
  s.now = At(20);
  s.nodes = {MakeNode("n1", 8, 64, 4)};
  WaitingGang old = Gang("old", 1, 1, 2);
  old.org = OrgId{"1"};
  s.running = {Running(old, "n1", 2, At(0))};
  s.running[0].preemptible = Preemptible::kNo;
  WaitingGang wide = Gang("wide", 1, 1, 4), small = Gang("small", 1, 1, 1), cpu = Gang("cpu", 1, 1, 0);
  wide.since = At(0);
  small.since = cpu.since = At(19);
  s.waiting = {wide, small, cpu};
  EXPECT_EQ(Started(PlanAdmission(s)), (std::vector<std::string>{"cpu", "small"})) << "overtaken, as it is not patient yet";
  s.now = At(31);
  const Plan plan = PlanAdmission(s);
  EXPECT_EQ(Started(plan), std::vector<std::string>{"cpu"}) << "who does not need what it lacks may go on";
  EXPECT_EQ(ReasonOf(plan, "small"), "what is free is kept for a job before it that has waited long");
  EXPECT_EQ(ReasonOf(plan, "wide"), "4 GPUs asked, 2 free");
}

TEST(PlanAdmissionTest, PreemptsForPriorityOnlyWhoIsNeeded) {
  Snapshot s;
  s.now = At(1);
  s.nodes = {MakeNode("n1", 8, 64, 4)};
  for (int i = 0; i < 4; ++i) {
    RunningGang r = Running(Gang("r" + std::to_string(i), 1, 1, 1), "n1", 0, At(0));
    r.placements[0].gpus = {i};
    r.priority.priority_class = i == 2 ? PriorityClass::kBestEffort : PriorityClass::kPreferred;
    s.running.push_back(r);
  }
  WaitingGang g = Gang("g", 1, 1, 1);
  g.priority.priority_class = PriorityClass::kGuaranteed;
  s.waiting = {g};
  const Plan plan = PlanAdmission(s);
  ASSERT_EQ(plan.preemptions.size(), 1U);
  EXPECT_EQ(plan.preemptions[0].victim.str(), "r2");
  EXPECT_EQ(plan.preemptions[0].rule, PreemptionRule::kPriority);
  EXPECT_EQ(Started(plan), std::vector<std::string>{"g"});
  EXPECT_EQ(plan.starts[0].placements[0].gpus, std::vector<int>{2});
}

TEST(PlanAdmissionTest, QuotaIsBorrowedAndReclaimed) {
  Snapshot s;
  s.now = At(60);
  s.nodes = {MakeNode("n1", 64, 64, 8)};
  const Amounts four{1'000'000, std::int64_t{1} << 40, 4 * kWholeCard};
  s.orgs = {{OrgId{"1"}, 1, "c", four, {0, 0, 2 * kWholeCard}, 0}, {OrgId{"2"}, 1, "c", four, {}, 0}};
  for (int i = 0; i < 8; ++i) s.waiting.push_back(Gang("a" + std::to_string(i), 1, 1, 1));
  const Plan borrows = PlanAdmission(s);
  EXPECT_EQ(borrows.starts.size(), 6U) << "four of its own and two borrowed";
  EXPECT_EQ(ReasonOf(borrows, "a7"), "quota: 1 GPU asked, 0 left of what the organisation may hold");
  for (const Start& start : borrows.starts) {
    RunningGang r = Running(Gang(start.id.str(), 1, 1, 1), "n1", 0, At(0));
    r.placements = start.placements;
    s.running.push_back(r);
  }
  s.waiting = {Gang("b", 1, 1, 4)};
  s.waiting[0].org = OrgId{"2"};
  const Plan reclaims = PlanAdmission(s);
  EXPECT_EQ(Started(reclaims), std::vector<std::string>{"b"});
  ASSERT_EQ(reclaims.preemptions.size(), 2U);
  EXPECT_EQ(reclaims.preemptions[0].rule, PreemptionRule::kReclaim);
}

TEST(PlanAdmissionTest, ScatteredRoomIsGatheredByMoves) {
  Snapshot s;
  s.now = At(60);
  s.nodes = {MakeNode("n1", 8, 64, 4), MakeNode("n2", 8, 64, 4)};
  s.running = {Running(Gang("x", 1, 1, 1), "n1", 1, At(0)), Running(Gang("y", 1, 1, 2), "n2", 2, At(0))};
  s.waiting = {Gang("w", 1, 1, 4)};
  const Plan plan = PlanAdmission(s);
  ASSERT_EQ(plan.preemptions.size(), 1U);
  EXPECT_EQ(plan.preemptions[0].victim.str(), "x");
  EXPECT_EQ(plan.preemptions[0].rule, PreemptionRule::kMove);
  EXPECT_EQ(Started(plan), (std::vector<std::string>{"w", "x"}));
  EXPECT_EQ(plan.starts[1].placements[0].node, "n2");
}

TEST(FairShareTest, FillsByWeightAndDemand) {
  // A cluster of GPUs alone: two want all, one wants a tenth.
  const auto e = Entitlements({{1, {0, 0, 1}}, {2, {0, 0, 1}}, {1, {0, 0, 0.1}}});
  EXPECT_NEAR(e[0], 0.3, 1e-9);
  EXPECT_NEAR(e[1], 0.6, 1e-9);
  EXPECT_NEAR(e[2], 0.1, 1e-9);
  // The example of the DRF paper: 9 CPUs and 18 GB, tasks of (1 CPU, 4 GB) and (3 CPUs, 1 GB): 2/3 each.
  const auto d = Entitlements({{1, {10 / 9.0, 40 / 18.0, 0}}, {1, {30 / 9.0, 10 / 18.0, 0}}});
  EXPECT_NEAR(d[0], 2 / 3.0, 1e-9);
  EXPECT_NEAR(d[1], 2 / 3.0, 1e-9);
}

TEST(FairShareTest, UseFades) {
  UseLedger ledger;
  ledger.Charge(60, 0.5, 0.25);
  EXPECT_NEAR(ledger.over_use(), 15, 1e-9);
  ledger.Charge(UseLedger::kHalfLife, 0.3, 0.3);
  EXPECT_NEAR(ledger.over_use(), 7.5, 1e-9);
}

}  // namespace
}  // namespace cml::control::admission
