#include "core/billing.h"

#include <gtest/gtest.h>

#include <random>

namespace cml {
namespace {

using namespace std::chrono_literals;

UsageDay Day(const char* text) { return ParseDay(text).value(); }

PriceList Prices() {
  PriceList list{"EUR", {}};
  list.prices.push_back({Priced::kCpu, "", 30'000, PricePer::kHour, {}, Day("2026-07-01")});
  list.prices.push_back({Priced::kCpu, "", 40'000, PricePer::kHour, Day("2026-07-01"), {}});
  list.prices.push_back({Priced::kMemory, "", 5'000, PricePer::kHour, {}, {}});
  list.prices.push_back({Priced::kGpu, "", 1'000'000, PricePer::kHour, {}, {}});
  list.prices.push_back({Priced::kGpu, "v100", 2'000'000, PricePer::kHour, {}, {}});
  list.prices.push_back({Priced::kStorage, "", 25'000, PricePer::kMonth, {}, {}});
  return list;
}

UsageRecord Held(std::chrono::milliseconds how_long) {
  UsageRecord r;
  r.from = SysTime{} + 100h;
  r.to = r.from + how_long;
  return r;
}
Money CostOfRecord(const PriceList& list, const UsageRecord& r) {
  Money sum;
  for (const auto& part : SplitByDay(r)) sum += CostOf(list, part.day, r.gpu_model, part.sums);
  return sum;
}

TEST(Billing, EachUnitCostsItsPrice) {
  UsageRecord r = Held(1h);
  r.millicores = 1000;
  EXPECT_EQ(CostOfRecord(Prices(), r).ExactText(), "0.030000");
  r = Held(1h);
  r.memory_bytes = 1LL << 30;
  EXPECT_EQ(CostOfRecord(Prices(), r).ExactText(), "0.005000");
  r = Held(1h);
  r.gpus = 2;
  r.gpu_model = "v100";
  EXPECT_EQ(CostOfRecord(Prices(), r).ExactText(), "4.000000");
  r.gpu_model = "h100";
  EXPECT_EQ(CostOfRecord(Prices(), r).ExactText(), "2.000000") << "any model without a price of its own";
  r = Held(730h);
  r.storage_bytes = 4LL << 30;
  EXPECT_EQ(CostOfRecord(Prices(), r).ExactText(), "0.100000");
}

TEST(Billing, ThePriceOfTheDayCounts) {
  UsageRecord r;
  r.millicores = 1000;
  r.from = Day("2026-06-30") + 22h;
  r.to = Day("2026-07-01") + 3h;
  EXPECT_EQ(CostOfRecord(Prices(), r).ExactText(), "0.180000");  // 2 × 0.03 + 3 × 0.04
}

TEST(Billing, NoSumDependsOnItsGrouping) {
  std::mt19937 numbers(7);
  const auto dice = [&] { return static_cast<std::int64_t>(numbers()); };
  const PriceList list = Prices();
  Money one_by_one;
  std::map<std::pair<UsageDay, std::string>, UsageSums> by_day;
  for (int i = 0; i < 5'000; ++i) {
    UsageRecord r = Held(std::chrono::milliseconds(dice() % 300'000'000));
    r.from += std::chrono::milliseconds(dice() % 1'000'000'000);
    r.to += 1'000'000s;
    r.millicores = dice() % 64'000;
    r.memory_bytes = dice();
    r.gpus = dice() % 3;
    r.gpu_model = dice() % 2 == 0 ? "v100" : "h100";
    r.storage_bytes = dice();
    one_by_one += CostOfRecord(list, r);
    for (const auto& part : SplitByDay(r)) by_day[{part.day, r.gpu_model}] += part.sums;
  }
  Money grouped;
  for (const auto& [key, sums] : by_day) grouped += CostOf(list, key.first, key.second, sums);
  EXPECT_EQ(one_by_one, grouped);
  EXPECT_GT(one_by_one, Money());
}

TEST(Billing, AMillisecondIsNotLostInAMillion) {
  UsageRecord r = Held(1ms);
  r.millicores = 1;
  PriceList list{"EUR", {{Priced::kCpu, "", 1, PricePer::kHour, {}, {}}}};
  Money sum;
  for (int i = 0; i < 1'000'000; ++i) sum += CostOfRecord(list, r);
  UsageRecord all = Held(1'000'000ms);
  all.millicores = 1;
  EXPECT_EQ(sum, CostOfRecord(list, all));
  EXPECT_GT(sum, Money());
}

TEST(Billing, GapsAndOverlapsAreRefused) {
  EXPECT_TRUE(Validate(Prices()).ok());
  PriceList gap = Prices();
  gap.prices[0].until = Day("2026-06-30");
  EXPECT_EQ(Validate(gap).error().message(),
            "price of cpu: no price holds from 2026-06-30 to 2026-07-01; until is the first day on which "
            "a price no longer holds: write until: 2026-07-01");
  PriceList overlap = Prices();
  overlap.prices[0].until = Day("2026-08-01");
  EXPECT_NE(Validate(overlap).error().message().find("two prices hold on 2026-07-01"), std::string::npos);
  PriceList twice = Prices();
  twice.prices.push_back(twice.prices[2]);
  EXPECT_FALSE(Validate(twice).ok());
  PriceList backwards = Prices();
  backwards.prices[1].until = Day("2026-01-01");
  EXPECT_FALSE(Validate(backwards).ok());
  PriceList month = Prices();
  month.prices[0].per = PricePer::kMonth;
  EXPECT_FALSE(Validate(month).ok());
  PriceList model = Prices();
  model.prices[2].gpu = "v100";
  EXPECT_FALSE(Validate(model).ok());
}

TEST(Billing, AmountsAndDaysAreReadStrictly) {
  EXPECT_EQ(ParseMicros("0.03"), 30'000);
  EXPECT_EQ(ParseMicros("1200"), 1'200'000'000);
  EXPECT_EQ(ParseMicros("0.000001"), 1);
  for (const char* bad : {"", ".5", "1.", "-1", "1e3", "0.0000001", "1,5", "9999999999999"}) {
    EXPECT_FALSE(ParseMicros(bad)) << bad;
  }
  EXPECT_EQ(FormatDay(Day("2024-02-29")), "2024-02-29");
  for (const char* bad : {"2026-02-30", "2026-2-3", "2026-13-01", "20260101", "2026-01-01T00:00"}) {
    EXPECT_FALSE(ParseDay(bad)) << bad;
  }
}

TEST(Billing, MoneyIsRoundedWhenItIsPrinted) {
  EXPECT_EQ(Money::OfMicros(934'103'871).Text(), "934.10");
  EXPECT_EQ(Money::OfMicros(5'000).Text(), "0.01");
  EXPECT_EQ(Money::OfMicros(4'999).Text(), "0.00");
  EXPECT_EQ(Money::OfMicros(934'103'871).PercentOf(Money::OfMicros(1'200'000'000)), 77);
  EXPECT_EQ(Money::OfMicros(1).PercentOf(Money()), 0);
  EXPECT_EQ(Money::OfMicros(800).PercentOf(Money::OfMicros(1000)), 80);
}

}  // namespace
}  // namespace cml
