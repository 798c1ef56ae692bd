#include "control/train_job_controller.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "backends/testing/fake_backend.h"
#include "store/testing/memory_store.h"

namespace cml::control {
namespace {

using namespace std::chrono_literals;
using State = TrainJobState;
using store::testing::MemoryStore;
using testing::FakeBackend;
using testing::FakeCluster;

// Moves by hand. What somebody else does in the middle of a step is hung up here: a step looks at
// the clock after it has read the job and before it writes.
class SteppedClock final : public Clock {
 public:
  SysTime Now() const override {
    if (auto then = std::exchange(meanwhile, nullptr)) then();
    return now;
  }
  SysTime now{std::chrono::hours{1}};
  mutable std::function<void()> meanwhile;
};

class TrainJobControllerTest : public ::testing::Test {
 protected:
  TrainJobControllerTest() {
    Boot();
    EXPECT_TRUE(controller_->Recover().ok());
  }

  // A new process: all that it had in memory is gone, store and cluster are not.
  void Boot() {
    desk_ = std::make_unique<AdmissionDesk>([this](const ResourceId& id) { admitted_.push_back(id); }, clock_);
    ports_ = std::make_unique<PortBook>();
    backend_ = std::make_unique<FakeBackend>(cluster_);
    backend_->OnChange([this](const RunKey& key) { told_.insert(key.resource); });
    leader_ = store_.BecomeLeader().value();
    controller_ = MakeController();
  }
  std::unique_ptr<TrainJobController> MakeController() {
    return std::make_unique<TrainJobController>(
        TrainJobController::Deps{rows_, *backend_, *desk_, *ports_, clock_, "installer", leader_});
  }

  // Submitted as the service does it.
  ResourceId Submit(const std::string& name, const std::function<void(TrainJobSpec&)>& change = {}) {
    TrainJob job;
    job.meta.id = ResourceId{name};
    job.meta.org = OrgId{"1"};
    job.meta.name = name;
    job.meta.created = job.meta.updated = clock_.now;
    job.wish.spec.job_name = name;
    job.wish.spec.module_name = "trainer.task";
    job.wish.spec.cpu_limit = "6";
    job.wish.spec.memory_limit = "1G";
    if (change) change(job.wish.spec);
    job.wish.starts = 1;
    job.record.state = State::kEnqueued;
    job.record.starts = 1;
    job.record.since = clock_.now;
    EXPECT_TRUE(rows_.Create(job, {}).ok());
    clock_.now += 1s;
    return job.meta.id;
  }
  void Wish(const ResourceId& id, const std::function<void(TrainJobWish&)>& change) {
    auto stored = rows_.Get(id).value();
    change(stored.value.wish);
    EXPECT_TRUE(rows_.SaveWish(stored).ok());
  }
  void Delete(const ResourceId& id) {
    Wish(id, [](TrainJobWish& w) { w.deleted = true; });
  }

  TrainJob Job(const ResourceId& id) { return rows_.Get(id).value().value; }
  State StateOf(const ResourceId& id) { return Job(id).record.state; }
  bool Exists(const ResourceId& id) { return rows_.Get(id).ok(); }
  RunKey Run(const ResourceId& id, std::uint64_t incarnation = 1) { return {id, incarnation}; }
  std::vector<RunKey> Runs() { return backend_->List({}).value(); }
  std::vector<std::string> Reasons(const ResourceId& id) {
    std::vector<std::string> all;
    for (const Event& e : rows_.Events(id).value()) all.push_back(e.reason);
    return all;
  }

  Result<Next> Step(const ResourceId& id) { return controller_->Step(id); }
  // Steps as the runner would, until there is nothing to do at once.
  void Settle(const ResourceId& id) {
    for (int i = 0; i < 20; ++i) {
      told_.erase(id);
      const auto next = Step(id);
      ASSERT_TRUE(next.ok()) << next.error().message();
      if (next.value().when != Next::When::kAgain && !told_.contains(id)) return;
    }
    FAIL() << "it never comes to rest";
  }

  SteppedClock clock_;
  MemoryStore store_;
  store::TrainJobRows rows_{store_};
  const std::shared_ptr<FakeCluster> cluster_ = std::make_shared<FakeCluster>(8'000, 8LL << 30);
  std::vector<ResourceId> admitted_;
  std::set<ResourceId> told_;  // of whose runs the backend has said that they changed
  store::LeaderToken leader_{};
  std::unique_ptr<AdmissionDesk> desk_;
  std::unique_ptr<PortBook> ports_;
  std::unique_ptr<FakeBackend> backend_;
  std::unique_ptr<TrainJobController> controller_;
};

TEST_F(TrainJobControllerTest, EnableRankMeansTheRankOfTheOrganisation) {
  controller_ = std::make_unique<TrainJobController>(
      TrainJobController::Deps{rows_, *backend_, *desk_, *ports_, clock_, "installer", leader_,
                               [](const OrgId& org) { return org == OrgId{"2"} ? 3 : 1; }});
  const ResourceId fills = Submit("fills");
  Settle(fills);
  const ResourceId low = Submit("low", [](TrainJobSpec& s) { s.enable_rank = 1; });
  TrainJob high = Job(low);
  high.meta.id = ResourceId{"high"};
  high.meta.org = OrgId{"2"};
  high.record.since = clock_.now;  // later
  ASSERT_TRUE(rows_.Create(high, {}).ok());
  Settle(low);
  Settle(high.meta.id);
  EXPECT_FALSE(desk_->Ask(low).placements);
  Delete(fills);
  Settle(fills);
  EXPECT_TRUE(desk_->Ask(high.meta.id).placements);
  EXPECT_FALSE(desk_->Ask(low).placements);
}

TEST_F(TrainJobControllerTest, OneStepIsOneAction) {
  const ResourceId id = Submit("ranker");
  ASSERT_TRUE(Step(id).ok());
  EXPECT_EQ(StateOf(id), State::kCreating);
  EXPECT_EQ(Job(id).record.placement.node, "node-1");
  EXPECT_TRUE(Runs().empty()) << "the intent is written before the act";
  ASSERT_TRUE(Step(id).ok());
  EXPECT_EQ(Runs(), std::vector{Run(id)});
  EXPECT_EQ(StateOf(id), State::kCreating);
  ASSERT_TRUE(Step(id).ok());
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Step(id).value().when, Next::When::kLater);

  backend_->Finish(Run(id), 0);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kCompleted);
  EXPECT_EQ(Job(id).record.exit_code, 0);
  EXPECT_TRUE(Runs().empty()) << "its files are removed when the end is on record";
  EXPECT_EQ(Step(id).value().when, Next::When::kDone);
  EXPECT_EQ(Reasons(id), (std::vector<std::string>{"Creating", "Started", "Completed"}));
}

TEST_F(TrainJobControllerTest, TheRunIsWhatTheJobReserved) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  const RunSpec run = backend_->SpecOf(Run(id)).value();
  EXPECT_EQ(run.roles.front().limits.millicores, 6000);
  EXPECT_EQ(run.roles.front().limits, Job(id).record.limits);
  EXPECT_EQ(run.placements, std::vector{Job(id).record.placement});
}

TEST_F(TrainJobControllerTest, AJobWaitsForRoomAndGetsItWhenAnotherEnds) {
  const ResourceId first = Submit("first"), second = Submit("second");
  Settle(first);
  Settle(second);
  EXPECT_EQ(StateOf(second), State::kEnqueued);
  EXPECT_EQ(Job(second).record.reason, "Waiting");
  EXPECT_NE(Job(second).record.message.find("6 CPU asked, 2 free"), std::string::npos) << Job(second).record.message;
  EXPECT_EQ(Step(second).value().when, Next::When::kLater);
  EXPECT_EQ(Reasons(second), std::vector<std::string>{"Waiting"}) << "said once";

  backend_->Finish(Run(first), 1);
  Settle(first);
  EXPECT_EQ(StateOf(first), State::kFailed);
  EXPECT_EQ(admitted_, std::vector{second}) << "it is woken";
  Settle(second);
  EXPECT_EQ(StateOf(second), State::kRunning);
}

TEST_F(TrainJobControllerTest, ACrashBetweenRecordAndActIsRepaired) {
  const ResourceId id = Submit("ranker");
  ASSERT_TRUE(Step(id).ok());
  ASSERT_EQ(StateOf(id), State::kCreating);
  Boot();
  EXPECT_EQ(controller_->Recover().value(), std::vector{id});
  EXPECT_EQ(desk_->counts().holding, 1U) << "its share is still its own";
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Job(id).record.incarnation, 1U);
  EXPECT_EQ(backend_->StartsOf(Run(id)), 1);
}

TEST_F(TrainJobControllerTest, ACrashAtAnyPointStartsNothingTwice) {
  for (int steps = 0; steps < 6; ++steps) {
    const ResourceId id = Submit("job" + std::to_string(steps));
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(Step(id).ok());
    Boot();
    ASSERT_TRUE(controller_->Recover().ok());
    Settle(id);
    EXPECT_EQ(StateOf(id), State::kRunning) << steps;
    EXPECT_EQ(backend_->StartsOf(Run(id)), 1) << steps;
    EXPECT_EQ(backend_->StartsOf(Run(id, 2)), 0) << steps;
    backend_->Finish(Run(id), 0);
    Settle(id);
    EXPECT_EQ(StateOf(id), State::kCompleted) << steps;
  }
}

TEST_F(TrainJobControllerTest, ALostAnswerOfEnsureStartsNothingTwice) {
  const ResourceId id = Submit("ranker");
  ASSERT_TRUE(Step(id).ok());
  backend_->FailNextCall(FakeBackend::When::kAfter, Error(Code::kDeadlineExceeded, "no answer"));
  EXPECT_EQ(Step(id).error().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(StateOf(id), State::kCreating);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(backend_->StartsOf(Run(id)), 1);
  EXPECT_EQ(Job(id).record.incarnation, 1U);
}

TEST_F(TrainJobControllerTest, ALostAnswerOfTheStoreIsLookedAtAgain) {
  const ResourceId id = Submit("ranker");
  clock_.meanwhile = [&] {
    store_.FailNext(MemoryStore::FailWhen::kAfter, Error(Code::kUnavailable, "the connection broke"));
  };
  EXPECT_EQ(Step(id).error().code(), Code::kUnavailable);
  EXPECT_EQ(StateOf(id), State::kCreating);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Job(id).record.incarnation, 1U);
}

TEST_F(TrainJobControllerTest, ABackendThatIsDownChangesNothing) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  backend_->SetDown(Error(Code::kUnavailable, "no route to the cluster"));
  EXPECT_EQ(Step(id).error().code(), Code::kUnavailable);
  EXPECT_EQ(StateOf(id), State::kRunning);
  backend_->SetDown(std::nullopt);
  EXPECT_EQ(Step(id).value().when, Next::When::kLater);
  EXPECT_EQ(StateOf(id), State::kRunning);
}

TEST_F(TrainJobControllerTest, WhatTheBackendCannotExecuteFailsWithItsSentence) {
  const ResourceId id = Submit("ranker");
  ASSERT_TRUE(Step(id).ok());
  backend_->FailNextCall(FakeBackend::When::kAfter, Error(Code::kInvalidArgument, "no such runtime here"));
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kFailed);
  EXPECT_EQ(Job(id).record.reason, "StartFailed");
  EXPECT_EQ(Job(id).record.message, "no such runtime here");
  EXPECT_EQ(desk_->counts().holding, 0U);
}

TEST_F(TrainJobControllerTest, RecoverRemovesRunsThatNoJobKnows) {
  const ResourceId id = Submit("ranker"), over = Submit("over");
  Settle(id);
  const RunSpec spec = backend_->SpecOf(Run(id)).value();
  const RunKey orphan{ResourceId{"nobody"}, 1}, older = Run(id, 7), of_finished = Run(over, 1);
  for (const RunKey& key : {orphan, older, of_finished}) ASSERT_TRUE(backend_->Ensure(key, spec, {}).ok());
  auto stored = rows_.Get(over).value();
  stored.value.record.state = State::kFailed;
  stored.value.record.incarnation = 1;
  ASSERT_TRUE(rows_.SaveRecord(stored, leader_).ok());
  Boot();
  EXPECT_EQ(controller_->Recover().value(), std::vector{id});
  EXPECT_EQ(Runs(), std::vector{Run(id)});
  EXPECT_EQ(Step(id).value().when, Next::When::kLater) << "what it knows goes on undisturbed";
}

TEST_F(TrainJobControllerTest, RecoverGivesNoShareOutTwice) {
  const ResourceId first = Submit("first"), second = Submit("second");
  Settle(first);
  Settle(second);
  Boot();
  EXPECT_EQ(controller_->Recover().value(), (std::vector{first, second}));
  Settle(second);
  EXPECT_EQ(StateOf(second), State::kEnqueued) << "the first one's share is in the new book";
}

TEST_F(TrainJobControllerTest, RecoverThatCannotListRemovesNothing) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  Boot();
  backend_->SetDown(Error(Code::kUnavailable, "no route"));
  EXPECT_FALSE(controller_->Recover().ok());
  backend_->SetDown(std::nullopt);
  // A store that fails must not make a job's run look like nobody's.
  store_.FailNext(MemoryStore::FailWhen::kBefore, Error(Code::kUnavailable, "no store"));
  EXPECT_FALSE(controller_->Recover().ok());
  EXPECT_EQ(Runs(), std::vector{Run(id)});
}

TEST_F(TrainJobControllerTest, AWishThatChangesMidStepWins) {
  const ResourceId id = Submit("ranker");
  clock_.meanwhile = [&] { Delete(id); };
  EXPECT_EQ(Step(id).value().when, Next::When::kAgain);
  EXPECT_EQ(StateOf(id), State::kEnqueued) << "the step's write lost";
  Settle(id);
  EXPECT_FALSE(Exists(id));
  EXPECT_TRUE(Runs().empty());
  EXPECT_EQ(desk_->counts().holding, 0U) << "the share it was just given is back";
}

TEST_F(TrainJobControllerTest, ADeposedLeaderWritesNothingAndStartsNothing) {
  const ResourceId id = Submit("ranker");
  auto deposed = MakeController();
  leader_ = store_.BecomeLeader().value();
  EXPECT_EQ(deposed->Step(id).error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(StateOf(id), State::kEnqueued);
  EXPECT_TRUE(Runs().empty());

  Boot();
  ASSERT_TRUE(controller_->Recover().ok());
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
}

TEST_F(TrainJobControllerTest, DeleteWhileRunningLeavesNothing) {
  const ResourceId id = Submit("ranker"), next = Submit("next");
  Settle(id);
  Settle(next);
  const auto log = backend_->LogOf(Run(id), "worker", 0);
  ASSERT_TRUE(MakeFolders(log.parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(log, "line\n").ok());
  Delete(id);
  ASSERT_TRUE(Step(id).ok());  // stops it
  ASSERT_TRUE(Step(id).ok());  // records its end
  EXPECT_EQ(Runs().size(), 1U) << "not removed before its end is recorded";
  ASSERT_TRUE(Step(id).ok());
  EXPECT_TRUE(Runs().empty());
  EXPECT_TRUE(Exists(id)) << "the row goes last";
  Settle(id);
  EXPECT_FALSE(Exists(id));
  EXPECT_FALSE(std::filesystem::exists(log));
  EXPECT_EQ(backend_->removed_checkpoints(), std::vector<std::string>{id.str()});
  EXPECT_EQ(admitted_, std::vector{next});
  EXPECT_EQ(Step(id).value().when, Next::When::kDone);
}

std::vector<std::string> UsedBy(store::Store& store) {
  std::vector<std::string> ids;
  for (const UsageRecord& r : store.ListUsage({}).value()) ids.push_back(r.id);
  return ids;
}

TEST_F(TrainJobControllerTest, EachRunIsBilledOnceHoweverItEnds) {
  const ResourceId id = Submit("ranker", [](TrainJobSpec& s) { s.max_retries = 1; });
  Settle(id);
  EXPECT_TRUE(UsedBy(store_).empty());
  backend_->Finish(Run(id), 1);
  Settle(id);
  EXPECT_EQ(UsedBy(store_), std::vector<std::string>{"ranker.1/worker-0"});
  Delete(id);  // the second try runs
  Settle(id);
  ASSERT_TRUE(Step(id).ok());
  EXPECT_FALSE(Exists(id));
  EXPECT_EQ(UsedBy(store_), (std::vector<std::string>{"ranker.1/worker-0", "ranker.2/worker-0"}));
  for (const UsageRecord& r : store_.ListUsage({}).value()) {
    EXPECT_EQ(r.millicores, 6'000);
    EXPECT_GE(r.to, r.from);
    EXPECT_EQ(r.name, "ranker");
  }
}

TEST_F(TrainJobControllerTest, ARunThatEndedWhileTheServerWasDownIsBilled) {
  const ResourceId ended = Submit("ended"), deleted = Submit("gone");
  Settle(ended);
  backend_->Finish(Run(ended), 0);
  Delete(ended);
  Boot();
  ASSERT_TRUE(controller_->Recover().ok());
  Settle(ended);
  EXPECT_FALSE(Exists(ended));
  EXPECT_EQ(UsedBy(store_), std::vector<std::string>{"ended.1/worker-0"});
  Delete(deleted);  // it only waited
  Settle(deleted);
  EXPECT_EQ(UsedBy(store_).size(), 1U);
}

TEST_F(TrainJobControllerTest, AWriteThatFailsIsRepeatedWithItsUsage) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  backend_->Finish(Run(id), 0);
  for (const auto when : {MemoryStore::FailWhen::kBefore, MemoryStore::FailWhen::kAfter}) {
    store_.FailNext(when, Error(Code::kUnavailable, "no space"));
    (void)Step(id);
  }
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kCompleted);
  EXPECT_EQ(UsedBy(store_).size(), 1U);
}

TEST_F(TrainJobControllerTest, NothingStartsThatTheBudgetForbids) {
  std::string no = "no money is left";
  TrainJobController::Deps deps{rows_, *backend_, *desk_, *ports_, clock_, "installer", leader_};
  deps.held_back = [&](const OrgId&) { return no; };
  controller_ = std::make_unique<TrainJobController>(std::move(deps));
  ASSERT_TRUE(controller_->Recover().ok());
  const ResourceId id = Submit("ranker");
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kEnqueued);
  EXPECT_EQ(Job(id).record.message, "no money is left");
  EXPECT_EQ(desk_->counts().holding, 0U);
  no.clear();
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
}

TEST_F(TrainJobControllerTest, OneThatIsToldToStopEndsAndGivesItsShareBack) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  Wish(id, [](TrainJobWish& w) {
    w.stop = w.starts;
    w.stop_reason = "BudgetExceeded";
    w.stop_message = "no money is left";
  });
  Settle(id);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kFailed);
  EXPECT_EQ(Job(id).record.reason, "BudgetExceeded");
  EXPECT_EQ(desk_->counts().holding, 0U);
  EXPECT_EQ(UsedBy(store_).size(), 1U);
}

TEST_F(TrainJobControllerTest, ADeleteGoesOnAfterACrash) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  Delete(id);
  Boot();
  EXPECT_EQ(controller_->Recover().value(), std::vector{id});
  Settle(id);
  EXPECT_FALSE(Exists(id));
  EXPECT_TRUE(Runs().empty());
}

TEST_F(TrainJobControllerTest, AnEndedJobCanBeStartedAgain) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  backend_->Finish(Run(id), 3);
  Settle(id);
  ASSERT_EQ(Job(id).record.exit_code, 3);
  Wish(id, [](TrainJobWish& w) { ++w.starts; });
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Job(id).record.incarnation, 2U);
  EXPECT_EQ(Job(id).record.exit_code, std::nullopt);
  EXPECT_EQ(Runs(), std::vector{Run(id, 2)});
  EXPECT_TRUE(backend_->removed_checkpoints().empty()) << "it goes on where it was";
}

TEST_F(TrainJobControllerTest, AFailureIsRetriedAsOftenAsAsked) {
  const ResourceId id = Submit("ranker", [](TrainJobSpec& s) { s.max_retries = 1; });
  Settle(id);
  backend_->Finish(Run(id), 1);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Job(id).record.retries, 1);
  EXPECT_EQ(Runs(), std::vector{Run(id, 2)});
  backend_->Finish(Run(id, 2), 1);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kFailed);
  EXPECT_EQ(desk_->counts().holding, 0U);
}

TEST_F(TrainJobControllerTest, ALostRunIsRetriedUnasked) {
  const ResourceId id = Submit("ranker");
  Settle(id);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    backend_->Lose(Run(id, i));
    Settle(id);
    ASSERT_EQ(StateOf(id), State::kRunning) << i;
    EXPECT_EQ(Job(id).record.incarnation, i + 1);
  }
  backend_->Lose(Run(id, 4));
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kFailed);
  EXPECT_EQ(Job(id).record.reason, "RunLost");
}

TEST_F(TrainJobControllerTest, ARunThatVanishedBeforeItWasSeenIsRetriedToo) {
  const ResourceId id = Submit("ranker");
  ASSERT_TRUE(Step(id).ok());
  backend_->FailNextCall(FakeBackend::When::kAfter, Error(Code::kFailedPrecondition, "was there, is gone"));
  ASSERT_TRUE(Step(id).ok());
  EXPECT_EQ(StateOf(id), State::kEnqueued);
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kRunning);
  EXPECT_EQ(Job(id).record.incarnation, 2U);
  EXPECT_EQ(Runs(), std::vector{Run(id, 2)});
}

TEST_F(TrainJobControllerTest, ARunThatWasRemovedBehindOurBackIsNotWaitedForForEver) {
  const ResourceId id = Submit("ranker");
  backend_->HoldNewRuns();
  Settle(id);
  ASSERT_EQ(StateOf(id), State::kCreating);
  ASSERT_TRUE(backend_->Remove(Run(id), {}).ok());
  Settle(id);
  EXPECT_EQ(StateOf(id), State::kCreating);  // it may still be on its way
  clock_.now += 31s;
  ASSERT_TRUE(Step(id).ok());
  EXPECT_EQ(StateOf(id), State::kEnqueued);
  EXPECT_EQ(Job(id).record.retries, 1);
}

}  // namespace
}  // namespace cml::control
