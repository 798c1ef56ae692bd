#include "base/time.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

using namespace std::chrono_literals;

TEST(TimeTest, FormatsOfTheContract) {
  const SysTime t{std::chrono::milliseconds{1474203860123}};
  EXPECT_EQ(FormatRfc3339(t), "2016-09-18T13:04:20Z");
  EXPECT_EQ(FormatContractTime(t), "2016-09-18 13:04:20.123000");
}

TEST(TimeTest, AgesAndDurationsForPeople) {
  EXPECT_EQ(FormatAge(500ms), "just now");
  EXPECT_EQ(FormatAge(3min), "3m ago");
  EXPECT_EQ(FormatAge(5h), "5h ago");
  EXPECT_EQ(FormatAge(100h), "4d ago");
  EXPECT_EQ(FormatDuration(420ms), "0.4s");
  EXPECT_EQ(FormatDuration(182s), "3m02s");
  EXPECT_EQ(FormatDuration(130min), "2h10m");
}

}  // namespace
}  // namespace cml
