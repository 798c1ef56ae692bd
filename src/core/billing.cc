#include "core/billing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace cml {
namespace {

// How many parts one price-millionth × the smallest amount is. All of them are whole:
//   cpu      millicore-ms:  2^31 · 3.6e6 · 9125 / (1000 · 3.6e6)        = 2^28 · 73
//   memory   byte-ms:       2^31 · 3.6e6 · 9125 / (2^30 · 3.6e6)        = 2 · 9125
//   gpu      gpu-ms:        2^31 · 3.6e6 · 9125 / 3.6e6                 = 2^31 · 9125
//   storage  byte-ms, 730 h: 2 · 9125 / 730                             = 25
constexpr Money::Parts kPerMillicoreMs = (Money::Parts{1} << 28) * 73;
constexpr Money::Parts kPerByteMs = 2 * 9'125;
constexpr Money::Parts kPerGpuMs = (Money::Parts{1} << 31) * 9'125;
constexpr Money::Parts kPerByteMsMonthly = 25;
constexpr Money::Parts kMicro = Money::kPartsOfMicro * Money::kScale;

constexpr std::int64_t kMost = 1'000'000'000'000;  // of a currency, in one amount

constexpr std::array kNames = {std::pair{Priced::kCpu, std::string_view("cpu")},
                               std::pair{Priced::kMemory, std::string_view("memory")},
                               std::pair{Priced::kGpu, std::string_view("gpu")},
                               std::pair{Priced::kStorage, std::string_view("storage")}};

template <std::int64_t kRests>
Money::Parts Smallest(const WholeAndRest<kRests>& amount) {
  return Money::Parts{amount.whole} * kRests + amount.rest;
}

bool HoldsOn(const Price& price, UsageDay day) {
  return (!price.from || *price.from <= day) && (!price.until || day < *price.until);
}

const Price* PriceOf(const PriceList& list, Priced resource, const std::string& model, UsageDay day) {
  const Price* any = nullptr;
  for (const Price& price : list.prices) {
    if (price.resource != resource || !HoldsOn(price, day)) continue;
    if (price.gpu == model) return &price;
    if (price.gpu.empty()) any = &price;
  }
  return any;
}

std::string Named(const Price& price) {
  return price.gpu.empty() ? std::string(ToString(price.resource))
                           : fmt::format("{} {}", ToString(price.resource), price.gpu);
}

Error Wrong(const Price& price, const std::string& what) {
  return Error(Code::kInvalidArgument, fmt::format("price of {}: {}", Named(price), what));
}

bool Digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::int64_t Number(std::string_view digits) {
  std::int64_t n = 0;
  for (const char c : digits) n = n * 10 + (c - '0');
  return n;
}

}  // namespace

Money Money::OfMicros(std::int64_t micros) { return Money(Parts{micros} * kMicro); }

std::int64_t Money::micros() const {
  return static_cast<std::int64_t>((parts_ + (parts_ < 0 ? -kMicro : kMicro) / 2) / kMicro);
}

std::string Money::Text() const {
  const Parts cent = kMicro * 10'000;
  const auto cents = static_cast<std::int64_t>((parts_ + cent / 2) / cent);
  return fmt::format("{}.{:02}", cents / 100, cents % 100);
}

std::string Money::ExactText() const {
  const std::int64_t all = micros();
  return fmt::format("{}.{:06}", all / 1'000'000, all % 1'000'000);
}

std::int64_t Money::PercentOf(const Money& whole) const {
  if (whole.parts_ <= 0) return 0;
  return static_cast<std::int64_t>(parts_ / (whole.parts_ / 100 > 0 ? whole.parts_ / 100 : 1));
}

std::optional<std::int64_t> ParseMicros(std::string_view text) {
  const auto dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? "0" : text.substr(dot + 1);
  if (!Digits(whole) || !Digits(rest) || whole.size() > 12 || rest.size() > 6) return std::nullopt;
  std::int64_t micros = Number(rest);
  for (std::size_t i = rest.size(); i < 6; ++i) micros *= 10;
  if (Number(whole) >= kMost) return std::nullopt;
  return Number(whole) * 1'000'000 + micros;
}

std::optional<UsageDay> ParseDay(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-' || !Digits(text.substr(0, 4)) ||
      !Digits(text.substr(5, 2)) || !Digits(text.substr(8, 2))) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{
      std::chrono::year(static_cast<int>(Number(text.substr(0, 4)))),
      std::chrono::month(static_cast<unsigned>(Number(text.substr(5, 2)))),
      std::chrono::day(static_cast<unsigned>(Number(text.substr(8, 2))))};
  if (!date.ok()) return std::nullopt;
  return UsageDay(date);
}

std::string FormatDay(UsageDay day) {
  const std::chrono::year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string_view ToString(Priced resource) {
  for (const auto& [r, name] : kNames) {
    if (r == resource) return name;
  }
  return "";
}

std::optional<Priced> ParsePriced(std::string_view word) {
  for (const auto& [r, name] : kNames) {
    if (name == word) return r;
  }
  return std::nullopt;
}

Status Validate(const PriceList& list) {
  std::map<std::pair<Priced, std::string>, std::vector<const Price*>> series;
  for (const Price& price : list.prices) {
    if (price.per == PricePer::kMonth && price.resource != Priced::kStorage) {
      return Wrong(price, "per_month is for storage alone; give per_hour");
    }
    if (!price.gpu.empty() && price.resource != Priced::kGpu) {
      return Wrong(price, "gpu names a model and belongs to the resource gpu alone");
    }
    if (price.from && price.until && *price.from >= *price.until) {
      return Wrong(price, fmt::format("it ends on {} and begins on {}; until is the first day on which "
                                      "it no longer holds", FormatDay(*price.until), FormatDay(*price.from)));
    }
    series[{price.resource, price.gpu}].push_back(&price);
  }
  for (auto& [what, prices] : series) {
    std::sort(prices.begin(), prices.end(), [](const Price* a, const Price* b) {
      return a->from.value_or(UsageDay::min()) < b->from.value_or(UsageDay::min());
    });
    for (std::size_t i = 1; i < prices.size(); ++i) {
      const Price &before = *prices[i - 1], &next = *prices[i];
      if (!next.from || !before.until || *before.until > *next.from) {
        return Wrong(next, fmt::format(
            "two prices hold on {}; end the earlier one with until: {}",
            next.from ? FormatDay(*next.from) : "every day before the first one's from",
            next.from ? FormatDay(*next.from) : "the day on which the next begins"));
      }
      if (*before.until < *next.from) {
        return Wrong(next, fmt::format("no price holds from {0} to {1}; until is the first day on "
                                       "which a price no longer holds: write until: {1}",
                                       FormatDay(*before.until), FormatDay(*next.from)));
      }
    }
  }
  return Ok{};
}

Money CostOf(const PriceList& list, UsageDay day, const std::string& gpu_model, const UsageSums& used) {
  Money::Parts parts = 0;
  if (const Price* p = PriceOf(list, Priced::kCpu, "", day)) {
    parts += Smallest(used.cpu) * p->micros * kPerMillicoreMs;
  }
  if (const Price* p = PriceOf(list, Priced::kMemory, "", day)) {
    parts += Smallest(used.memory) * p->micros * kPerByteMs;
  }
  if (used.gpu_ms > 0) {
    if (const Price* p = PriceOf(list, Priced::kGpu, gpu_model, day)) {
      parts += Money::Parts{used.gpu_ms} * p->micros * kPerGpuMs;
    }
  }
  if (const Price* p = PriceOf(list, Priced::kStorage, "", day)) {
    parts += Smallest(used.storage) * p->micros *
             (p->per == PricePer::kMonth ? kPerByteMsMonthly : kPerByteMs);
  }
  return Money::OfParts(parts);
}

}  // namespace cml
