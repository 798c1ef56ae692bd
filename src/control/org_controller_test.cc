#include "control/org_controller.h"

#include <gtest/gtest.h>

#include "store/train_jobs.h"
#include "store/testing/memory_store.h"

namespace cml::control {
namespace {

class OrgControllerTest : public ::testing::Test {
 protected:
  OrgControllerTest() {
    org_.name = "vision";
    org_ = store_.CreateOrg(org_).value();
  }
  void Delete() {
    org_.state = OrgState::kDeleting;
    EXPECT_TRUE(store_.UpdateOrg(org_).ok());
  }
  ResourceId Submit(const std::string& name) {
    TrainJob job;
    job.meta.id = ResourceId{"job-" + name};
    job.meta.org = org_.id;
    job.meta.name = name;
    job.wish.spec.job_name = name;
    EXPECT_TRUE(rows_.Create(job, {}).ok());
    return job.meta.id;
  }
  // What the jobs' controller does once a job is wished away.
  void EraseJob(const ResourceId& id) {
    EXPECT_TRUE(rows_.Erase(rows_.Get(id).value(), store::LeaderToken{1}).ok());
  }
  Next::When Step() { return controller_.Step(org_.id).value().when; }
  bool Gone() { return !store_.GetOrg(org_.id).ok(); }

  SystemClock clock_;
  store::testing::MemoryStore store_;
  store::TrainJobRows rows_{store_};
  Org org_;
  int removals_ = 0;
  Status removal_ = Ok{};
  std::vector<ResourceId> told_;
  OrgController controller_{{store_, rows_, clock_,
                             [this](const OrgId&) {
                               ++removals_;
                               return removal_;
                             },
                             [this](const OrgId& id) { return store_.EraseOrg(id); },
                             [this](const ResourceId& id) { told_.push_back(id); }}};
};

TEST_F(OrgControllerTest, LeavesOthersAlone) {
  Submit("a");
  EXPECT_EQ(Step(), Next::When::kDone);
  EXPECT_TRUE(told_.empty());
  EXPECT_TRUE(controller_.Recover().value().empty());
}

TEST_F(OrgControllerTest, JobsGoFirstThenObjectsThenTheOrganisation) {
  const ResourceId a = Submit("a"), b = Submit("b");
  Delete();
  EXPECT_EQ(Step(), Next::When::kAgain);
  EXPECT_TRUE(rows_.Get(a).value().value.wish.deleted);
  EXPECT_EQ(told_.size(), 2U);
  EXPECT_EQ(Step(), Next::When::kLater);
  EraseJob(a);
  EXPECT_EQ(Step(), Next::When::kLater);
  EXPECT_EQ(removals_, 0);
  EraseJob(b);
  EXPECT_EQ(Step(), Next::When::kAgain);
  EXPECT_EQ(removals_, 1);
  EXPECT_FALSE(Gone());
  EXPECT_EQ(Step(), Next::When::kDone);
  EXPECT_TRUE(Gone());
  EXPECT_EQ(Step(), Next::When::kDone) << "again";
}

TEST_F(OrgControllerTest, ARestartGoesOnWhereItIs) {
  const ResourceId a = Submit("a");
  Delete();
  EXPECT_EQ(Step(), Next::When::kAgain);
  OrgController next({store_, rows_, clock_, [](const OrgId&) { return Status(Ok{}); },
                      [this](const OrgId& id) { return store_.EraseOrg(id); }, [](const ResourceId&) {}});
  ASSERT_EQ(next.Recover().value(), std::vector<OrgId>{org_.id});
  EXPECT_EQ(next.Step(org_.id).value().when, Next::When::kLater);
  EraseJob(a);
  EXPECT_EQ(next.Step(org_.id).value().when, Next::When::kAgain);
  EXPECT_EQ(next.Step(org_.id).value().when, Next::When::kDone);
  EXPECT_TRUE(Gone());
}

TEST_F(OrgControllerTest, WhatCannotBeRemovedNowIsTriedAgain) {
  Delete();
  removal_ = Error(Code::kUnavailable, "disk");
  EXPECT_FALSE(controller_.Step(org_.id).ok());
  EXPECT_FALSE(Gone());
  removal_ = Ok{};
  EXPECT_EQ(Step(), Next::When::kAgain);
  const ResourceId late = Submit("late");  // its request was under way when the deletion began
  EXPECT_EQ(Step(), Next::When::kAgain);
  EXPECT_FALSE(Gone());
  EraseJob(late);
  EXPECT_EQ(Step(), Next::When::kDone);
  EXPECT_TRUE(Gone());
}

}  // namespace
}  // namespace cml::control
