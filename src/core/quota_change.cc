#include "core/quota_change.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "core/quantity.h"

namespace cml {
namespace {

constexpr std::int64_t kMostNumber = 1'000'000'000;
constexpr std::int64_t kMostRank = 3;

std::string_view ScopeOf(const QuotaField& f) { return f.group ? ToString(*f.group) : "total"; }

std::string NameWith(const QuotaField& f, std::string_view suffix) {
  switch (f.measure) {
    case QuotaMeasure::kMemory:
      return fmt::format("{}_memory_{}", ScopeOf(f), suffix);
    case QuotaMeasure::kCpu:
      return fmt::format("{}_cpu_{}", ScopeOf(f), suffix);
    case QuotaMeasure::kGpu:
      return fmt::format("{}_gpu_{}", ScopeOf(f), suffix);
    case QuotaMeasure::kCount:
      if (f.group == QuotaGroup::kTensorboard) return fmt::format("tensorboard_{}", suffix);
      return fmt::format("{}_count_{}", ScopeOf(f), suffix);
    case QuotaMeasure::kPriority:
      return fmt::format("{}_priority_{}", ScopeOf(f), suffix);
    case QuotaMeasure::kRank:
      return fmt::format("{}_priority_rank", ScopeOf(f));
  }
  return "";
}

std::optional<std::int64_t> GroupQuota::*LimitOf(QuotaMeasure m) {
  switch (m) {
    case QuotaMeasure::kMemory:
      return &GroupQuota::memory_bytes;
    case QuotaMeasure::kCpu:
      return &GroupQuota::millicores;
    case QuotaMeasure::kGpu:
      return &GroupQuota::gpus;
    case QuotaMeasure::kCount:
      return &GroupQuota::count;
    case QuotaMeasure::kPriority:
      return &GroupQuota::priority;
    case QuotaMeasure::kRank:
      return nullptr;
  }
  return nullptr;
}

bool IsWithoutLimit(std::string_view text) {
  for (const std::string_view mark : {"-1", "-1.0", "-1K", "-1.0K", "inf", "unlimited"}) {
    if (EqualsIgnoreCase(text, mark)) return true;
  }
  return false;
}

// "0", "0.0", "0K", "0.00G": quantities refuse it, a quota may be nothing at all.
bool IsZero(std::string_view text) {
  if (!text.empty() && (text.back() == 'K' || text.back() == 'M' || text.back() == 'G'))
    text.remove_suffix(1);
  return !text.empty() && text.size() < 8 && text.find('0') != std::string_view::npos &&
         text.find_first_not_of("0.") == std::string_view::npos;
}

// Exact wherever two decimals of some unit are.
std::string ExactMemory(std::int64_t bytes) {
  constexpr std::string_view kUnits = "KMGT";
  for (std::size_t i = kUnits.size(); i-- > 0;) {
    const std::int64_t unit = std::int64_t{1} << (10 * (i + 1));
    if (bytes < unit || (bytes % unit) * 100 % unit != 0) continue;
    const std::int64_t hundredths = bytes / unit * 100 + (bytes % unit) * 100 / unit;
    if (hundredths % 100 == 0) return fmt::format("{}{}", hundredths / 100, kUnits[i]);
    return fmt::format("{}.{:02}{}", hundredths / 100, hundredths % 100, kUnits[i]);
  }
  return FormatMemory(bytes);
}

Error Wrong(const QuotaField& field, std::string_view text, std::string_view rule) {
  return Error(Code::kInvalidArgument, fmt::format("{} {}: {}", NameOf(field), Quote(text), rule));
}

}  // namespace

const std::vector<QuotaField>& AllQuotaFields() {
  using enum QuotaMeasure;
  static const std::vector<QuotaField> kFields = [] {
    std::vector<QuotaField> all;
    for (const QuotaGroup group : kQuotaGroups) {
      for (const QuotaMeasure m : {kMemory, kCpu, kGpu, kCount, kPriority, kRank})
        all.push_back({group, m});
    }
    for (const QuotaMeasure m : {kMemory, kCpu, kGpu}) all.push_back({std::nullopt, m});
    return all;
  }();
  return kFields;
}

std::string NameOf(const QuotaField& field) { return NameWith(field, "quota"); }

std::string NameOfUsed(const QuotaField& field) {
  return field.measure == QuotaMeasure::kRank ? "" : NameWith(field, "used");
}

std::optional<std::int64_t> LimitIn(const Quota& quota, const QuotaField& field) {
  const GroupQuota& group = field.group ? quota.of(*field.group) : quota.total;
  const auto member = LimitOf(field.measure);
  return member == nullptr ? std::optional(group.priority_rank) : group.*member;
}

std::int64_t UsedIn(const QuotaUse& used, const QuotaField& field) {
  const Amounts amounts = field.group ? used.of(*field.group) : used.total();
  switch (field.measure) {
    case QuotaMeasure::kMemory:
      return amounts.memory_bytes;
    case QuotaMeasure::kCpu:
      return amounts.millicores;
    case QuotaMeasure::kGpu:
      return amounts.gpus;
    case QuotaMeasure::kCount:
      return amounts.count;
    case QuotaMeasure::kPriority:
      return amounts.priority;
    case QuotaMeasure::kRank:
      return 0;
  }
  return 0;
}

Quota Changed(Quota quota, const std::vector<QuotaSetting>& settings) {
  for (const QuotaSetting& s : settings) {
    GroupQuota& group = s.field.group ? quota.of(*s.field.group) : quota.total;
    if (const auto member = LimitOf(s.field.measure)) {
      group.*member = s.limit;
    } else if (s.limit) {
      group.priority_rank = *s.limit;
    }
  }
  return quota;
}

std::string_view ToString(ApplicationState state) {
  switch (state) {
    case ApplicationState::kPending:
      return "pending";
    case ApplicationState::kGranted:
      return "granted";
    case ApplicationState::kDeclined:
      return "declined";
  }
  return "";
}

std::optional<ApplicationState> ParseApplicationState(std::string_view word) {
  for (const auto s :
       {ApplicationState::kPending, ApplicationState::kGranted, ApplicationState::kDeclined}) {
    if (word == ToString(s)) return s;
  }
  return std::nullopt;
}

std::optional<QuotaGroup> GroupOfService(std::string_view service) {
  if (service == "jobs") return QuotaGroup::kTrain;
  if (service == "models") return QuotaGroup::kModel;
  if (service == "dev") return QuotaGroup::kDev;
  if (service == "tensorboard") return QuotaGroup::kTensorboard;
  return std::nullopt;
}

Result<std::vector<QuotaSetting>> SettingsFor(QuotaGroup group, const QuotaAmounts& amounts) {
  struct Asked {
    std::string_view name;
    const std::string& text;
    QuotaMeasure measure;
  };
  const Asked all[] = {{"cpu_limit", amounts.cpu_limit, QuotaMeasure::kCpu},
                       {"memory_limit", amounts.memory_limit, QuotaMeasure::kMemory},
                       {"gpu_limit", amounts.gpu_limit, QuotaMeasure::kGpu},
                       {"count_limit", amounts.count_limit, QuotaMeasure::kCount}};
  std::vector<QuotaSetting> settings;
  for (const Asked& a : all) {
    if (a.text.empty()) continue;
    const QuotaField field{group, a.measure};
    const auto limit = ParseQuotaValue(field, a.text);
    if (!limit.ok()) {  // under the name that the applicant knows
      const std::string& said = limit.error().message();
      return Error(limit.error().code(), std::string(a.name) + said.substr(NameOf(field).size()));
    }
    settings.push_back({field, limit.value()});
  }
  return settings;
}

Result<std::optional<std::int64_t>> ParseQuotaValue(const QuotaField& field,
                                                    std::string_view text) {
  const bool is_rank = field.measure == QuotaMeasure::kRank;
  if (!is_rank && IsWithoutLimit(text)) return std::optional<std::int64_t>{};
  switch (field.measure) {
    case QuotaMeasure::kMemory:
    case QuotaMeasure::kCpu: {
      if (IsZero(text)) return std::optional<std::int64_t>{0};
      const auto parse = field.measure == QuotaMeasure::kCpu ? ParseCpu : ParseMemory;
      CML_ASSIGN_OR_RETURN(const std::int64_t amount, parse(NameOf(field), text));
      return std::optional(amount);
    }
    case QuotaMeasure::kGpu:
    case QuotaMeasure::kCount:
    case QuotaMeasure::kPriority: {
      const auto number = ParseInt(text);
      if (number && *number >= 0 && *number <= kMostNumber) return number;
      return Wrong(field, text, "a whole number from 0 on, or -1 for no limit");
    }
    case QuotaMeasure::kRank: {
      const auto number = ParseInt(text);
      if (number && *number >= 1 && *number <= kMostRank) return number;
      return Wrong(field, text, "1, 2 or 3; 3 comes first");
    }
  }
  return Error(Code::kInternal, "a quota field without a measure");
}

std::string FormatQuotaValue(const QuotaField& field, std::optional<std::int64_t> value) {
  switch (field.measure) {
    case QuotaMeasure::kMemory:
      return value ? ExactMemory(*value) : "-1.0K";
    case QuotaMeasure::kCpu:
      return value ? FormatCpu(*value) : "-1.0";
    case QuotaMeasure::kGpu:
    case QuotaMeasure::kCount:
    case QuotaMeasure::kPriority:
    case QuotaMeasure::kRank:
      return std::to_string(value.value_or(-1));
  }
  return "";
}

}  // namespace cml
