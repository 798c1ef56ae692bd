// core/usage_sums.h — usage added up: amounts × time without any rounding, and a record cut at the
// midnights (UTC) that it spans. Pure.
//
// A product of an amount and a time is kept as whole units × seconds and the rest that is less than
// one, so that what is cut into days and added up again is what it was. No sum overflows: 2^63
// millicore-seconds are 290 million cores, 2^63 MiB-seconds 270 PiB, both for a whole year.
#pragma once
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/usage.h"

namespace cml {

// whole + rest / kRests, with 0 ≤ rest < kRests.
template <std::int64_t kRests>
struct WholeAndRest {
  std::int64_t whole = 0;
  std::int64_t rest = 0;

  WholeAndRest& operator+=(const WholeAndRest& more) {
    whole += more.whole;
    rest += more.rest;
    Carry();
    return *this;
  }
  void Carry() {
    whole += rest / kRests;
    rest %= kRests;
  }
  double value() const { return static_cast<double>(whole) + static_cast<double>(rest) / kRests; }
  friend bool operator==(const WholeAndRest&, const WholeAndRest&) = default;
};

using MillicoreSeconds = WholeAndRest<1000>;       // rest: millicore-milliseconds
using MebibyteSeconds = WholeAndRest<1048576000>;  // rest: byte-milliseconds

struct UsageSums {
  MillicoreSeconds cpu;
  MebibyteSeconds memory, storage;
  std::int64_t gpu_ms = 0;   // GPU-milliseconds
  std::int64_t held_ms = 0;  // how long, all records together
  std::int64_t records = 0;  // that begin on that day

  UsageSums& operator+=(const UsageSums& more);
  friend bool operator==(const UsageSums&, const UsageSums&) = default;
};

using UsageDay = std::chrono::sys_days;  // from midnight to midnight, UTC
UsageDay DayOf(SysTime t);

struct UsageOfDay {
  UsageDay day{};
  UsageSums sums;
};

// The days of a record, oldest first; the sums of all are the record's. One that does not last
// (to ≤ from) is one day without amounts. Amounts must not be negative.
std::vector<UsageOfDay> SplitByDay(const UsageRecord& record);

}  // namespace cml
