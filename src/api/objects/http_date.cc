#include "api/objects/http_date.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include "base/strings.h"

namespace cml::api::objects {
namespace {

using std::chrono::floor;

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

struct Fields {
  std::string_view year, day, hour, minute, second;
  unsigned month = 0;
};

std::optional<SysTime> Assemble(const Fields& f) {
  const auto year = ParseUnsigned(f.year), day = ParseUnsigned(f.day), hour = ParseUnsigned(f.hour),
             minute = ParseUnsigned(f.minute), second = ParseUnsigned(f.second);
  if (!year || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(f.month),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return SysTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) +
         std::chrono::minutes(*minute) + std::chrono::seconds(*second);
}

}  // namespace

std::string FormatHttpDate(SysTime t) {
  const auto day = floor<std::chrono::days>(t);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(floor<std::chrono::seconds>(t - day));
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                kDays[std::chrono::weekday(day).c_encoding()].data(),
                static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1].data(),
                static_cast<int>(date.year()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return text.data();
}

std::optional<SysTime> ParseHttpDate(std::string_view s) {
  // Tue, 20 Feb 2018 06:16:39 GMT
  if (s.size() != 29 || s.substr(3, 2) != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' ||
      s[19] != ':' || s[22] != ':' || s.substr(25) != " GMT") {
    return std::nullopt;
  }
  const auto month = std::find(kMonths.begin(), kMonths.end(), s.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  return Assemble({s.substr(12, 4), s.substr(5, 2), s.substr(17, 2), s.substr(20, 2),
                   s.substr(23, 2), static_cast<unsigned>(month - kMonths.begin()) + 1});
}

std::optional<SysTime> ParseBasicIso(std::string_view s) {
  if (s.size() != 16 || s[8] != 'T' || s[15] != 'Z') return std::nullopt;
  const auto month = ParseUnsigned(s.substr(4, 2));
  if (!month) return std::nullopt;
  return Assemble({s.substr(0, 4), s.substr(6, 2), s.substr(9, 2), s.substr(11, 2), s.substr(13, 2),
                   static_cast<unsigned>(*month)});
}

}  // namespace cml::api::objects
