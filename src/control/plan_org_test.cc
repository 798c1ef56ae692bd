#include "control/plan_org.h"

#include <gtest/gtest.h>

namespace cml::control {
namespace {

Org In(OrgState state) {
  Org org;
  org.state = state;
  return org;
}

TEST(PlanOrgTest, NothingHappensToOneThatIsNotDeleted) {
  for (const OrgState state : {OrgState::kActive, OrgState::kSuspended}) {
    const Org org = In(state);
    EXPECT_EQ(PlanOrg({org, 3, 1, true}), OrgAction::kNothing);
  }
}

TEST(PlanOrgTest, JobsThenObjectsThenItself) {
  const Org org = In(OrgState::kDeleting);
  EXPECT_EQ(PlanOrg({org, 2, 0, false}), OrgAction::kDeleteJobs);
  EXPECT_EQ(PlanOrg({org, 1, 4, false}), OrgAction::kDeleteJobs);
  EXPECT_EQ(PlanOrg({org, 0, 4, false}), OrgAction::kWaitForJobs);
  EXPECT_EQ(PlanOrg({org, 0, 0, false}), OrgAction::kRemoveObjects);
  EXPECT_EQ(PlanOrg({org, 0, 0, true}), OrgAction::kErase);
  // A job that came in between goes first.
  EXPECT_EQ(PlanOrg({org, 1, 0, true}), OrgAction::kDeleteJobs);
}

}  // namespace
}  // namespace cml::control
