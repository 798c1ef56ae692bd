#include "control/plan_admission.h"

#include <gtest/gtest.h>

#include <random>

#include "control/admission_desk.h"

namespace cml::control {
namespace {

Node MakeNode(std::int64_t cores, std::int64_t gib, int gpus) {
  Node n{"n1", cores * 1000, gib << 30, {}, {{"gpu", "v100"}}};
  for (int i = 0; i < gpus; ++i) n.gpus.push_back({i, "v100", ""});
  return n;
}
WaitingJob Job(const char* id, std::int64_t cores, std::int64_t gib, std::int64_t gpus = 0) {
  WaitingJob j;
  j.id = ResourceId{id};
  j.ask = {.millicores = cores * 1000, .memory_bytes = gib << 30, .gpus = gpus, .processes = 0, .disk_bytes = 0};
  return j;
}
std::vector<std::string> Started(const AdmissionPlan& p) {
  std::vector<std::string> ids;
  for (const auto& s : p.starts) ids.push_back(s.id.str());
  return ids;
}

TEST(PlanAdmissionTest, TakesWhatFitsInOrder) {
  const auto p = PlanAdmission({{MakeNode(4, 8, 0), 0, 0, {}}}, {Job("a", 2, 1), Job("b", 2, 1), Job("c", 1, 1)});
  EXPECT_EQ(Started(p), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(p.reasons.at(ResourceId{"c"}), "1 CPU asked, 0 CPU free");
}

TEST(PlanAdmissionTest, NobodyIsOvertakenOnWhatHeWaitsFor) {
  const auto p = PlanAdmission({{MakeNode(4, 8, 2), 3000, 0, {0}}},
                               {Job("gpu2", 1, 1, 2), Job("gpu1", 1, 1, 1), Job("cpu", 1, 1)});
  EXPECT_EQ(Started(p), std::vector<std::string>{"cpu"});
  EXPECT_EQ(p.reasons.at(ResourceId{"gpu2"}), "2 GPUs asked, 1 GPU free");
  EXPECT_EQ(p.reasons.at(ResourceId{"gpu1"}), "1 job before it in the queue waits for the same");
}

TEST(PlanAdmissionTest, WhatCanNeverStartSaysSoAndHoldsNobodyBack) {
  WaitingJob labelled = Job("l", 1, 1);
  labelled.selector_key = "gpu";
  labelled.selector_value = "a100";
  const auto p = PlanAdmission({{MakeNode(4, 8, 0), 0, 0, {}}}, {Job("huge", 64, 1), labelled, Job("a", 1, 1)});
  EXPECT_EQ(Started(p), std::vector<std::string>{"a"});
  EXPECT_NE(p.reasons.at(ResourceId{"huge"}).find("64 CPU asked, but no node has more than 4 CPU"), std::string::npos);
  EXPECT_EQ(p.reasons.at(ResourceId{"l"}), "no node has the label gpu=a100");
}

TEST(PlanAdmissionTest, OrderIsClassThenRankThenArrival) {
  WaitingJob late = Job("late", 1, 1), ranked = Job("ranked", 1, 1), guaranteed = Job("g", 1, 1);
  late.since = SysTime{std::chrono::seconds{5}};
  ranked.since = SysTime{std::chrono::seconds{9}};
  ranked.rank = 1;
  guaranteed.since = SysTime{std::chrono::seconds{99}};
  guaranteed.priority = PriorityClass::kGuaranteed;
  EXPECT_LT(guaranteed, ranked);
  EXPECT_LT(ranked, late);
}

// Random snapshots: never over capacity, no card twice, a reason for each who waits.
TEST(PlanAdmissionTest, NeverOverCapacity) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&random](int most) { return static_cast<std::int64_t>(random() % static_cast<unsigned>(most)); };
    const Node node = MakeNode(1 + pick(16), 1 + pick(32), static_cast<int>(pick(8)));
    std::vector<WaitingJob> waiting;
    for (int i = 0; i < 20; ++i) waiting.push_back(Job(std::to_string(i).c_str(), pick(6), pick(8), pick(4)));
    const auto p = PlanAdmission({{node, 0, 0, {}}}, waiting);
    std::int64_t cores = 0, memory = 0;
    std::set<int> cards;
    for (const auto& start : p.starts) {
      const Limits& ask = waiting[static_cast<std::size_t>(std::stoi(start.id.str()))].ask;
      cores += ask.millicores;
      memory += ask.memory_bytes;
      EXPECT_EQ(static_cast<std::int64_t>(start.placements.front().gpus.size()), ask.gpus);
      for (const int g : start.placements.front().gpus) EXPECT_TRUE(cards.insert(g).second) << "seed " << seed;
    }
    EXPECT_LE(cores, node.millicores) << "seed " << seed;
    EXPECT_LE(memory, node.memory_bytes) << "seed " << seed;
    EXPECT_EQ(p.starts.size() + p.reasons.size(), waiting.size()) << "seed " << seed;
  }
}

TEST(AdmissionDeskTest, RoomThatIsGivenBackStartsTheNext) {
  std::vector<std::string> told;
  AdmissionDesk desk([&](const ResourceId& id) { told.push_back(id.str()); });
  desk.Wait(Job("a", 1, 1));
  EXPECT_EQ(desk.Ask(ResourceId{"a"}).reason, "the cluster's nodes are not known yet");
  desk.Hold(ResourceId{"old"}, {Placement{"n1", {}}}, {Job("old", 1, 1).ask});
  desk.SetNodes({MakeNode(1, 4, 0)});
  EXPECT_FALSE(desk.Ask(ResourceId{"a"}).placements);
  EXPECT_EQ(desk.Ask(ResourceId{"a"}).reason, "1 CPU asked, 0 CPU free");
  desk.Leave(ResourceId{"old"});
  EXPECT_EQ(told, std::vector<std::string>{"a"});
  EXPECT_TRUE(desk.Ask(ResourceId{"a"}).placements);
  desk.Leave(ResourceId{"a"});
  EXPECT_EQ(desk.counts().holding, 0U);
}

}  // namespace
}  // namespace cml::control
