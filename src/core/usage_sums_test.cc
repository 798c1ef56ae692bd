#include "core/usage_sums.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr UsageDay kDay{days(20000)};

UsageRecord Record(SysTime from, SysTime to) {
  UsageRecord record;
  record.millicores = 2500;
  record.memory_bytes = (3LL << 30) + 12345;
  record.storage_bytes = 7;
  record.gpus = 2;
  record.from = from;
  record.to = to;
  return record;
}

TEST(UsageSums, ARecordWithinADayIsOneDay) {
  const auto all = SplitByDay(Record(kDay + hours(1), kDay + hours(1) + milliseconds(1501)));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].day, kDay);
  const UsageSums& sums = all[0].sums;
  EXPECT_EQ(sums.cpu, (MillicoreSeconds{3752, 500}));  // 2500 × 1.501
  EXPECT_EQ(sums.memory.whole * 1048576000 + sums.memory.rest, ((3LL << 30) + 12345) * 1501);
  EXPECT_LT(sums.memory.rest, 1048576000);
  EXPECT_EQ(sums.storage, (MebibyteSeconds{0, 7 * 1501}));
  EXPECT_EQ(sums.gpu_ms, 3002);
  EXPECT_EQ(sums.held_ms, 1501);
  EXPECT_EQ(sums.records, 1);
}
TEST(UsageSums, ARecordIsCutAtEachMidnightToTheMillisecond) {
  const auto all = SplitByDay(Record(kDay + days(1) - milliseconds(1), kDay + days(3) + milliseconds(7)));
  ASSERT_EQ(all.size(), 4U);
  const std::int64_t held[] = {1, 86400000, 86400000, 7};
  UsageSums total;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all[i].day, kDay + days(i));
    EXPECT_EQ(all[i].sums.held_ms, held[i]);
    EXPECT_EQ(all[i].sums.records, i == 0 ? 1 : 0);
    total += all[i].sums;
  }
  EXPECT_EQ(total.cpu.whole * 1000 + total.cpu.rest, 2500LL * 172800008);
  EXPECT_EQ(total.memory.whole * 1048576000 + total.memory.rest, ((3LL << 30) + 12345) * 172800008);
}
TEST(UsageSums, ARecordThatEndsAtMidnightHasNoPartInTheNextDay) {
  const auto all = SplitByDay(Record(kDay, kDay + days(1)));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].sums.held_ms, 86400000);
}
TEST(UsageSums, ARecordThatDoesNotLastIsCountedAndHasNoAmounts) {
  for (const auto to : {kDay + hours(1), kDay + hours(0)}) {
    const auto all = SplitByDay(Record(kDay + hours(1), to));
    ASSERT_EQ(all.size(), 1U);
    UsageSums one;
    one.records = 1;
    EXPECT_EQ(all[0].sums, one);
  }
}
TEST(UsageSums, TheGreatestAmountsOfADayFit) {
  UsageRecord record = Record(kDay, kDay + days(1));
  record.memory_bytes = 1LL << 56;
  record.millicores = 100000000000;
  const auto all = SplitByDay(record);
  EXPECT_EQ(all[0].sums.memory, (MebibyteSeconds{86400LL << 36, 0}));
  EXPECT_EQ(all[0].sums.cpu, (MillicoreSeconds{86400 * 100000000000, 0}));
}
TEST(UsageSums, RestsAreCarried) {
  MillicoreSeconds sum{1, 999};
  sum += {2, 999};
  EXPECT_EQ(sum, (MillicoreSeconds{4, 998}));
  EXPECT_DOUBLE_EQ(sum.value(), 4.998);
}

}  // namespace
}  // namespace cml
