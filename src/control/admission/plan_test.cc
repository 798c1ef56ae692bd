#include "control/admission/plan.h"

#include <gtest/gtest.h>

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

TEST(PlanAdmissionTest, StartsWhatFits) {
  Snapshot s;
  s.nodes = {MakeNode("n1", 4, 8, 0)};
  s.waiting = {Gang("a", 2, 1, 0), Gang("b", 2, 1, 0), Gang("c", 1, 1, 0)};
  const Plan plan = PlanAdmission(s);
  ASSERT_EQ(plan.starts.size(), 2U);
  ASSERT_EQ(plan.reasons.size(), 1U);
  EXPECT_EQ(plan.reasons[0].sentence, "1 CPU asked, 0 CPU free");
}

}  // namespace
}  // namespace cml::control::admission
