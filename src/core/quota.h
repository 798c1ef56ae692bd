// core/quota.h — how much of the platform an organisation may hold at once, and the check that a
// write must pass (cloud_ml v1, 11.1). Pure.
//
// What an unfinished resource holds is its reservation, from the write that accepts it to the
// one after which nothing of it is left. The store adds reservations up in the transaction of the
// write that changes them, and asks CheckQuota there.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace cml {

enum class QuotaGroup { kTrain, kModel, kDev, kTensorboard };
inline constexpr std::array kQuotaGroups = {QuotaGroup::kTrain, QuotaGroup::kModel, QuotaGroup::kDev,
                                            QuotaGroup::kTensorboard};
std::string_view ToString(QuotaGroup group);  // "train", "model", "dev", "tensorboard"

struct Amounts {
  std::int64_t millicores = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t gpus = 0;
  std::int64_t count = 0;     // resources
  std::int64_t priority = 0;  // resources that ask for the high-priority share (enable_rank)

  Amounts& operator+=(const Amounts& more);
  Amounts& operator-=(const Amounts& less);
  friend bool operator==(const Amounts&, const Amounts&) = default;
};

struct Reservation {
  QuotaGroup group = QuotaGroup::kTrain;
  Amounts amounts;
  friend bool operator==(const Reservation&, const Reservation&) = default;
};

// nullopt: no limit.
struct GroupQuota {
  std::optional<std::int64_t> millicores, memory_bytes, gpus, count, priority;
  std::int64_t priority_rank = 1;  // what enable_rank gives: 1, 2 or 3, higher is first
  friend bool operator==(const GroupQuota&, const GroupQuota&) = default;
};

struct Quota {
  std::array<GroupQuota, kQuotaGroups.size()> groups;
  GroupQuota total;  // of cpu, memory and gpus; counts have no total

  GroupQuota& of(QuotaGroup g) { return groups[static_cast<std::size_t>(g)]; }
  const GroupQuota& of(QuotaGroup g) const { return groups[static_cast<std::size_t>(g)]; }
  friend bool operator==(const Quota&, const Quota&) = default;
};

struct QuotaUse {
  std::array<Amounts, kQuotaGroups.size()> groups;

  Amounts& of(QuotaGroup g) { return groups[static_cast<std::size_t>(g)]; }
  const Amounts& of(QuotaGroup g) const { return groups[static_cast<std::size_t>(g)]; }
  Amounts total() const;
};

// May a resource that holds `from` now hold `to`? What does not grow is never refused, so that a
// quota may be set below what is used. kQuotaExceeded: one sentence with the group, what was asked,
// used and allowed.
Status CheckQuota(const Quota& quota, const QuotaUse& used, const Reservation& from,
                  const Reservation& to);

}  // namespace cml
