#include "core/quota_change.h"

#include <gtest/gtest.h>

#include <set>

namespace cml {
namespace {

constexpr QuotaField kTrainCpu{QuotaGroup::kTrain, QuotaMeasure::kCpu};
constexpr QuotaField kTrainMemory{QuotaGroup::kTrain, QuotaMeasure::kMemory};
constexpr QuotaField kTrainRank{QuotaGroup::kTrain, QuotaMeasure::kRank};
constexpr QuotaField kTotalGpu{std::nullopt, QuotaMeasure::kGpu};
constexpr QuotaField kBoards{QuotaGroup::kTensorboard, QuotaMeasure::kCount};

TEST(QuotaChangeTest, FieldsHaveTheNamesOfTheContract) {
  std::set<std::string> names;
  for (const QuotaField& f : AllQuotaFields()) {
    EXPECT_TRUE(names.insert(NameOf(f)).second) << NameOf(f);
    const std::string used = NameOfUsed(f);
    EXPECT_TRUE(used.empty() || names.insert(used).second) << used;
  }
  for (const std::string name :
       {"train_memory_quota", "train_memory_used", "model_cpu_quota", "dev_gpu_used",
        "dev_count_quota", "tensorboard_quota", "tensorboard_used", "total_memory_quota",
        "total_cpu_used", "total_gpu_quota", "train_priority_quota", "train_priority_used",
        "train_priority_rank", "tensorboard_priority_rank"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(QuotaChangeTest, ValuesAreReadByTheirMeasure) {
  EXPECT_EQ(ParseQuotaValue(kTrainCpu, "0.5").value(), 500);
  EXPECT_EQ(ParseQuotaValue(kTrainCpu, "0").value(), 0);
  EXPECT_EQ(ParseQuotaValue(kTrainMemory, "1.5G").value(), 3LL << 29);
  EXPECT_EQ(ParseQuotaValue(kTrainMemory, "0K").value(), 0);
  EXPECT_EQ(ParseQuotaValue(kTotalGpu, "8").value(), 8);
  EXPECT_EQ(ParseQuotaValue(kTrainRank, "3").value(), 3);
  for (const auto& [field, text] : {std::pair{kTrainCpu, "x"},
                                    {kTrainCpu, ""},
                                    {kTrainCpu, "-2"},
                                    {kTrainMemory, "8"},
                                    {kTrainMemory, "8GB"},
                                    {kTotalGpu, "1.5"},
                                    {kTotalGpu, "-2"},
                                    {kBoards, ""},
                                    {kTotalGpu, "1000000001"},
                                    {kTrainRank, "4"},
                                    {kTrainRank, "-1"}}) {
    const auto refused = ParseQuotaValue(field, text);
    ASSERT_FALSE(refused.ok()) << NameOf(field) << " " << text;
    EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
    EXPECT_TRUE(refused.error().message().starts_with(NameOf(field))) << refused.error().message();
  }
}

TEST(QuotaChangeTest, NoLimitHasTheClientsMarksAndTheyAreReadBack) {
  EXPECT_EQ(FormatQuotaValue({std::nullopt, QuotaMeasure::kMemory}, {}), "-1.0K");
  EXPECT_EQ(FormatQuotaValue({std::nullopt, QuotaMeasure::kCpu}, {}), "-1.0");
  EXPECT_EQ(FormatQuotaValue(kTotalGpu, {}), "-1");
  EXPECT_EQ(FormatQuotaValue({QuotaGroup::kTrain, QuotaMeasure::kCount}, {}), "-1");
  for (const QuotaField& f : AllQuotaFields()) {
    if (f.measure == QuotaMeasure::kRank) continue;
    EXPECT_EQ(ParseQuotaValue(f, FormatQuotaValue(f, {})).value(), std::nullopt) << NameOf(f);
    EXPECT_EQ(ParseQuotaValue(f, "INF").value(), std::nullopt) << NameOf(f);
  }
}

TEST(QuotaChangeTest, AmountsAreWrittenExactly) {
  for (const std::string text : {"0K", "1K", "1.5M", "64M", "1023M", "1G", "1.25G", "3T"}) {
    const auto bytes = ParseQuotaValue(kTrainMemory, text).value();
    const std::string written = FormatQuotaValue(kTrainMemory, bytes);
    EXPECT_EQ(ParseQuotaValue(kTrainMemory, written).value(), bytes) << text << " " << written;
  }
  EXPECT_EQ(FormatQuotaValue(kTrainMemory, (1LL << 40) + (1LL << 20)), "1048577M");
  EXPECT_EQ(FormatQuotaValue(kTrainMemory, 8LL << 30), "8G");
}

TEST(QuotaChangeTest, OnlyWhatIsNamedChanges) {
  Quota quota;
  quota.of(QuotaGroup::kTrain).gpus = 8;
  quota.of(QuotaGroup::kTrain).millicores = 4000;
  const Quota after =
      Changed(quota, {{kTrainCpu, {}}, {kTotalGpu, 16}, {kTrainRank, 3}, {kBoards, 2}});
  EXPECT_EQ(after.of(QuotaGroup::kTrain).gpus, 8);
  EXPECT_EQ(after.of(QuotaGroup::kTrain).millicores, std::nullopt);
  EXPECT_EQ(after.total.gpus, 16);
  EXPECT_EQ(after.of(QuotaGroup::kTrain).priority_rank, 3);
  EXPECT_EQ(after.of(QuotaGroup::kTensorboard).count, 2);
}

TEST(QuotaChangeTest, AnApplicationSetsTheFieldsOfItsService) {
  EXPECT_EQ(GroupOfService("jobs"), QuotaGroup::kTrain);
  EXPECT_EQ(GroupOfService("models"), QuotaGroup::kModel);
  EXPECT_EQ(GroupOfService("train"), std::nullopt);
  const auto settings = SettingsFor(QuotaGroup::kDev, {"8", "16G", "", ""}).value();
  ASSERT_EQ(settings.size(), 2U);
  EXPECT_EQ(NameOf(settings[0].field), "dev_cpu_quota");
  EXPECT_EQ(settings[0].limit, 8000);
  EXPECT_EQ(settings[1].limit, 16LL << 30);
  const auto refused = SettingsFor(QuotaGroup::kDev, {"8", "16G", "0.5", ""});
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().message().starts_with("gpu_limit \"0.5\""))
      << refused.error().message();
}

TEST(QuotaChangeTest, UseIsReadByField) {
  QuotaUse used;
  used.of(QuotaGroup::kTrain).gpus = 3;
  used.of(QuotaGroup::kDev).gpus = 1;
  used.of(QuotaGroup::kTensorboard).count = 2;
  EXPECT_EQ(UsedIn(used, kTotalGpu), 4);
  EXPECT_EQ(UsedIn(used, {QuotaGroup::kDev, QuotaMeasure::kGpu}), 1);
  EXPECT_EQ(UsedIn(used, kBoards), 2);
}

}  // namespace
}  // namespace cml
