// core/quota_change.h — what an administrator or an organisation says about a quota: the fields by
// their names (cloud_ml v1, 11.1), a partial change of them, and an application for more (11.2).
// Pure.
//
// Life of an application: pending → granted | declined.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "core/identity.h"
#include "core/quota.h"

namespace cml {

enum class QuotaMeasure { kMemory, kCpu, kGpu, kCount, kPriority, kRank };

// One field of the quota object. nullopt: the total of all groups.
struct QuotaField {
  std::optional<QuotaGroup> group;
  QuotaMeasure measure = QuotaMeasure::kCount;
};

const std::vector<QuotaField>& AllQuotaFields();
std::string NameOf(const QuotaField& field);      // "train_cpu_quota", "tensorboard_quota"
std::string NameOfUsed(const QuotaField& field);  // "train_cpu_used"; empty for a rank
// nullopt: no limit. A rank always is one.
std::optional<std::int64_t> LimitIn(const Quota& quota, const QuotaField& field);
std::int64_t UsedIn(const QuotaUse& used, const QuotaField& field);

struct QuotaSetting {
  QuotaField field;
  std::optional<std::int64_t> limit;  // millicores, bytes, or a number; nullopt: no limit
};

// What is not named stays as it is.
struct QuotaChange {
  std::vector<QuotaSetting> settings;
  std::optional<std::string> org_name, org_mail, project;
  bool empty() const { return settings.empty() && !org_name && !org_mail && !project; }
};
Quota Changed(Quota quota, const std::vector<QuotaSetting>& settings);

// How an organisation stands: what it may hold and what it holds.
struct QuotaStanding {
  Org org;
  Quota quota;
  QuotaUse used;
};

// One unfinished resource and what it holds.
struct QuotaHolder {
  OrgId org;
  std::string kind, name, state;
  Reservation reserved;
};

enum class ApplicationState { kPending, kGranted, kDeclined };
std::string_view ToString(ApplicationState state);  // "pending", "granted", "declined"
std::optional<ApplicationState> ParseApplicationState(std::string_view word);

// Amounts as they were sent; empty: not asked for.
struct QuotaAmounts {
  std::string cpu_limit, memory_limit, gpu_limit, count_limit;
  bool empty() const {
    return cpu_limit.empty() && memory_limit.empty() && gpu_limit.empty() && count_limit.empty();
  }
};

struct QuotaApplication {
  std::string id;
  OrgId org;
  std::string org_name, org_mail;
  std::string region;   // where the applicant sent it
  std::string service;  // "jobs", "models", "dev" or "tensorboard"
  QuotaAmounts asked, granted;
  std::string comment;    // of the applicant
  std::string applicant;  // user, or access key
  ApplicationState state = ApplicationState::kPending;
  std::string message;  // of the administrator
  SysTime created{}, decided{};
};

// "jobs" → train, and so on; nullopt: another word.
std::optional<QuotaGroup> GroupOfService(std::string_view service);
// The settings that grant `amounts` to a group. kInvalidArgument names the field.
Result<std::vector<QuotaSetting>> SettingsFor(QuotaGroup group, const QuotaAmounts& amounts);

// A value of one field as it is written: an amount, or one of "-1", "-1.0", "-1.0K", "INF" for no
// limit. kInvalidArgument names the field and the rule.
Result<std::optional<std::int64_t>> ParseQuotaValue(const QuotaField& field, std::string_view text);
// As the published clients read it (11.1): no limit is "-1", "-1.0" or "-1.0K".
std::string FormatQuotaValue(const QuotaField& field, std::optional<std::int64_t> value);

}  // namespace cml
