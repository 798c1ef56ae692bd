#include "core/usage_report.h"

#include <fmt/format.h>

#include <array>

namespace cml {
namespace {

constexpr std::size_t kMostWarnings = 10;
constexpr std::int64_t kMostPercent = 1000;

void Count(UsageLine& line, const UsageTable::Part& part, const Money& cost) {
  line.sums += part.sums;
  // Time is that of replicas; what lies in buckets has its amount × time alone.
  if (part.sums.storage != MebibyteSeconds{}) line.sums.held_ms -= part.sums.held_ms;
  if (part.sums.gpu_ms > 0) line.gpu_ms[part.gpu_model] += part.sums.gpu_ms;
  line.cost += cost;
}

constexpr std::array kActions = {std::pair{BudgetAction::kNone, std::string_view("none")},
                                 std::pair{BudgetAction::kRefuse, std::string_view("refuse")},
                                 std::pair{BudgetAction::kStop, std::string_view("stop")}};

}  // namespace

std::string_view ToString(UsageBy by) {
  switch (by) {
    case UsageBy::kDay: return "day";
    case UsageBy::kOrg: return "org";
    case UsageBy::kUser: return "user";
    case UsageBy::kJob: return "job";
    case UsageBy::kLabel: return "label";
    case UsageBy::kKind: return "kind";
  }
  return "";
}

void UsageTable::Add(const Part& part) {
  const Money cost = CostOf(*prices_, part.day, part.gpu_model, part.sums);
  UsageLine& line = lines_[{part.org, part.key}];
  if (line.key.empty()) {
    line.org = part.org;
    line.key = part.key;
    line.name = part.name.empty() ? part.key : part.name;
  }
  Count(line, part, cost);
  Count(total_, part, cost);
}

void UsageTable::MoveInto(UsageReport& report) {
  report.lines.reserve(lines_.size());
  for (auto& [key, line] : lines_) report.lines.push_back(std::move(line));
  lines_.clear();
  report.total = std::exchange(total_, {});
}

std::string_view ToString(BudgetAction action) {
  for (const auto& [a, name] : kActions) {
    if (a == action) return name;
  }
  return "";
}

std::optional<BudgetAction> ParseBudgetAction(std::string_view word) {
  for (const auto& [a, name] : kActions) {
    if (name == word) return a;
  }
  return std::nullopt;
}

Status Validate(const Budget& budget) {
  if (budget.micros <= 0) {
    return Error(Code::kInvalidArgument, "amount: more than 0 and at most six decimals, for instance 1200");
  }
  if (budget.warn_at.size() > kMostWarnings) {
    return Error(Code::kInvalidArgument, fmt::format("warn_at: at most {} percentages", kMostWarnings));
  }
  std::int64_t before = 0;
  for (const std::int64_t percent : budget.warn_at) {
    if (percent <= before || percent > kMostPercent) {
      return Error(Code::kInvalidArgument,
                   fmt::format("warn_at {}: ascending percentages from 1 to {}, for instance 80 and 100",
                               percent, kMostPercent));
    }
    before = percent;
  }
  return Ok{};
}

std::string BudgetSentence(const BudgetState& state, std::string_view org_name, std::string_view currency) {
  return fmt::format("budget: organisation {} has spent {} {} of its {} {} for this month; it goes on next "
                     "month, or when its administrator raises the budget",
                     org_name, state.spent.Text(), currency, Money::OfMicros(state.budget.micros).Text(), currency);
}

UsageMonth MonthOf(SysTime t) {
  const std::chrono::year_month_day today(DayOf(t));
  const auto month = today.year() / today.month();
  const auto next = month + std::chrono::months(1);
  return {UsageDay(month / std::chrono::day(1)), UsageDay(next / std::chrono::day(1)),
          fmt::format("{:04}-{:02}", static_cast<int>(today.year()), static_cast<unsigned>(today.month()))};
}

}  // namespace cml
