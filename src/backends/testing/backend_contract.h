// backends/testing/backend_contract.h — every Backend runs this suite: the fake, local/, and later
// the clusters. The numbers are those of the promises in backends/backend.h.
//
// Commands are ones that all of them know: true, false, echo TEXT, and sleep, which runs until it
// is stopped.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "base/file.h"

namespace cml::testing {

// A cluster, and the server's view of it, which can be lost and made anew.
class BackendHarness {
 public:
  virtual ~BackendHarness() = default;
  virtual backends::Backend& Get() = 0;
  virtual void RestartServer() = 0;  // Get() is another object from here on
};
using MakeHarness = std::function<std::unique_ptr<BackendHarness>()>;

class BackendContract : public ::testing::TestWithParam<MakeHarness> {
 protected:
  BackendContract() : harness_(GetParam()()) { Listen(); }

  void TearDown() override {
    const auto keys = Get().List(Soon());
    ASSERT_TRUE(keys.ok());
    for (const auto& key : keys.value()) EXPECT_TRUE(Get().Remove(key, Soon()).ok());
  }

  backends::Backend& Get() { return harness_->Get(); }
  void RestartServer() {
    harness_->RestartServer();
    Listen();
  }
  void Listen() {
    Get().OnChange([this](const RunKey&) {
      const std::scoped_lock lock(mu_);
      ++changes_;
      changed_.notify_all();
    });
  }

  static Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }
  static RunSpec Command(std::vector<std::string> words) {
    RunSpec spec;
    spec.org = OrgId{"1"};
    spec.display_name = "contract";
    spec.grace_seconds = 2;
    spec.roles = {Role{}};
    spec.roles[0].command = std::move(words);
    return spec;
  }
  static RunSpec Endless() { return Command({"sleep", "100000"}); }

  void Ensure(const RunKey& key, const RunSpec& spec) {
    const auto made = Get().Ensure(key, spec, Soon());
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  // Observes whenever the backend hints at a change, until the run is in a state that is not
  // earlier than `least`.
  RunStatus WaitFor(const RunKey& key, RunState least) {
    const auto by = Soon();
    while (true) {
      std::uint64_t seen = 0;
      {
        const std::scoped_lock lock(mu_);
        seen = changes_;
      }
      auto status = Get().Observe(key, Soon());
      if (!status.ok() || !status.value()) {
        ADD_FAILURE() << ToString(key) << " is not there";
        return {};
      }
      if (status.value()->state >= least) return *std::move(status).value();
      std::unique_lock lock(mu_);
      if (!changed_.wait_until(lock, by, [&] { return changes_ != seen; })) {
        ADD_FAILURE() << ToString(key) << " stays " << status.value()->reason << ": "
                      << status.value()->message;
        return *std::move(status).value();
      }
    }
  }
  RunStatus WaitForEnd(const RunKey& key) { return WaitFor(key, RunState::kSucceeded); }

  std::unique_ptr<BackendHarness> harness_;
  const RunKey key_{ResourceId{"contract01"}, 1};

  std::mutex mu_;
  std::condition_variable changed_;
  std::uint64_t changes_ = 0;
};

TEST_P(BackendContract, ARunSucceedsOrFailsByItsExitStatus) {
  Ensure(key_, Command({"true"}));
  RunStatus status = WaitForEnd(key_);
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(status.reason, "Completed");
  ASSERT_EQ(status.replicas.size(), 1U);
  EXPECT_EQ(status.replicas[0].role, "worker");
  EXPECT_EQ(status.replicas[0].exit_code, 0);
  EXPECT_GT(status.replicas[0].started, SysTime{});
  EXPECT_GT(status.replicas[0].ended, SysTime{});

  const RunKey next{key_.resource, 2};
  Ensure(next, Command({"false"}));
  status = WaitForEnd(next);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.message, "exit status 1");
  EXPECT_EQ(status.replicas[0].exit_code, 1);
  EXPECT_FALSE(status.permanent);
}

TEST_P(BackendContract, WhatIsNotThereIsNotObserved) {
  EXPECT_FALSE(Get().Observe(key_, Soon()).value().has_value());
  EXPECT_TRUE(Get().Stop(key_, Soon()).ok());
  EXPECT_TRUE(Get().Remove(key_, Soon()).ok());
  EXPECT_TRUE(Get().List(Soon()).value().empty());
}

TEST_P(BackendContract, ASpecWithoutACommandIsRefused) {
  const auto made = Get().Ensure(key_, Command({}), Soon());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code(), Code::kInvalidArgument);
  EXPECT_FALSE(Get().Observe(key_, Soon()).value().has_value());
}

TEST_P(BackendContract, Promise2EnsureTwiceMakesOneRun) {
  Ensure(key_, Command({"echo", "first"}));
  Ensure(key_, Command({"echo", "second"}));
  EXPECT_EQ(Get().List(Soon()).value(), std::vector<RunKey>{key_});
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded);
  EXPECT_EQ(ReadFile(Get().LogOf(key_, "worker", 0)).value(), "first\n");
}

TEST_P(BackendContract, Promise1ManyEnsureAtOnceMakeOneRun) {
  constexpr int kThreads = 6;
  std::latch together(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      together.arrive_and_wait();
      EXPECT_TRUE(Get().Ensure(key_, Command({"echo", "once"}), Soon()).ok());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded);
  EXPECT_EQ(ReadFile(Get().LogOf(key_, "worker", 0)).value(), "once\n");
}

TEST_P(BackendContract, Promise3NothingStartsASecondTime) {
  Ensure(key_, Command({"echo", "first"}));
  (void)WaitForEnd(key_);
  Ensure(key_, Command({"echo", "second"}));  // it has ended
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded);
  RestartServer();
  Ensure(key_, Command({"echo", "third"}));
  ASSERT_TRUE(Get().Remove(key_, Soon()).ok());
  Ensure(key_, Command({"echo", "fourth"}));  // it was removed
  RestartServer();
  Ensure(key_, Command({"echo", "fifth"}));
  EXPECT_FALSE(Get().Observe(key_, Soon()).value().has_value());
  EXPECT_EQ(ReadFile(Get().LogOf(key_, "worker", 0)).value(), "first\n");
}

TEST_P(BackendContract, IncarnationsAreDifferentRuns) {
  Ensure(key_, Command({"true"}));
  const RunKey next{key_.resource, 2};
  EXPECT_FALSE(Get().Observe(next, Soon()).value().has_value());
  ASSERT_TRUE(Get().Remove(key_, Soon()).ok());
  Ensure(next, Command({"true"}));
  EXPECT_EQ(WaitForEnd(next).state, RunState::kSucceeded);
}

TEST_P(BackendContract, StopEndsARunOnce) {
  Ensure(key_, Endless());
  EXPECT_EQ(WaitFor(key_, RunState::kRunning).state, RunState::kRunning);
  ASSERT_TRUE(Get().Stop(key_, Soon()).ok());
  ASSERT_TRUE(Get().Stop(key_, Soon()).ok());
  const RunStatus status = WaitForEnd(key_);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "Stopped");
  ASSERT_TRUE(Get().Stop(key_, Soon()).ok());
  EXPECT_EQ(WaitForEnd(key_).reason, "Stopped");
}

TEST_P(BackendContract, RemoveEndsWhatRuns) {
  Ensure(key_, Endless());
  (void)WaitFor(key_, RunState::kRunning);
  ASSERT_TRUE(Get().Remove(key_, Soon()).ok());
  EXPECT_FALSE(Get().Observe(key_, Soon()).value().has_value());
  EXPECT_TRUE(Get().List(Soon()).value().empty());
}

TEST_P(BackendContract, Promise5TheEndOutlivesTheServer) {
  Ensure(key_, Command({"false"}));
  RestartServer();
  const RunStatus first = WaitForEnd(key_);
  EXPECT_EQ(first.replicas.at(0).exit_code, 1) << first.reason << ": " << first.message;
  RestartServer();
  const RunStatus status = WaitForEnd(key_);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.replicas.at(0).exit_code, 1);
}

TEST_P(BackendContract, ARunningRunIsFoundAfterARestart) {
  Ensure(key_, Endless());
  (void)WaitFor(key_, RunState::kRunning);
  RestartServer();
  EXPECT_EQ(Get().List(Soon()).value(), std::vector<RunKey>{key_});
  EXPECT_EQ(WaitFor(key_, RunState::kRunning).state, RunState::kRunning);
  ASSERT_TRUE(Get().Stop(key_, Soon()).ok());
  EXPECT_EQ(WaitForEnd(key_).reason, "Stopped");
}

TEST_P(BackendContract, Promise6LogsOutliveRemove) {
  Ensure(key_, Command({"echo", "kept"}));
  (void)WaitForEnd(key_);
  ASSERT_TRUE(Get().Remove(key_, Soon()).ok());
  const auto log = Get().LogOf(key_, "worker", 0);
  EXPECT_EQ(ReadFile(log).value(), "kept\n");
  ASSERT_TRUE(Get().RemoveLogs(key_.resource).ok());
  EXPECT_FALSE(ReadFile(log).ok());
  EXPECT_TRUE(Get().RemoveLogs(key_.resource).ok());
}

TEST_P(BackendContract, NodesHaveSomethingToGive) {
  const auto nodes = Get().Nodes(Soon());
  ASSERT_TRUE(nodes.ok());
  ASSERT_FALSE(nodes.value().empty());
  for (const auto& node : nodes.value()) {
    EXPECT_FALSE(node.name.empty());
    EXPECT_GT(node.millicores, 0);
    EXPECT_GT(node.memory_bytes, 0);
  }
}

TEST_P(BackendContract, ReplicasAreListedInTheOrderOfRoles) {
  RunSpec spec = Command({"true"});
  spec.roles[0].name = "chief";
  spec.roles.push_back(spec.roles[0]);
  spec.roles[1].name = "worker";
  spec.roles[1].replicas = 2;
  Ensure(key_, spec);
  const RunStatus status = WaitForEnd(key_);
  ASSERT_EQ(status.replicas.size(), 3U);
  EXPECT_EQ(status.replicas[0].role, "chief");
  EXPECT_EQ(status.replicas[1].role, "worker");
  EXPECT_EQ(status.replicas[2].index, 1U);
}

}  // namespace cml::testing
