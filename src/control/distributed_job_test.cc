// A job of many tasks, from its submit to its end, with a cluster that does what the test says.
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "backends/testing/fake_backend.h"
#include "control/train_job_controller.h"
#include "store/testing/memory_store.h"

namespace cml::control {
namespace {

using namespace std::chrono_literals;
using State = TrainJobState;
using store::testing::MemoryStore;
using testing::FakeBackend;
using testing::FakeCluster;

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{1h};
};

class DistributedJobTest : public ::testing::Test {
 protected:
  DistributedJobTest() { Boot(); }

  void Boot() {
    desk_ = std::make_unique<AdmissionDesk>([](const ResourceId&) {}, clock_);
    ports_ = std::make_unique<PortBook>();
    backend_ = std::make_unique<FakeBackend>(cluster_);
    controller_ = std::make_unique<TrainJobController>(TrainJobController::Deps{
        rows_, *backend_, *desk_, *ports_, clock_, "installer", store_.BecomeLeader().value()});
    EXPECT_TRUE(controller_->Recover().ok());
  }
  ResourceId Submit(const std::string& name, std::int64_t ps, std::int64_t workers) {
    TrainJob job;
    job.meta = {.id = ResourceId{name}, .org = OrgId{"1"}, .name = name, .created = clock_.now, .updated = clock_.now};
    job.wish.spec.job_name = name;
    job.wish.spec.module_name = "trainer.task";
    job.wish.spec.cpu_limit = "1";
    job.wish.spec.memory_limit = "1G";
    job.wish.spec.ps_count = ps;
    job.wish.spec.worker_count = workers;
    job.wish.starts = job.record.starts = 1;
    job.record.state = State::kEnqueued;
    job.record.since = clock_.now;
    EXPECT_TRUE(rows_.Create(job, {}).ok());
    clock_.now += 1s;
    return job.meta.id;
  }
  TrainJob Job(const ResourceId& id) { return rows_.Get(id).value().value; }
  State StateOf(const ResourceId& id) { return Job(id).record.state; }
  RunKey Run(const ResourceId& id) { return {id, Job(id).record.incarnation}; }
  // As the runner would, until nothing is to be done at once.
  void Settle(const ResourceId& id) {
    int quiet = 0;  // who is told of a change steps at once, and here nobody tells
    while (quiet < 2) {
      const auto next = controller_->Step(id);
      ASSERT_TRUE(next.ok()) << next.error().message();
      if (next.value().when == Next::When::kDone) return;
      quiet = next.value().when == Next::When::kLater ? quiet + 1 : 0;
    }
  }
  void Ends(const ResourceId& id, const std::string& replica, int exit_code, const std::string& reason) {
    auto status = backend_->Observe(Run(id), {}).value().value();
    for (ReplicaStatus& r : status.replicas) {
      if (ReplicaNameOf(r) != replica) continue;
      r.state = exit_code == 0 ? RunState::kSucceeded : RunState::kFailed;
      r.exit_code = exit_code;
      r.reason = reason;
      r.message = exit_code == 0 ? "" : "exit status " + std::to_string(exit_code);
      r.ended = clock_.now;
    }
    backend_->SetState(Run(id), status);
  }
  std::set<int> PortsOf(const ResourceId& id) {
    std::set<int> ports;
    for (const Replica& r : Job(id).record.replicas) ports.insert(r.placement.port);
    return ports;
  }

  HandClock clock_;
  MemoryStore store_;
  store::TrainJobRows rows_{store_};
  const std::shared_ptr<FakeCluster> cluster_ = std::make_shared<FakeCluster>(8'000, 32LL << 30);
  std::unique_ptr<AdmissionDesk> desk_;
  std::unique_ptr<PortBook> ports_;
  std::unique_ptr<FakeBackend> backend_;
  std::unique_ptr<TrainJobController> controller_;
};

TEST_F(DistributedJobTest, AddressesAreOnRecordBeforeTheRunIsMade) {
  const ResourceId id = Submit("census", 1, 2);
  ASSERT_TRUE(controller_->Step(id).ok());
  EXPECT_EQ(StateOf(id), State::kCreating);
  EXPECT_TRUE(backend_->List({}).value().empty());
  EXPECT_EQ(PortsOf(id).size(), 4U);
  EXPECT_FALSE(PortsOf(id).contains(0));
  Settle(id);
  const RunSpec run = backend_->SpecOf(Run(id)).value();
  ASSERT_EQ(run.roles.size(), 3U);
  EXPECT_EQ(run.roles[0].name, "chief");
  EXPECT_EQ(run.roles[1].replica_env.size(), 2U);
  EXPECT_NE(run.roles[1].replica_env[1].at("TF_CONFIG").find(
                "\"worker\": [\"" + run.placements[1].host + ":" + std::to_string(run.placements[1].port)),
            std::string::npos);
  EXPECT_EQ(run.roles[0].limits.millicores, 1000);
  EXPECT_EQ(StateOf(id), State::kRunning);
}

TEST_F(DistributedJobTest, AllHaveAPlaceOrNone) {
  const ResourceId first = Submit("first", 1, 3), second = Submit("second", 1, 3);
  Settle(first);
  Settle(second);
  EXPECT_EQ(StateOf(first), State::kRunning);
  EXPECT_EQ(StateOf(second), State::kEnqueued);
  EXPECT_EQ(Job(second).record.message, "5 replicas with 1 CPU, 1G memory each asked, room for 3");
  EXPECT_EQ(ports_->held(), 5U) << "who waits has no ports";
}

TEST_F(DistributedJobTest, NoTwoLiveJobsShareAPortAlsoAfterARestart) {
  const ResourceId first = Submit("first", 1, 1);
  Settle(first);
  Boot();
  const ResourceId second = Submit("second", 1, 1);
  Settle(second);
  std::set<int> all = PortsOf(first);
  all.merge(PortsOf(second));
  EXPECT_EQ(all.size(), 6U);
  EXPECT_EQ(ports_->held(), 6U);
}

TEST_F(DistributedJobTest, WithTheChiefAllEndsAndNothingIsLeft) {
  const ResourceId id = Submit("census", 1, 2);
  Settle(id);
  Ends(id, "chief-0", 0, "Completed");
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kCompleted);
  EXPECT_EQ(Job(id).record.exit_code, 0);
  EXPECT_EQ(ports_->held(), 0U);
  EXPECT_EQ(desk_->counts().holding, 0U);
  EXPECT_TRUE(backend_->List({}).value().empty());
}

TEST_F(DistributedJobTest, AFailureForGoodStopsTheRestAndIsTriedAgainElsewhere) {
  const ResourceId id = Submit("census", 1, 1);
  Settle(id);
  std::set<int> before = PortsOf(id);
  Ends(id, "worker-0", 1, "Error");
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning) << "the second try";
  EXPECT_EQ(Job(id).record.retries, 1);
  before.merge(PortsOf(id));
  EXPECT_EQ(before.size(), 6U) << "with other addresses";
  for (int i = 2; i <= 4; ++i) {
    Ends(id, "worker-0", 1, "Error");
    Settle(id);
  }
  EXPECT_EQ(StateOf(id), State::kFailed);
  EXPECT_EQ(Job(id).record.message, "worker-0: exit status 1");
  EXPECT_EQ(Job(id).record.exit_code, 1);
  EXPECT_EQ(ports_->held(), 0U);
}

TEST_F(DistributedJobTest, ALostPortIsToldAndTriedAgainEvenWithoutRetries) {
  const ResourceId id = Submit("census", 0, 1);
  Settle(id);
  Ends(id, "worker-0", 98, "PortLost");
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  bool told = false;
  for (const Event& e : rows_.Events(id).value()) told = told || e.reason == "PortLost";
  EXPECT_TRUE(told);
}

TEST_F(DistributedJobTest, ArgumentsThatAreWrongAreNotTriedAgain) {
  const ResourceId id = Submit("census", 0, 1);
  Settle(id);
  Ends(id, "chief-0", 2, "Error");
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kFailed);
  EXPECT_EQ(Job(id).record.retries, 0);
}

}  // namespace
}  // namespace cml::control
