#include "core/quota.h"

#include <fmt/format.h>

#include <string>

#include "core/quantity.h"

namespace cml {
namespace {

struct Measure {
  std::int64_t Amounts::* amount;
  std::optional<std::int64_t> GroupQuota::* limit;
  std::string_view unit;  // "1 GPU"; more of them with an 's'
  bool in_total;
};

constexpr std::array kMeasures = {
    Measure{&Amounts::count, &GroupQuota::count, "", false},
    Measure{&Amounts::priority, &GroupQuota::priority, "", false},
    Measure{&Amounts::millicores, &GroupQuota::millicores, "CPU", true},
    Measure{&Amounts::memory_bytes, &GroupQuota::memory_bytes, "memory", true},
    Measure{&Amounts::gpus, &GroupQuota::gpus, "GPU", true},
};

std::string_view OneOf(QuotaGroup group) {
  switch (group) {
    case QuotaGroup::kTrain: return "train job";
    case QuotaGroup::kModel: return "model service";
    case QuotaGroup::kDev: return "dev environment";
    case QuotaGroup::kTensorboard: return "TensorBoard";
  }
  return "";
}

std::string Show(const Measure& m, std::int64_t n) {
  if (m.amount == &Amounts::millicores) return FormatCpu(n);
  if (m.amount == &Amounts::memory_bytes) return FormatMemory(n);
  return std::to_string(n);
}

std::string What(const Measure& m, QuotaGroup group, std::int64_t asked) {
  if (m.amount == &Amounts::memory_bytes) return std::string(m.unit);
  const std::int64_t one = m.amount == &Amounts::millicores ? 1000 : 1;
  const std::string_view many = asked == one ? "" : "s";
  if (m.amount == &Amounts::count) return fmt::format("{}{}", OneOf(group), many);
  if (m.amount == &Amounts::priority) return fmt::format("high-priority {}{}", OneOf(group), many);
  return fmt::format("{}{}", m.unit, many);
}

// "quota: train: 4 GPUs asked, 6 used, 8 allowed; …"
Error Over(const Measure& m, QuotaGroup group, std::string_view scope, std::int64_t asked, std::int64_t used,
           std::int64_t allowed) {
  return Error(Code::kQuotaExceeded,
               fmt::format("quota: {}: {} {} asked, {} used, {} allowed; wait, ask for less, or apply for "
                           "more (cloudml quota update)",
                           scope, Show(m, asked), What(m, group, asked), Show(m, used), Show(m, allowed)));
}

}  // namespace

std::string_view ToString(QuotaGroup group) {
  switch (group) {
    case QuotaGroup::kTrain: return "train";
    case QuotaGroup::kModel: return "model";
    case QuotaGroup::kDev: return "dev";
    case QuotaGroup::kTensorboard: return "tensorboard";
  }
  return "";
}

Amounts& Amounts::operator+=(const Amounts& more) {
  for (const Measure& m : kMeasures) this->*m.amount += more.*m.amount;
  return *this;
}

Amounts& Amounts::operator-=(const Amounts& less) {
  for (const Measure& m : kMeasures) this->*m.amount -= less.*m.amount;
  return *this;
}

Amounts QuotaUse::total() const {
  Amounts sum;
  for (const Amounts& group : groups) sum += group;
  return sum;
}

Status CheckQuota(const Quota& quota, const QuotaUse& used, const Reservation& from, const Reservation& to) {
  QuotaUse others = used;  // without what this resource holds
  others.of(from.group) -= from.amounts;
  const Amounts total = others.total();
  for (const Measure& m : kMeasures) {
    const std::int64_t asked = to.amounts.*m.amount;
    const std::int64_t had = from.group == to.group ? from.amounts.*m.amount : 0;
    if (asked <= had) continue;
    const std::int64_t mine = others.of(to.group).*m.amount;
    const auto& limit = quota.of(to.group).*m.limit;
    // Written so that no sum can overflow.
    if (limit && (asked > *limit || mine > *limit - asked)) {
      return Over(m, to.group, ToString(to.group), asked, mine, *limit);
    }
    if (!m.in_total) continue;
    const auto& most = quota.total.*m.limit;
    if (most && (asked > *most || total.*m.amount > *most - asked)) {
      return Over(m, to.group, "total", asked, total.*m.amount, *most);
    }
  }
  return Ok{};
}

}  // namespace cml
