#include "net/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace cml::net {
namespace {

using namespace std::chrono_literals;

TEST(WorkerPoolTest, GrowsToItsLimitAndQueuesTheRest) {
  WorkerPool pool(4);
  std::latch arrived(4), go(1);
  std::atomic<int> ran{0};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(pool.Submit([&, i] {
      if (i < 4) arrived.count_down();
      go.wait();
      ran.fetch_add(1);
    }));
  }
  arrived.wait();
  EXPECT_EQ(pool.threads(), 4U);
  go.count_down();
  pool.Stop();  // runs what is queued
  EXPECT_EQ(ran.load(), 10);
  EXPECT_EQ(pool.threads(), 0U);
  EXPECT_FALSE(pool.Submit([] {}));
}

TEST(WorkerPoolTest, AnIdleThreadIsUsedAgainAndEndsAfterAWhile) {
  WorkerPool pool(8, 20ms);
  std::atomic<int> ran{0};
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(pool.Submit([&] { ran.fetch_add(1); }));
    while (pool.threads() > 0) std::this_thread::yield();
  }
  EXPECT_EQ(ran.load(), 3);
}

TEST(WorkerPoolTest, RunsEveryJobOnceUnderContention) {
  std::atomic<int> ran{0};
  {
    WorkerPool pool(3, 1ms);  // so short that threads end and begin all the time
    std::vector<std::jthread> givers;
    for (int g = 0; g < 4; ++g) {
      givers.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          if (!pool.Submit([&] { ran.fetch_add(1); })) std::abort();
        }
      });
    }
    givers.clear();
  }
  EXPECT_EQ(ran.load(), 8000);
}

}  // namespace
}  // namespace cml::net
