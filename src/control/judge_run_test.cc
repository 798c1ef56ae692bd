#include "control/judge_run.h"

#include <gtest/gtest.h>

#include "core/train_job.h"

namespace cml::control {
namespace {

using namespace std::chrono_literals;
using enum RunState;

const SysTime kNow{1h};

ReplicaStatus R(const std::string& name, RunState state, const std::string& reason = "") {
  const auto id = ParseReplicaName(name);
  ReplicaStatus r;
  r.role = id->role;
  r.index = id->index;
  r.state = state;
  r.reason = reason;
  if (state == kFailed) {
    r.exit_code = 1;
    r.message = "exit status 1";
  }
  if (state == kFailed || state == kSucceeded) r.ended = kNow - 10s;
  return r;
}

Judgement Judge(std::vector<ReplicaStatus> replicas, std::chrono::seconds wait = 60s) {
  RunStatus run;
  run.replicas = std::move(replicas);
  return JudgeRun(run, wait, kNow);
}
std::string Speaker(const Judgement& j) {
  return j.speaker ? ReplicaNameOf(j.run.replicas[*j.speaker]) : "";
}

TEST(JudgeRunTest, ItRunsWhenAllAreUp) {
  auto j = Judge({R("chief-0", kRunning), R("worker-0", kRunning), R("worker-1", kPending, "Preparing")});
  EXPECT_EQ(j.run.state, kPending);
  EXPECT_EQ(j.run.message, "2 of 3 tasks run; worker-1 is getting ready");
  j = Judge({R("chief-0", kRunning), R("worker-0", kRunning), R("ps-0", kRunning)});
  EXPECT_EQ(j.run.state, kRunning);
  EXPECT_EQ(Judge({R("chief-0", kRunning), R("worker-0", kSucceeded)}).run.state, kRunning)
      << "a worker may leave before the chief";
}

TEST(JudgeRunTest, TheChiefsEndIsTheJobsEnd) {
  auto j = Judge({R("chief-0", kSucceeded), R("worker-0", kRunning), R("ps-0", kRunning)});
  EXPECT_EQ(j.run.state, kSucceeded);
  EXPECT_EQ(j.rest, Judgement::Rest::kToStop);
  // However the others end then.
  j = Judge({R("master-0", kSucceeded), R("worker-0", kFailed, "Error"), R("ps-0", kFailed, "Stopped")});
  EXPECT_EQ(j.run.state, kSucceeded);
  EXPECT_EQ(j.rest, Judgement::Rest::kGone);
  EXPECT_EQ(Speaker(j), "master-0");
}

TEST(JudgeRunTest, WithoutAChiefAllWhoTrainMustEnd) {
  EXPECT_EQ(Judge({R("worker-0", kSucceeded), R("worker-1", kRunning), R("ps-0", kRunning)}).run.state, kRunning);
  const auto j = Judge({R("worker-0", kSucceeded), R("worker-1", kSucceeded), R("ps-0", kRunning)});
  EXPECT_EQ(j.run.state, kSucceeded);
  EXPECT_EQ(j.rest, Judgement::Rest::kToStop);
}

TEST(JudgeRunTest, WhoFailedForGoodEndsTheRunAndIsNamed) {
  auto j = Judge({R("chief-0", kRunning), R("worker-1", kFailed, "Error"), R("ps-0", kRunning)});
  EXPECT_EQ(j.run.state, kFailed);
  EXPECT_EQ(j.rest, Judgement::Rest::kToStop);
  EXPECT_EQ(j.run.message, "worker-1: exit status 1");
  j = Judge({R("chief-0", kFailed, "Stopped"), R("worker-1", kFailed, "Error"), R("ps-0", kFailed, "PackageError")});
  EXPECT_EQ(Speaker(j), "ps-0");
  EXPECT_TRUE(j.run.permanent);
  EXPECT_EQ(j.rest, Judgement::Rest::kGone);
  auto first = R("worker-1", kFailed, "Error"), later = R("worker-0", kFailed, "RunLost");
  first.ended -= 1s;
  EXPECT_EQ(Speaker(Judge({later, first, R("worker-2", kFailed, "Stopped")})), "worker-1");
}

TEST(JudgeRunTest, AnEvaluatorHasSomeTimeForTheLastCheckpoint) {
  const std::vector<ReplicaStatus> now = {R("chief-0", kSucceeded), R("worker-0", kSucceeded), R("evaluator-0", kRunning)};
  auto j = Judge(now, 60s);
  EXPECT_EQ(j.run.state, kRunning);
  EXPECT_EQ(j.run.message, "training has ended; evaluator-0 evaluates the result");
  j = Judge(now, 5s);
  EXPECT_EQ(j.run.state, kSucceeded);
  EXPECT_EQ(j.rest, Judgement::Rest::kToStop);
  EXPECT_EQ(Judge({R("chief-0", kSucceeded), R("evaluator-0", kSucceeded)}).rest, Judgement::Rest::kGone);
}

TEST(JudgeRunTest, ARunThatWasStoppedHasFailed) {
  const auto j = Judge({R("chief-0", kFailed, "Stopped"), R("worker-0", kFailed, "Stopped")});
  EXPECT_EQ(j.run.state, kFailed);
  EXPECT_EQ(j.run.reason, "Stopped");
}

TEST(JudgeRunTest, OneReplicaIsJudgedAsItIs) {
  RunStatus run;
  run.state = kFailed;
  run.message = "exit status 3";
  run.replicas = {R("worker-0", kFailed, "Error")};
  const auto j = JudgeRun(run, 60s, kNow);
  EXPECT_EQ(j.run.message, "exit status 3");
  EXPECT_EQ(j.speaker, 0U);
}

}  // namespace
}  // namespace cml::control
