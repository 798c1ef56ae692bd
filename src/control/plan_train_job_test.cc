#include "control/plan_train_job.h"

#include <gtest/gtest.h>

namespace cml::control {
namespace {

using State = TrainJobState;
using namespace std::chrono_literals;

class PlanTrainJobTest : public ::testing::Test {
 protected:
  PlanTrainJobTest() {
    job_.meta.id = ResourceId{"abc"};
    job_.wish.starts = job_.record.starts = 1;
  }
  TrainJobAction Plan() { return PlanTrainJob({job_, run_, admitted_, {}, wait_, now_}); }
  // The record that the plan wants written; fails the test when it wants something else.
  Record PlannedRecord() {
    const TrainJobAction action = Plan();
    EXPECT_TRUE(std::holds_alternative<Record>(action)) << action.index();
    const auto* record = std::get_if<Record>(&action);
    return record ? *record : Record{};
  }
  void RunEnds(RunState state, std::string reason, int exit_code) {
    run_ = RunStatus{state, reason, reason + " happened", false, {}};
    ReplicaStatus replica;
    replica.exit_code = exit_code;
    run_->replicas.push_back(replica);
  }

  TrainJob job_;
  std::optional<RunStatus> run_;
  std::optional<std::vector<Placement>> admitted_;
  std::string wait_;
  SysTime now_{1h};
};

TEST_F(PlanTrainJobTest, AWaitingJobSaysWhyOnceAndThenIsQuiet) {
  job_.record.state = State::kEnqueued;
  wait_ = "4 GPUs asked, 2 free";
  const Record r = PlannedRecord();
  EXPECT_EQ(r.next.state, State::kEnqueued);
  EXPECT_EQ(r.next.message, wait_);
  ASSERT_EQ(r.events.size(), 1U);
  EXPECT_EQ(r.events[0].reason, "Waiting");
  job_.record = r.next;
  EXPECT_TRUE(std::holds_alternative<Nothing>(Plan()));
  wait_ = "4 GPUs asked, 3 free";
  EXPECT_TRUE(PlannedRecord().events.empty());  // news, but not another event
}

TEST_F(PlanTrainJobTest, IntentIsRecordedBeforeTheRunIsMade) {
  job_.record.state = State::kEnqueued;
  admitted_ = {Placement{"here", {1}}};
  const Record r = PlannedRecord();
  EXPECT_EQ(r.next.state, State::kCreating);
  EXPECT_EQ(r.next.incarnation, 1U);
  EXPECT_EQ(r.next.placement, admitted_->front());
  job_.record = r.next;
  EXPECT_TRUE(std::holds_alternative<EnsureRun>(Plan()));
}

TEST_F(PlanTrainJobTest, RunsAndCompletes) {
  job_.record.state = State::kCreating;
  run_ = RunStatus{RunState::kRunning, "", "", false, {}};
  job_.record = PlannedRecord().next;
  EXPECT_EQ(job_.record.state, State::kRunning);
  RunEnds(RunState::kSucceeded, "Completed", 0);
  const Record r = PlannedRecord();
  EXPECT_EQ(r.next.state, State::kCompleted);
  EXPECT_EQ(r.next.exit_code, 0);
  EXPECT_TRUE(r.next.message.empty());
  job_.record = r.next;
  EXPECT_TRUE(std::holds_alternative<RemoveRun>(Plan()));
  run_.reset();
  EXPECT_TRUE(std::holds_alternative<Nothing>(Plan()));
}

TEST_F(PlanTrainJobTest, EachStepOfThePreparationIsOneEvent) {
  job_.record.state = State::kCreating;
  const std::vector<std::pair<const char*, std::size_t>> told = {
      {"environment a 1: downloading x (1 of 3 downloads done)", 1},
      {"environment a 1: downloading y (2 of 3 downloads done)", 0},
      {"environment a 1: installing 9 packages", 1},
      {"packages are to be fetched", 1},
      {"packages are being fetched", 0}};
  for (const auto& [message, events] : told) {
    run_ = RunStatus{RunState::kPending, "Preparing", message, false, {}};
    const Record r = PlannedRecord();
    EXPECT_EQ(r.next.message, message);
    EXPECT_EQ(r.events.size(), events) << message;
    if (!r.events.empty()) {
      EXPECT_EQ(r.events.front().message, message);
    }
    job_.record = r.next;
    EXPECT_TRUE(std::holds_alternative<Nothing>(Plan())) << "the same again";
  }
}

TEST_F(PlanTrainJobTest, ARunThatEndedUnseenIsNotLost) {
  job_.record.state = State::kCreating;
  RunEnds(RunState::kSucceeded, "Completed", 0);
  EXPECT_EQ(PlannedRecord().next.state, State::kCompleted);
}

TEST_F(PlanTrainJobTest, ALostRunIsRetriedAndAFailedProgramIsNot) {
  job_.record.state = State::kRunning;
  job_.record.incarnation = 4;
  const Record lost = PlannedRecord();  // the backend knows of no run
  EXPECT_EQ(lost.next.state, State::kEnqueued);
  EXPECT_EQ(lost.next.retries, 1);
  RunEnds(RunState::kFailed, "Error", 1);
  EXPECT_EQ(PlannedRecord().next.state, State::kFailed);
}

TEST_F(PlanTrainJobTest, TheRetryBudgetOfTheJobIsKept) {
  job_.record.state = State::kRunning;
  job_.wish.spec.max_retries = 2;
  RunEnds(RunState::kFailed, "Error", 1);
  for (int retry = 1; retry <= 2; ++retry) {
    const Record r = PlannedRecord();
    EXPECT_EQ(r.next.state, State::kEnqueued);
    EXPECT_EQ(r.next.retries, retry);
    job_.record.retries = r.next.retries;
  }
  EXPECT_EQ(PlannedRecord().next.state, State::kFailed);
}

TEST_F(PlanTrainJobTest, WhatARetryCannotMendEndsTheJob) {
  job_.record.state = State::kRunning;
  job_.wish.spec.max_retries = 5;
  for (const char* reason : {"OutOfMemory", "DiskLimit", "WallTimeLimit", "ModuleNotFound"}) {
    RunEnds(RunState::kFailed, reason, 137);
    EXPECT_EQ(PlannedRecord().next.state, State::kFailed) << reason;
  }
  RunEnds(RunState::kFailed, "Error", 2);  // argparse
  EXPECT_EQ(PlannedRecord().next.state, State::kFailed);
  RunEnds(RunState::kFailed, "Error", 1);
  run_->permanent = true;
  EXPECT_EQ(PlannedRecord().next.state, State::kFailed);
}

TEST_F(PlanTrainJobTest, ARetryRemovesTheOldRunFirst) {
  job_.record.state = State::kEnqueued;
  job_.record.incarnation = 1;
  admitted_ = {Placement{"here", {}}};
  RunEnds(RunState::kFailed, "RunLost", 137);
  EXPECT_TRUE(std::holds_alternative<RemoveRun>(Plan()));
}

TEST_F(PlanTrainJobTest, StartAgainBeginsAnew) {
  job_.record.state = State::kFailed;
  job_.record.retries = 3;
  job_.record.exit_code = 1;
  job_.wish.starts = 2;
  const Record r = PlannedRecord();
  EXPECT_EQ(r.next.state, State::kEnqueued);
  EXPECT_EQ(r.next.starts, 2U);
  EXPECT_EQ(r.next.retries, 0);
  EXPECT_FALSE(r.next.exit_code);
}

TEST_F(PlanTrainJobTest, DeleteRemovesFirstAndErasesThen) {
  job_.wish.deleted = true;
  for (const State s : {State::kInitial, State::kEnqueued, State::kCompleted, State::kDeleting}) {
    job_.record.state = s;
    run_ = RunStatus{};
    EXPECT_TRUE(std::holds_alternative<RemoveRun>(Plan()));
    run_.reset();
    EXPECT_TRUE(std::holds_alternative<Erase>(Plan()));
  }
  job_.record.state = State::kCreating;  // nothing was ensured yet
  EXPECT_TRUE(std::holds_alternative<Erase>(Plan()));
}

TEST_F(PlanTrainJobTest, ARunIsNeverRemovedBeforeItsEndAndItsUsageAreRecorded) {
  job_.wish.deleted = true;
  for (const State s : {State::kCreating, State::kRunning}) {
    for (const RunState rs : {RunState::kPending, RunState::kRunning}) {
      job_.record.state = s;
      run_ = RunStatus{rs, "", "", false, {}};
      EXPECT_TRUE(std::holds_alternative<StopRun>(Plan()));
    }
    RunEnds(RunState::kFailed, "Stopped", 143);
    run_->replicas[0].started = SysTime{10s};
    run_->replicas[0].ended = SysTime{15s};
    const Record r = PlannedRecord();
    EXPECT_EQ(r.next.state, State::kDeleting);
    ASSERT_EQ(r.usage.size(), 1U);
    EXPECT_EQ(r.usage[0].to - r.usage[0].from, 5s);
    job_.record = r.next;
    EXPECT_TRUE(std::holds_alternative<RemoveRun>(Plan()));
    run_.reset();
    EXPECT_TRUE(std::holds_alternative<Erase>(Plan()));
  }
}

TEST_F(PlanTrainJobTest, EveryEndCarriesWhatEachReplicaUsed) {
  job_.wish.submitted_by = AccessKey{"AK"};
  job_.wish.user = "ann";
  job_.meta.org = OrgId{"7"};
  job_.wish.spec.labels = {{"team", "vision"}};
  job_.record.state = State::kRunning;
  job_.record.incarnation = 3;
  job_.record.limits = {1500, 1 << 20, 2, 0, 0};
  job_.record.placement = {"node-1", {0, 1}, "v100"};
  const auto usage = [&](RunState state, const std::string& reason) {
    run_ = RunStatus{state, reason, "", false, {}};
    for (std::uint32_t i = 0; i < 2; ++i) {
      ReplicaStatus replica;
      replica.role = "worker";
      replica.index = i;
      replica.state = state;
      replica.reason = reason;
      replica.started = SysTime{10s + 1s * i};
      replica.ended = SysTime{20s};
      run_->replicas.push_back(replica);
    }
    run_->replicas.push_back({});  // one that never started
    run_->replicas.back().state = state;
    return PlannedRecord().usage;
  };
  for (const auto& [state, reason] : {std::pair{RunState::kSucceeded, "Completed"}, {RunState::kFailed, "Error"},
                                      {RunState::kFailed, "RunLost"}, {RunState::kFailed, "OutOfMemory"}}) {
    const auto all = usage(state, reason);
    ASSERT_EQ(all.size(), 2U) << reason;
    EXPECT_EQ(all[0].id, "abc.3/worker-0");
    EXPECT_EQ(all[1].id, "abc.3/worker-1");
    EXPECT_EQ(all[0].from, SysTime{10s});
    EXPECT_EQ(all[1].from, SysTime{11s});
    EXPECT_EQ(all[1].to, SysTime{20s});
    EXPECT_EQ(all[0].millicores, 1500);
    EXPECT_EQ(all[0].gpus, 2);
    EXPECT_EQ(all[0].gpu_model, "v100");
    EXPECT_EQ(all[0].user, "ann");
    EXPECT_EQ(all[0].org, OrgId{"7"});
    EXPECT_EQ(all[0].labels.at("team"), "vision");
  }
}

TEST_F(PlanTrainJobTest, ARunThatLeftNoTraceIsCountedUntilItWasLastSeen) {
  job_.record.state = State::kRunning;
  job_.record.incarnation = 1;
  job_.record.started = SysTime{10s};
  job_.meta.updated = SysTime{30s};
  const Record r = PlannedRecord();
  ASSERT_EQ(r.usage.size(), 1U);
  EXPECT_EQ(r.usage[0].to - r.usage[0].from, 20s);
  job_.record.state = State::kCreating;  // it never ran, as far as anybody knows
  EXPECT_TRUE(LostByBackend(job_, now_).usage.empty());
}

TEST_F(PlanTrainJobTest, ADamagedEndCountsFromTheRecordedStart) {
  job_.record.state = State::kRunning;
  job_.record.started = SysTime{10s};
  RunEnds(RunState::kFailed, "RunLost", 0);
  run_->replicas[0].reason = "RunLost";
  run_->replicas[0].ended = SysTime{12s};
  ASSERT_EQ(PlannedRecord().usage.size(), 1U);
  EXPECT_EQ(PlannedRecord().usage[0].from, SysTime{10s});
}

TEST_F(PlanTrainJobTest, OneThatWasToldToStopFailsWithTheReasonItWasGiven) {
  job_.wish.stop = 1;
  job_.wish.stop_reason = "BudgetExceeded";
  job_.wish.stop_message = "no money is left";
  job_.record.state = State::kEnqueued;
  EXPECT_EQ(PlannedRecord().next.reason, "BudgetExceeded");
  job_.record.state = State::kRunning;
  run_ = RunStatus{RunState::kRunning, "", "", false, {}};
  EXPECT_TRUE(std::holds_alternative<StopRun>(Plan()));
  job_.wish.spec.max_retries = 5;  // which is no reason to go on
  RunEnds(RunState::kFailed, "Stopped", 143);
  const Record r = PlannedRecord();
  EXPECT_EQ(r.next.state, State::kFailed);
  EXPECT_EQ(r.next.message, "no money is left");
  EXPECT_EQ(r.next.exit_code, 143);
  RunEnds(RunState::kSucceeded, "Completed", 0);
  EXPECT_EQ(PlannedRecord().next.state, State::kCompleted) << "it was faster";
  job_.record.starts = job_.wish.starts = 2;  // started again
  run_ = RunStatus{RunState::kRunning, "", "", false, {}};
  EXPECT_FALSE(std::holds_alternative<StopRun>(Plan()));
}

TEST_F(PlanTrainJobTest, EveryPlannedMoveIsAllowedByTheStateMachine) {
  for (const State s : {State::kInitial, State::kEnqueued, State::kCreating, State::kRunning, State::kCompleted, State::kFailed}) {
    for (const RunState rs : {RunState::kPending, RunState::kRunning, RunState::kSucceeded, RunState::kFailed}) {
      for (const bool has_run : {false, true}) {
        job_.record.state = s;
        job_.wish.starts = 2;
        admitted_ = {Placement{"here", {}}};
        run_ = has_run ? std::optional(RunStatus{rs, "Error", "x", false, {}}) : std::nullopt;
        const TrainJobAction action = Plan();
        const auto* record = std::get_if<Record>(&action);
        if (record && record->next.state != s) {
          EXPECT_TRUE(CanMove(s, record->next.state));
        }
      }
    }
  }
}

}  // namespace
}  // namespace cml::control
