#include "core/usage_sums.h"

#include <algorithm>

namespace cml {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

// Within one day, so that no product leaves 64 bits below 2^56 bytes and 10^11 millicores.
MebibyteSeconds BytesFor(std::int64_t bytes, std::int64_t ms) {
  const std::int64_t mebibyte_ms = bytes / kMebibyte * ms;
  MebibyteSeconds product{mebibyte_ms / 1000, mebibyte_ms % 1000 * kMebibyte};
  product.rest += bytes % kMebibyte * ms;
  product.Carry();
  return product;
}

UsageSums SumsOf(const UsageRecord& record, std::int64_t ms) {
  UsageSums sums;
  sums.cpu = {record.millicores * ms / 1000, record.millicores * ms % 1000};
  sums.memory = BytesFor(record.memory_bytes, ms);
  sums.storage = BytesFor(record.storage_bytes, ms);
  sums.gpu_ms = record.gpus * ms;
  sums.held_ms = ms;
  return sums;
}

}  // namespace

UsageSums& UsageSums::operator+=(const UsageSums& more) {
  cpu += more.cpu;
  memory += more.memory;
  storage += more.storage;
  gpu_ms += more.gpu_ms;
  held_ms += more.held_ms;
  records += more.records;
  return *this;
}

UsageDay DayOf(SysTime t) { return std::chrono::floor<std::chrono::days>(t); }

std::vector<UsageOfDay> SplitByDay(const UsageRecord& record) {
  std::vector<UsageOfDay> days;
  SysTime from = record.from;
  do {
    const UsageDay day = DayOf(from);
    const SysTime until = std::max(from, std::min<SysTime>(record.to, day + std::chrono::days(1)));
    days.push_back({day, SumsOf(record, (until - from).count())});
    from = until;
  } while (from < record.to);
  days.front().sums.records = 1;
  return days;
}

}  // namespace cml
