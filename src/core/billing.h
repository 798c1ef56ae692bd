// core/billing.h — prices with their days of validity, and the cost of what was used, exact to the
// last part of a millionth. Pure.
//
// Units: core-hour, GiB-hour (of memory, or of storage), GPU-hour, GiB-month (of storage; a month is
// 730 hours). Prices are whole millionths of the currency. A cost is kept as a whole number of parts
// so small that every price × amount × millisecond is a whole number of them: sums do not depend on
// the order or the grouping, and nothing drifts. Rounding happens once, when it is printed.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/usage_sums.h"

namespace cml {

class Money {
 public:
  __extension__ using Parts = __int128;
  // Parts of a millionth: divisible by every unit's milliseconds (billing.cc).
  static constexpr Parts kPartsOfMicro = Parts{1} << 31;
  static constexpr std::int64_t kScale = 3'600'000LL * 9'125;  // kPartsOfMicro × kScale in all

  Money() = default;
  static Money OfMicros(std::int64_t micros);
  static Money OfParts(Parts parts) { return Money(parts); }

  Money& operator+=(const Money& more) {
    parts_ += more.parts_;
    return *this;
  }
  friend Money operator+(Money a, const Money& b) { return a += b; }
  friend auto operator<=>(const Money&, const Money&) = default;

  std::int64_t micros() const;       // to the nearest millionth
  std::string Text() const;          // "934.10": two decimals, rounded
  std::string ExactText() const;     // "934.103871": six decimals, rounded
  // What part of `whole` this is, in percent, rounded down; 0 when `whole` is nothing.
  std::int64_t PercentOf(const Money& whole) const;

 private:
  explicit Money(Parts parts) : parts_(parts) {}
  Parts parts_ = 0;
};

// "1200", "0.03": at most six decimals, not negative, below 10^12. In millionths.
std::optional<std::int64_t> ParseMicros(std::string_view text);
// "2026-01-31"; the calendar is checked.
std::optional<UsageDay> ParseDay(std::string_view text);
std::string FormatDay(UsageDay day);

enum class Priced { kCpu, kMemory, kGpu, kStorage };
std::string_view ToString(Priced resource);  // "cpu", "memory", "gpu", "storage"
std::optional<Priced> ParsePriced(std::string_view word);

enum class PricePer { kHour, kMonth };  // kMonth: of storage alone

struct Price {
  Priced resource = Priced::kCpu;
  std::string gpu{};       // the model; empty: every model without a price of its own
  std::int64_t micros = 0; // per unit and hour, or month
  PricePer per = PricePer::kHour;
  std::optional<UsageDay> from{}, until{};  // until is exclusive; nullopt: open
};

struct PriceList {
  std::string currency;
  std::vector<Price> prices;
  bool empty() const { return prices.empty(); }
};

// kInvalidArgument: two prices of one thing hold on the same day, or none does on a day between
// two; a price of storage per month is all that may have months; a model is named with a GPU alone.
Status Validate(const PriceList& list);

// What was used on one day (UTC), of GPUs of one model. What has no price costs nothing.
Money CostOf(const PriceList& list, UsageDay day, const std::string& gpu_model, const UsageSums& used);

}  // namespace cml
