// codec/usage_json.h — usage, prices and budgets as the API and the store write them. Pure.
//
// Amounts × time are decimal numbers with up to six digits behind the point, exact but for the last;
// money is a text with six ("934.103871"), as a JSON number would round it in some clients.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/usage_report.h"

namespace cml::codec {

// {"by": …, "data": […], "total": …}; `budgets`: of the organisations in the report.
std::string EncodeUsage(const UsageReport& report, const std::vector<BudgetState>& budgets);
// One line for each, with a line of names first (RFC 4180).
std::string EncodeUsageCsv(const UsageReport& report);

std::string EncodePrices(const PriceList& prices);

// {"amount": "1200", "warn_at": [80, 100], "action": "refuse"}; kInvalidArgument.
Result<Budget> DecodeBudgetRequest(std::string_view body);
std::string EncodeBudgetState(const BudgetState& state, std::string_view org_name, std::string_view currency);

// As the store keeps them.
std::string EncodeStoredBudget(const Budget& budget);
Result<Budget> DecodeStoredBudget(std::string_view text);
std::string EncodeStoredNotice(const BudgetNotice& notice);
Result<BudgetNotice> DecodeStoredNotice(std::string_view text);
struct StorageReading {
  SysTime at{};
  std::int64_t bytes = 0;
};
std::string EncodeStorageReading(const StorageReading& reading);
Result<StorageReading> DecodeStorageReading(std::string_view text);

}  // namespace cml::codec
