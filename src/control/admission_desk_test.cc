#include "control/admission_desk.h"

#include <gtest/gtest.h>

namespace cml::control {
namespace {

class FixedClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::hours{1}};
};

Node MakeNode(std::int64_t cores, std::int64_t gib, int gpus) {
  Node n{"n1", cores * 1000, gib << 30, {}, {{"gpu", "v100"}}};
  for (int i = 0; i < gpus; ++i) n.gpus.push_back({i, "v100", ""});
  return n;
}

WaitingJob Job(const std::string& id, std::int64_t cores, std::int64_t gib, std::int64_t gpus = 0) {
  WaitingJob j;
  j.id = ResourceId{id};
  j.org = OrgId{"1"};
  j.since = SysTime{std::chrono::hours{1}};
  j.replicas = {{{.millicores = cores * 1000, .memory_bytes = gib << 30, .gpus = gpus, .processes = 0, .disk_bytes = 0}, ""}};
  return j;
}

TEST(AdmissionDeskTest, RoomThatIsGivenBackStartsTheNext) {
  FixedClock clock;
  std::vector<std::string> told;
  AdmissionDesk desk([&](const ResourceId& id) { told.push_back(id.str()); }, clock);
  desk.Wait(Job("a", 1, 1));
  EXPECT_EQ(desk.Ask(ResourceId{"a"}).reason, "the cluster's nodes are not known yet");
  desk.Hold(ResourceId{"old"}, {OrgId{"1"}, {{"n1", {}}}, Job("old", 1, 1).replicas});
  desk.SetNodes({MakeNode(1, 4, 0)});
  EXPECT_FALSE(desk.Ask(ResourceId{"a"}).placements);
  EXPECT_EQ(desk.Ask(ResourceId{"a"}).reason, "1 CPU asked, 0 free");
  desk.Leave(ResourceId{"old"});
  EXPECT_EQ(told, std::vector<std::string>{"a"});
  EXPECT_TRUE(desk.Ask(ResourceId{"a"}).placements);
  desk.Leave(ResourceId{"a"});
  EXPECT_EQ(desk.counts().holding, 0U);
}

TEST(AdmissionDeskTest, AReasonHasThePlaceInTheQueue) {
  FixedClock clock;
  AdmissionDesk desk([](const ResourceId&) {}, clock);
  desk.SetNodes({MakeNode(4, 8, 2)});
  desk.Wait(Job("a", 1, 1, 1));
  for (int i = 100; i < 300; ++i) desk.Wait(Job("j" + std::to_string(i), 1, 1, 2));
  EXPECT_EQ(desk.Ask(ResourceId{"a"}).placements, (std::vector{Placement{"n1", {0}}}));
  EXPECT_EQ(desk.Ask(ResourceId{"j100"}).reason, "2 GPUs asked, 1 free");
  EXPECT_EQ(desk.Ask(ResourceId{"j101"}).reason, "2 GPUs asked, 1 free; 2nd in queue");
  EXPECT_EQ(desk.Ask(ResourceId{"j111"}).reason, "2 GPUs asked, 1 free; 12th in queue");
  EXPECT_EQ(desk.Ask(ResourceId{"j250"}).reason, "more than 99 jobs wait before it");
  desk.Wait(Job("huge", 1, 1, 4));
  EXPECT_EQ(desk.Ask(ResourceId{"huge"}).reason,
            "4 GPUs asked, but no node has more than 2: it cannot start here; delete it and ask for less");
  EXPECT_EQ(desk.counts().waiting, 201U);
}

TEST(AdmissionDeskTest, AnOrganisationThatComesLateGetsTheNextRoom) {
  FixedClock clock;
  AdmissionDesk desk([](const ResourceId&) {}, clock);
  desk.SetNodes({MakeNode(4, 8, 0)});
  for (int i = 0; i < 10; ++i) desk.Wait(Job("a" + std::to_string(i), 1, 1));
  clock.now += std::chrono::minutes{5};
  WaitingJob other = Job("b", 1, 1);
  other.org = OrgId{"2"};
  desk.Wait(other);
  EXPECT_FALSE(desk.Ask(ResourceId{"b"}).placements);
  desk.Leave(ResourceId{"a0"});
  EXPECT_TRUE(desk.Ask(ResourceId{"b"}).placements) << "its organisation has nothing yet";
}

Node Named(const std::string& name) { return {name, 4000, 8LL << 30, {{0, "v100", "a"}}, {}}; }
Limits Ask(std::int64_t millicores, std::int64_t gpus) {
  Limits l;
  l.millicores = millicores;
  l.memory_bytes = 1LL << 30;
  l.gpus = gpus;
  return l;
}
WaitingJob Asking(const std::string& id, const Limits& ask) {
  WaitingJob job;
  job.id = ResourceId{id};
  job.replicas = {{ask, ""}};
  return job;
}

TEST(AdmissionDeskTest, AllReplicasOfAJobStartOrNone) {
  FixedClock clock;
  AdmissionDesk desk([](const ResourceId&) {}, clock);
  desk.SetNodes({MakeNode(4, 8, 2)});
  WaitingJob gang = Job("gang", 1, 1);
  gang.replicas.push_back(Job("", 1, 1, 1).replicas[0]);
  gang.replicas.push_back(Job("", 1, 1, 1).replicas[0]);
  gang.replicas[2].gpu_model = "v100";
  desk.Wait(Job("small", 2, 1));
  desk.Wait(gang);
  EXPECT_FALSE(desk.Ask(ResourceId{"gang"}).placements) << "two of three would fit";
  desk.Leave(ResourceId{"small"});
  const auto placed = desk.Ask(ResourceId{"gang"}).placements;
  ASSERT_TRUE(placed);
  ASSERT_EQ(placed->size(), 3U);
  EXPECT_TRUE((*placed)[0].gpus.empty());
  EXPECT_NE((*placed)[1].gpus, (*placed)[2].gpus);
  EXPECT_EQ(desk.Book().shares.size(), 3U);
}

TEST(AdmissionDeskTest, AModelThatNobodyHasIsWaitedForWithThatReason) {
  FixedClock clock;
  AdmissionDesk desk([](const ResourceId&) {}, clock);
  desk.SetNodes({MakeNode(4, 8, 2)});
  WaitingJob job = Job("a", 1, 1, 1);
  job.replicas[0].gpu_model = "p40";
  desk.Wait(job);
  const auto verdict = desk.Ask(ResourceId{"a"});
  EXPECT_FALSE(verdict.placements);
  EXPECT_NE(verdict.reason.find("p40"), std::string::npos) << verdict.reason;
}

class AdmissionDeskCordonTest : public ::testing::Test {
 protected:
  FixedClock clock_;
  std::vector<ResourceId> admitted_;
  AdmissionDesk desk_{[this](const ResourceId& id) { admitted_.push_back(id); }, clock_};
};

TEST_F(AdmissionDeskCordonTest, ACordonedNodeGetsNothingNewAndKeepsWhatItHas) {
  desk_.SetNodes({Named("a"), Named("b")});
  desk_.Wait(Asking("first", Ask(1000, 1)));
  const auto first = desk_.Ask(ResourceId{"first"});
  ASSERT_TRUE(first.placements);
  const std::string home = first.placements->front().node;
  desk_.KeepFree({home});
  desk_.Wait(Asking("second", Ask(1000, 0)));
  EXPECT_EQ(desk_.Ask(ResourceId{"second"}).placements->front().node, home == "a" ? "b" : "a");
  EXPECT_EQ(desk_.Ask(ResourceId{"first"}).placements->front().node, home);
}

TEST_F(AdmissionDeskCordonTest, AJobThatWaitsForACordonedNodeSaysSoAndStartsWhenItIsBack) {
  desk_.SetNodes({Named("a"), Named("b")});
  desk_.KeepFree({"a", "b"});
  desk_.Wait(Asking("waits", Ask(1000, 0)));
  EXPECT_EQ(desk_.Ask(ResourceId{"waits"}).reason, "every node is cordoned: a, b");
  desk_.KeepFree({"a"});
  EXPECT_EQ(admitted_, std::vector{ResourceId{"waits"}});
  desk_.Wait(Asking("gpu", Ask(1000, 2)));
  const std::string reason = desk_.Ask(ResourceId{"gpu"}).reason;
  EXPECT_NE(reason.find("as cordoned: a"), std::string::npos) << reason;
}

TEST_F(AdmissionDeskCordonTest, TheBookTellsNodesAndShares) {
  desk_.SetNodes({Named("a")});
  desk_.Wait(Asking("first", Ask(1000, 1)));
  const ClusterBook book = desk_.Book();
  ASSERT_EQ(book.nodes.size(), 1U);
  ASSERT_EQ(book.shares.size(), 1U);
  EXPECT_EQ(book.shares[0].placement.gpus, std::vector{0});
  EXPECT_EQ(book.shares[0].limits.millicores, 1000);
  desk_.Leave(ResourceId{"first"});
  EXPECT_TRUE(desk_.Book().shares.empty());
}

}  // namespace
}  // namespace cml::control
