#include "base/time.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace cml {
namespace {

using std::chrono::milliseconds;

std::tm UtcParts(SysTime t) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::seconds>(t));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts;
}

}  // namespace

SysTime SystemClock::Now() const {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

std::string FormatRfc3339(SysTime t) { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", UtcParts(t)); }

std::string FormatContractTime(SysTime t) {
  const auto ms = (t.time_since_epoch() % std::chrono::seconds{1}).count();
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}000", UtcParts(t), ms);
}

std::string FormatAge(milliseconds age) {
  const auto seconds = age.count() / 1000;
  if (seconds < 2) return "just now";
  if (seconds < 60) return fmt::format("{}s ago", seconds);
  if (seconds < 3600) return fmt::format("{}m ago", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{}h ago", seconds / 3600);
  return fmt::format("{}d ago", seconds / 86400);
}

std::string FormatDuration(milliseconds d) {
  const auto seconds = d.count() / 1000;
  if (seconds < 10) return fmt::format("{}.{}s", seconds, d.count() % 1000 / 100);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace cml
