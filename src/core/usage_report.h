// core/usage_report.h — who used what in a stretch of days, and what it cost. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "core/billing.h"
#include "core/usage_sums.h"

namespace cml {

enum class UsageBy { kDay, kOrg, kUser, kJob, kLabel, kKind };
std::string_view ToString(UsageBy by);  // "day", "org", "user", "job", "label", "kind"

struct UsageLine {
  OrgId org;         // by organisation, user, job and label
  std::string key;   // the day, the organisation's, user's or job's id, the label's value, the kind
  std::string name;  // for people; the key where it has no other
  UsageSums sums;
  std::map<std::string, std::int64_t> gpu_ms;  // by model
  Money cost;
};

struct UsageReport {
  UsageBy by = UsageBy::kOrg;
  std::string label;         // kLabel: its key
  UsageDay from{}, until{};  // until is exclusive
  SysTime as_of{};           // what runs is counted up to here
  std::string currency;
  std::vector<UsageLine> lines;
  UsageLine total;
};

// Adds up lines. Not thread-safe.
class UsageTable {
 public:
  // `prices` must outlive it.
  explicit UsageTable(const PriceList& prices) : prices_(&prices) {}

  struct Part {
    OrgId org;
    std::string key, name;
    UsageDay day{};
    std::string gpu_model;
    UsageSums sums;
  };
  void Add(const Part& part);
  std::size_t size() const { return lines_.size(); }
  // The lines in the order of organisation and key, and their sum.
  void MoveInto(UsageReport& report);

 private:
  const PriceList* prices_;
  std::map<std::pair<OrgId, std::string>, UsageLine> lines_;
  UsageLine total_;
};

// What an organisation may spend in a month (UTC), and what happens on the way.
enum class BudgetAction { kNone, kRefuse, kStop };
std::string_view ToString(BudgetAction action);  // "none", "refuse", "stop"
std::optional<BudgetAction> ParseBudgetAction(std::string_view word);

inline constexpr std::int64_t kBudgetUsedUp = 100;  // percent

struct Budget {
  std::int64_t micros = 0;                   // per month, in millionths of the currency
  std::vector<std::int64_t> warn_at{80, 100};  // percent, ascending
  BudgetAction action = BudgetAction::kNone;   // at 100 percent
  std::string set_by{};
  SysTime set{};
};
// kInvalidArgument: an amount of nothing, more than 10 warnings, percentages that do not ascend
// between 1 and 1000.
Status Validate(const Budget& budget);

// A warning that was given.
struct BudgetNotice {
  std::string month;  // "2026-11"
  std::int64_t percent = 0;
  SysTime at{};
};
// The event that webhooks are told of it: at 100 percent the budget is used up.
inline std::string_view EventOf(const BudgetNotice& notice) {
  return notice.percent < kBudgetUsedUp ? "budget.warning" : "budget.exceeded";
}

struct BudgetState {
  OrgId org;
  Budget budget;
  Money spent;  // this month
  std::vector<BudgetNotice> notices{};  // of this month, oldest first

  std::int64_t percent() const { return spent.PercentOf(Money::OfMicros(budget.micros)); }
  bool used_up() const { return spent >= Money::OfMicros(budget.micros); }
};

// "organisation vision has spent 1,210.33 EUR of its budget of 1,200.00 EUR …": why nothing starts.
std::string BudgetSentence(const BudgetState& state, std::string_view org_name, std::string_view currency);

struct UsageMonth {
  UsageDay from, until;
  std::string name;  // "2026-11"
};
UsageMonth MonthOf(SysTime t);

}  // namespace cml
