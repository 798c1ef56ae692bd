#include "api/rate_limit.h"

#include <gtest/gtest.h>

namespace cml::api {
namespace {

using namespace std::chrono_literals;

TEST(RateLimitTest, GivesABurstAndThenTheRate) {
  RateLimit limit({.per_second = 2, .burst = 3});
  RateLimit::Time now{1000s};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Take("key", now), 0s) << i;
  EXPECT_EQ(limit.Take("key", now), 1s);
  EXPECT_EQ(limit.Take("other", now), 0s) << "each name has a bucket of its own";
  now += 500ms;
  EXPECT_EQ(limit.Take("key", now), 0s);
  EXPECT_EQ(limit.Take("key", now), 1s);
  now += 1h;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Take("key", now), 0s) << "no more than the burst is saved up";
  EXPECT_EQ(limit.Take("key", now), 1s);
  EXPECT_EQ(limit.refused(), 3U);
}

TEST(RateLimitTest, SaysHowLongToWait) {
  RateLimit limit({.per_second = 0.1, .burst = 1});
  RateLimit::Time now{1000s};
  EXPECT_EQ(limit.Take("key", now), 0s);
  EXPECT_EQ(limit.Take("key", now), 10s);
  EXPECT_EQ(limit.Take("key", now + 4s), 6s);
  EXPECT_EQ(limit.Take("key", now + 10s), 0s);
}

TEST(RateLimitTest, ZeroIsNoLimit) {
  RateLimit limit({.per_second = 0, .burst = 1});
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(limit.Take("key"), 0s);
  EXPECT_EQ(limit.names(), 0U);
}

TEST(RateLimitTest, RemembersABoundedNumberOfNames) {
  RateLimit limit({.per_second = 1, .burst = 2});
  const RateLimit::Time now{1000s};
  for (int i = 0; i < 100'000; ++i) limit.Take("peer" + std::to_string(i), now);
  EXPECT_LE(limit.names(), 16U * 4096U);
  for (int i = 0; i < 100'000; ++i) limit.Take("later" + std::to_string(i), now + 10s);
  EXPECT_LE(limit.names(), 16U * 4096U);
}

TEST(RateLimitTest, AnAddressOfIpv6CountsAsItsNetwork) {
  EXPECT_EQ(NetworkOf("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(NetworkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(NetworkOf("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
  EXPECT_EQ(NetworkOf(""), "");
}

}  // namespace
}  // namespace cml::api
