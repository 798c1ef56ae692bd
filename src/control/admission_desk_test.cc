#include "control/admission_desk.h"

#include <gtest/gtest.h>

namespace cml::control {
namespace {

Node Named(const std::string& name) { return {name, 4000, 8LL << 30, {{0, "v100", "a"}}, {}}; }
Limits Ask(std::int64_t millicores, std::int64_t gpus) {
  Limits l;
  l.millicores = millicores;
  l.memory_bytes = 1LL << 30;
  l.gpus = gpus;
  return l;
}
WaitingJob Job(const std::string& id, const Limits& ask) {
  WaitingJob job;
  job.id = ResourceId{id};
  job.ask = ask;
  return job;
}

class AdmissionDeskCordonTest : public ::testing::Test {
 protected:
  std::vector<ResourceId> admitted_;
  AdmissionDesk desk_{[this](const ResourceId& id) { admitted_.push_back(id); }};
};

TEST_F(AdmissionDeskCordonTest, ACordonedNodeGetsNothingNewAndKeepsWhatItHas) {
  desk_.SetNodes({Named("a"), Named("b")});
  desk_.Wait(Job("first", Ask(1000, 1)));
  const auto first = desk_.Ask(ResourceId{"first"});
  ASSERT_TRUE(first.placements);
  EXPECT_EQ(first.placements->front().node, "a");
  desk_.KeepFree({"a"});
  desk_.Wait(Job("second", Ask(1000, 0)));
  EXPECT_EQ(desk_.Ask(ResourceId{"second"}).placements->front().node, "b");
  EXPECT_EQ(desk_.Ask(ResourceId{"first"}).placements->front().node, "a");
}

TEST_F(AdmissionDeskCordonTest, AJobThatWaitsForACordonedNodeSaysSoAndStartsWhenItIsBack) {
  desk_.SetNodes({Named("a"), Named("b")});
  desk_.KeepFree({"a", "b"});
  desk_.Wait(Job("waits", Ask(1000, 0)));
  EXPECT_EQ(desk_.Ask(ResourceId{"waits"}).reason, "every node is cordoned: a, b");
  desk_.KeepFree({"a"});
  EXPECT_EQ(admitted_, std::vector{ResourceId{"waits"}});
  desk_.Wait(Job("gpu", Ask(1000, 2)));
  const std::string reason = desk_.Ask(ResourceId{"gpu"}).reason;
  EXPECT_NE(reason.find("as cordoned: a"), std::string::npos) << reason;
}

TEST_F(AdmissionDeskCordonTest, TheBookTellsNodesAndShares) {
  desk_.SetNodes({Named("a")});
  desk_.Wait(Job("first", Ask(1000, 1)));
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
