// base/time.h — wall-clock instants, the clock that hands them out, and their text forms.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cml {

// Milliseconds since the Unix epoch, UTC. The epoch itself stands for "never".
using SysTime = std::chrono::sys_time<std::chrono::milliseconds>;
using Deadline = std::chrono::steady_clock::time_point;

// Thread-safe. Passed to whoever needs the time, so that tests can move it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SysTime Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  SysTime Now() const override;
};

std::string FormatRfc3339(SysTime t);        // 2026-11-24T08:04:43Z
std::string FormatContractTime(SysTime t);   // 2026-11-24 08:04:43.123000 (cloud_ml v1, section 5)
std::string FormatAge(std::chrono::milliseconds age);  // "3m ago", "2h ago", "just now"
std::string FormatDuration(std::chrono::milliseconds d);  // "0.4s", "21s", "3m02s", "2h10m"

}  // namespace cml
