#include "core/quota.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

Reservation Train(std::int64_t gpus, std::int64_t count = 1) {
  Reservation r;
  r.amounts.gpus = gpus;
  r.amounts.count = count;
  return r;
}

TEST(QuotaTest, WithoutLimitsEverythingIsAllowed) {
  EXPECT_TRUE(CheckQuota({}, {}, {}, Train(1'000'000)).ok());
}

TEST(QuotaTest, SaysGroupAskedUsedAndAllowed) {
  Quota quota;
  quota.of(QuotaGroup::kTrain).gpus = 8;
  QuotaUse used;
  used.of(QuotaGroup::kTrain).gpus = 6;
  const Status refused = CheckQuota(quota, used, {}, Train(4));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kQuotaExceeded);
  EXPECT_NE(refused.error().message().find("train: 4 GPUs asked, 6 used, 8 allowed"), std::string::npos)
      << refused.error().message();
  EXPECT_TRUE(CheckQuota(quota, used, {}, Train(2)).ok());
}

TEST(QuotaTest, TotalCountsAllGroups) {
  Quota quota;
  quota.total.gpus = 8;
  QuotaUse used;
  used.of(QuotaGroup::kDev).gpus = 7;
  EXPECT_TRUE(CheckQuota(quota, used, {}, Train(1)).ok());
  const Status refused = CheckQuota(quota, used, {}, Train(2));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("total: 2 GPUs asked, 7 used, 8 allowed"), std::string::npos);
}

TEST(QuotaTest, WhatDoesNotGrowIsNeverRefused) {
  Quota quota;
  quota.of(QuotaGroup::kTrain).gpus = 1;
  QuotaUse used;
  used.of(QuotaGroup::kTrain).gpus = 9;
  EXPECT_TRUE(CheckQuota(quota, used, Train(4), Train(4)).ok());
  EXPECT_TRUE(CheckQuota(quota, used, Train(4), Train(0, 0)).ok());
  EXPECT_FALSE(CheckQuota(quota, used, Train(4), Train(5)).ok());
}

TEST(QuotaTest, HugeAmountsDoNotOverflow) {
  Quota quota;
  quota.of(QuotaGroup::kTrain).gpus = 8;
  QuotaUse used;
  used.of(QuotaGroup::kTrain).gpus = 6;
  EXPECT_FALSE(CheckQuota(quota, used, {}, Train(INT64_MAX)).ok());
}

}  // namespace
}  // namespace cml
