#include <gtest/gtest.h>

#include <functional>

#include "core/train_job.h"

namespace cml {
namespace {

TrainJobSpec Spec() {
  TrainJobSpec spec;
  spec.job_name = "census";
  spec.module_name = "trainer.task";
  spec.trainer_uri = "fds://default/trainer-1.0.tar.gz";
  spec.framework = "tensorflow";
  spec.framework_version = "2.15.1";
  spec.cpu_limit = "2";
  spec.memory_limit = "1G";
  spec.gpu_limit = 1;
  return spec;
}

std::string Names(const TrainJobSpec& spec) {
  std::string all;
  for (const RolePlan& r : RolesOf(spec)) all += r.name + "*" + std::to_string(r.replicas) + " ";
  return all;
}

TEST(RolesTest, CountsBecomeRolesWithAChief) {
  TrainJobSpec spec = Spec();
  EXPECT_EQ(Names(spec), "worker*1 ");
  spec.ps_count = 1;
  spec.worker_count = 2;
  EXPECT_EQ(Names(spec), "chief*1 worker*2 ps*1 ");
  spec.framework_version = "1.15.5";
  EXPECT_EQ(Names(spec), "master*1 worker*2 ps*1 ");
  spec.evaluator_count = 1;
  EXPECT_EQ(Names(spec), "chief*1 worker*2 ps*1 evaluator*1 ") << "master and evaluator exclude each other";
  spec.chief_count = 0;
  spec.evaluator_count.reset();
  spec.ps_count = 0;
  EXPECT_EQ(Names(spec), "worker*2 ");
}

TEST(RolesTest, ASpecOfTasksIsTakenAsItIs) {
  TrainJobSpec spec = Spec();
  spec.cluster_spec["worker"] = {.count = 2, .cpu_limit = "1", .memory_limit = "512M", .gpu_limit = 0};
  spec.cluster_spec["ps"] = {.count = 1};
  spec.cluster_spec["reader"] = {.count = 1, .gpu_type = "V100", .task_args = "--read"};
  EXPECT_EQ(Names(spec), "worker*2 ps*1 reader*1 ");
  const auto roles = RolesOf(spec);
  EXPECT_EQ(roles[0].limits.millicores, 1000);
  EXPECT_EQ(roles[0].limits.gpus, 0);
  EXPECT_EQ(roles[1].limits.millicores, 2000) << "what is not said is as for the job";
  EXPECT_EQ(roles[1].limits.gpus, 0) << "a parameter server sees no GPU";
  EXPECT_EQ(roles[2].limits.gpus, 1);
  EXPECT_EQ(roles[2].gpu_model, "v100");
  EXPECT_EQ(roles[2].args, "--read");
}

TEST(RolesTest, WhatIsReservedIsTheSumOverAllReplicas) {
  TrainJob job;
  job.wish.spec = Spec();
  job.wish.spec.ps_count = 1;
  job.wish.spec.worker_count = 2;
  job.wish.starts = 1;
  job.record.starts = 1;
  job.record.state = TrainJobState::kRunning;
  EXPECT_EQ(LimitsOf(job.wish.spec).millicores, 8000);
  EXPECT_EQ(LimitsOf(job.wish.spec).memory_bytes, 4LL << 30);
  EXPECT_EQ(LimitsOf(job.wish.spec).gpus, 3);
  const Reservation r = ReservationOf(job);
  EXPECT_EQ(r.amounts.millicores, 8000);
  EXPECT_EQ(r.amounts.gpus, 3);
  EXPECT_EQ(r.amounts.count, 1) << "one job, however many tasks";
}

TEST(RolesTest, WhatCannotBeIsRefusedWithTheFieldAndTheRule) {
  struct Case {
    std::function<void(TrainJobSpec&)> change;
    std::string says;
  };
  const std::vector<Case> cases = {
      {[](TrainJobSpec& s) { s.worker_count = -1; }, "worker_count -1"},
      {[](TrainJobSpec& s) { s.ps_count = 1'000; }, "ps_count 1000"},
      {[](TrainJobSpec& s) { s.worker_count = 200, s.ps_count = 200; }, "401 tasks asked"},
      {[](TrainJobSpec& s) { s.ps_count = 1, s.chief_count = 0; }, "nobody would train"},
      {[](TrainJobSpec& s) { s.chief_count = 2, s.worker_count = 1; }, "chief_count 2"},
      {[](TrainJobSpec& s) { s.worker_count = 1, s.cluster_spec["worker"] = {}; }, "not both"},
      {[](TrainJobSpec& s) { s.cluster_spec["ps"] = {}; }, "nobody would train"},
      {[](TrainJobSpec& s) { s.cluster_spec["Worker"] = {}; }, "cluster_spec \"Worker\""},
      {[](TrainJobSpec& s) { s.cluster_spec["worker"].cpu_limit = "many"; }, "cluster_spec worker cpu_limit"},
      {[](TrainJobSpec& s) { s.cluster_spec["worker"].memory_limit = "1K"; }, "16M"},
      {[](TrainJobSpec& s) { s.cluster_spec["worker"].count = -3; }, "cluster_spec worker count -3"},
      {[](TrainJobSpec& s) { s.cluster_spec["chief"].count = 2; }, "cluster_spec chief count 2"},
      {[](TrainJobSpec& s) { s.cluster_spec["worker"].task_args = "'a"; }, "a quote is not closed"},
      {[](TrainJobSpec& s) { s.cluster_spec["worker"] = {}, s.cluster_spec["ps"].gpu_limit = 1; }, "gets no GPU"},
      {[](TrainJobSpec& s) { s.cluster_spec["master"] = {}, s.cluster_spec["chief"] = {}; }, "exclude each other"},
      {[](TrainJobSpec& s) { s.cluster_spec["master"] = {}, s.cluster_spec["evaluator"] = {}; }, "exclude each other"},
      {[](TrainJobSpec& s) { s.worker_count = 1, s.max_restarts = 1'000; }, "max_restarts 1000"},
  };
  for (const Case& c : cases) {
    TrainJobSpec spec = Spec();
    c.change(spec);
    const Status status = Validate(spec);
    ASSERT_FALSE(status.ok()) << c.says;
    EXPECT_EQ(status.error().code(), Code::kInvalidArgument);
    EXPECT_NE(status.error().message().find(c.says), std::string::npos) << status.error().message();
  }
}

TEST(RolesTest, NamesOfReplicasAreReadBack) {
  const auto name = ParseReplicaName("worker-12");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->role, "worker");
  EXPECT_EQ(name->index, 12U);
  for (const char* wrong : {"", "worker", "-1", "worker-", "worker-x", "worker-99999"}) {
    EXPECT_FALSE(ParseReplicaName(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace cml
