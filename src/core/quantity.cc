#include "core/quantity.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "base/strings.h"

namespace cml {
namespace {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "12", "1.5", ".25", "5." → hundredths, exactly. nullopt: another form, more than two decimals, or
// more than fits.
std::optional<std::int64_t> ParseHundredths(std::string_view s) {
  constexpr std::int64_t kMostWhole = 1'000'000'000'000;
  std::int64_t whole = 0, decimals = 0;
  std::size_t digits = 0, i = 0;
  for (; i < s.size() && IsDigit(s[i]); ++i, ++digits) {
    whole = whole * 10 + (s[i] - '0');
    if (whole > kMostWhole) return std::nullopt;
  }
  if (i < s.size() && s[i] == '.') {
    const std::string_view rest = s.substr(i + 1);
    if (rest.size() > 2) return std::nullopt;
    for (const char c : rest) {
      if (!IsDigit(c)) return std::nullopt;
      decimals = decimals * 10 + (c - '0');
      ++digits;
    }
    if (rest.size() == 1) decimals *= 10;
    i = s.size();
  }
  if (digits == 0 || i != s.size()) return std::nullopt;
  return whole * 100 + decimals;
}

std::string WithoutZeros(std::string number) {
  if (number.find('.') == std::string::npos) return number;
  while (number.back() == '0') number.pop_back();
  if (number.back() == '.') number.pop_back();
  return number;
}

int PowerOf1024(char unit) {
  switch (unit) {
    case 'K': case 'k': return 1;
    case 'M': case 'm': return 2;
    case 'G': case 'g': return 3;
    case 'T': case 't': return 4;
  }
  return 0;
}

}  // namespace

Result<std::int64_t> ParseCpu(std::string_view field, std::string_view text) {
  const auto hundredths = ParseHundredths(text);
  if (!hundredths || *hundredths == 0 || *hundredths > 100 * 1'000'000) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{} {}: a number of cores above 0 with at most two decimals, for "
                             "instance 4 or 0.5", field, Quote(text)));
  }
  return *hundredths * 10;
}

std::string FormatCpu(std::int64_t millicores) {
  return WithoutZeros(fmt::format("{}.{:03}", millicores / 1000, millicores % 1000));
}

Result<std::int64_t> ParseMemory(std::string_view field, std::string_view text) {
  std::string_view number = text;
  if (number.ends_with('i')) number.remove_suffix(1);
  const int power = number.empty() ? 0 : PowerOf1024(number.back());
  if (power > 0) {
    number.remove_suffix(1);
    const auto hundredths = ParseHundredths(number);
    const std::int64_t unit = std::int64_t{1} << (10 * power);
    if (hundredths && *hundredths > 0 && *hundredths <= std::numeric_limits<std::int64_t>::max() / unit) {
      return *hundredths * unit / 100;
    }
  }
  return Error(Code::kInvalidArgument,
               fmt::format("{} {}: a number above 0 with at most two decimals and K, M or G, for "
                           "instance 8G", field, Quote(text)));
}

std::string FormatMemory(std::int64_t bytes) {
  constexpr std::string_view kUnits = "KMGT";
  for (std::size_t i = kUnits.size(); i-- > 0;) {
    const std::int64_t unit = std::int64_t{1} << (10 * (i + 1));
    if (bytes < unit && i > 0) continue;
    return WithoutZeros(fmt::format("{:.2f}", static_cast<double>(bytes) / static_cast<double>(unit))) +
           kUnits[i];
  }
  return {};
}

}  // namespace cml
