#include "control/runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>

namespace cml::control {
namespace {

using namespace std::chrono_literals;

void Until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!done() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  ASSERT_TRUE(done());
}

TEST(RunnerTest, OneResourceIsNeverSteppedTwiceAtOnceAndAMidStepNotifyIsKept) {
  std::atomic<int> inside{0}, steps{0};
  std::atomic<bool> overlap{false};
  std::latch other_ran{1};
  std::atomic<Runner*> self{nullptr};
  Runner runner(
      [&](const ResourceId& id) -> Result<Next> {
        if (id.str() == "other") {
          other_ran.count_down();
          return Next::Done();
        }
        if (++inside > 1) overlap = true;
        if (steps++ == 0) {
          while (!self) std::this_thread::yield();
          self.load()->Notify(ResourceId{"a"});
          self.load()->Notify(ResourceId{"other"});
          other_ran.wait();  // a runner that let "a" overlap would have picked it before
        }
        --inside;
        return Next::Done();
      },
      {.workers = 2});
  self = &runner;
  runner.Notify(ResourceId{"a"});
  Until([&] { return steps == 2; });
  EXPECT_FALSE(overlap);
}

TEST(RunnerTest, AgainIsAtOnceAndLaterIsLater) {
  std::atomic<int> steps{0};
  Runner runner([&](const ResourceId&) -> Result<Next> {
    const int n = ++steps;
    return n < 100 ? Next::Again() : n < 103 ? Next::Later(1ms) : Next::Done();
  }, {.workers = 3});
  runner.Notify(ResourceId{"a"});
  Until([&] { return steps == 103; });
}

TEST(RunnerTest, AnErrorIsTriedAgainAndOthersGoOn) {
  std::atomic<int> bad{0}, good{0};
  Runner runner([&](const ResourceId& id) -> Result<Next> {
    if (id.str() != "bad") {
      ++good;
      return Next::Done();
    }
    if (++bad < 4) return Error(Code::kUnavailable, "no");
    return Next::Done();
  }, {.workers = 2, .backoff_min = 1ms, .backoff_max = 4ms});
  runner.Notify(ResourceId{"bad"});
  for (int i = 0; i < 50; ++i) runner.Notify(ResourceId{std::to_string(i)});
  Until([&] { return bad == 4 && good == 50; });
}

TEST(RunnerTest, StopFinishesTheStepAndTakesNoMore) {
  std::latch in{1};
  std::atomic<bool> finished{false};
  Runner runner([&](const ResourceId&) -> Result<Next> {
    in.count_down();
    finished = true;
    return Next::Done();
  }, {.workers = 1});
  runner.Notify(ResourceId{"a"});
  in.wait();
  runner.Stop();
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace cml::control
