#include "codec/usage_json.h"

#include <gtest/gtest.h>

#include "codec/document.h"

namespace cml::codec {
namespace {

UsageReport Report() {
  static const PriceList prices{"EUR", {{Priced::kCpu, "", 30'000, PricePer::kHour, {}, {}}}};
  UsageTable table(prices);
  UsageRecord r;
  r.from = SysTime{std::chrono::hours{24 * 365}};
  r.to = r.from + std::chrono::milliseconds{90'500};
  r.millicores = 1500;
  r.memory_bytes = 1LL << 29;
  r.gpus = 2;
  for (const auto& part : SplitByDay(r)) table.Add({OrgId{"1"}, "1", "vision, inc", part.day, "v100", part.sums});
  UsageReport report;
  report.currency = "EUR";
  report.from = ParseDay("1971-01-01").value();
  report.until = ParseDay("1971-02-01").value();
  table.MoveInto(report);
  return report;
}

TEST(UsageJson, AmountsAreExactDecimals) {
  const std::string text = EncodeUsage(Report(), {});
  for (const char* part : {R"("seconds":90.500000)", R"("cpu_core_seconds":135.750000)",
                           R"("memory_gib_seconds":45.250000)", R"("gpu_seconds":181.000000)",
                           R"("gpu_seconds_by_model":{"v100":181.000000})", R"("cost":"0.001131")"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_TRUE(Document::Parse(text).ok());
}

TEST(UsageJson, CommasAndFormulasStayTextInCsv) {
  UsageReport report = Report();
  EXPECT_NE(EncodeUsageCsv(report).find("1,\"vision, inc\",1,90.500000"), std::string::npos) << EncodeUsageCsv(report);
  report.lines[0].name = "=HYPERLINK(\"x\")";
  EXPECT_NE(EncodeUsageCsv(report).find("\"'=HYPERLINK(\"\"x\"\")\""), std::string::npos) << EncodeUsageCsv(report);
}

TEST(UsageJson, ABudgetComesBackAsItWas) {
  auto budget = DecodeBudgetRequest(R"({"amount": 1200, "warn_at": [50, 90], "action": "stop"})");
  ASSERT_TRUE(budget.ok()) << budget.error().message();
  EXPECT_EQ(budget.value().micros, 1'200'000'000);
  EXPECT_EQ(budget.value().action, BudgetAction::kStop);
  const auto again = DecodeStoredBudget(EncodeStoredBudget(budget.value()));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value().warn_at, (std::vector<std::int64_t>{50, 90}));
  const auto usual = DecodeBudgetRequest(R"({"amount": "0.5"})");
  EXPECT_EQ(usual.value().warn_at, (std::vector<std::int64_t>{80, 100}));
  EXPECT_EQ(usual.value().action, BudgetAction::kNone);
}

TEST(UsageJson, BudgetsThatMakeNoSenseAreRefused) {
  for (const char* bad : {R"({})", R"({"amount": "0"})", R"({"amount": "-3"})", R"({"amount": "a lot"})",
                          R"({"amount": 5, "action": "shout"})", R"({"amount": 5, "warn_at": 80})",
                          R"({"amount": 5, "warn_at": [100, 80]})", R"({"amount": 5, "warn_at": ["x"]})",
                          R"({"amount": 5, "warn_at": [0]})", R"([])", R"({"amount": 5, "warn_at": [1,2,3,4,5,6,7,8,9,10,11]})"}) {
    const auto budget = DecodeBudgetRequest(bad);
    ASSERT_FALSE(budget.ok()) << bad;
    EXPECT_EQ(budget.error().code(), Code::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace cml::codec
