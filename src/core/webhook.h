// core/webhook.h — where an organisation wants to be told of changes, and what it is told. Pure.
//
// A delivery: pending ──2xx──▶ delivered
//               │ ▲ └─ again after a pause, for a day ─┐
//               │ └────────────────────────────────────┘
//               └── a day over, the webhook gone or switched off ──▶ failed
#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"

namespace cml {

struct Webhook {
  std::string id;  // "wh" and ten characters
  OrgId org;
  std::string url;
  std::vector<std::string> events;  // "train_job.failed", "train_job.*", "*"
  bool active = true;
  std::string description;
  std::string sealed_secret;  // what deliveries are signed with
  SysTime created{}, updated{};
  std::string created_by;
};

inline constexpr std::array<std::string_view, 10> kWebhookEvents = {
    "train_job.initial", "train_job.enqueued",  "train_job.creating", "train_job.running",
    "train_job.completed", "train_job.failed", "train_job.deleted", "budget.warning", "budget.exceeded", "webhook.test"};

// Does the pattern name at least one event there is?
inline bool IsEventPattern(std::string_view pattern) {
  return std::any_of(kWebhookEvents.begin(), kWebhookEvents.end(), [pattern](std::string_view event) {
    return pattern == "*" || pattern == event ||
           (pattern.ends_with(".*") && event.starts_with(pattern.substr(0, pattern.size() - 1)));
  });
}
inline bool Wants(const Webhook& hook, std::string_view event) {
  if (!hook.active) return false;
  return std::any_of(hook.events.begin(), hook.events.end(), [event](std::string_view p) {
    return p == "*" || p == event || (p.ends_with(".*") && event.starts_with(p.substr(0, p.size() - 1)));
  });
}

enum class DeliveryState { kPending, kDelivered, kFailed };
inline std::string_view ToString(DeliveryState s) {
  switch (s) {
    case DeliveryState::kPending: return "pending";
    case DeliveryState::kDelivered: return "delivered";
    case DeliveryState::kFailed: return "failed";
  }
  return "";
}

struct Delivery {
  std::string id;       // "<milliseconds>-<random>": in order of time
  std::string webhook;  // its id
  OrgId org;
  std::string event;
  std::string body;  // JSON, as it is sent
  DeliveryState state = DeliveryState::kPending;
  std::int64_t attempts = 0;
  SysTime created{}, next{};  // next: when it is tried again
  SysTime ended{};
  int status = 0;       // of the last answer; 0: there was none
  std::string message;  // why it is not delivered yet
};

inline constexpr std::chrono::hours kDeliveryTried{24};   // since it was created
inline constexpr std::chrono::hours kDeliveryKept{72};    // after it has ended

// The pause after so many attempts: 5 s, doubled each time, at most an hour.
inline std::chrono::milliseconds DeliveryPause(std::int64_t attempts) {
  const std::int64_t doubled = std::clamp<std::int64_t>(attempts - 1, 0, 12);
  return std::min<std::chrono::milliseconds>(std::chrono::seconds{5} * (std::int64_t{1} << doubled), std::chrono::hours{1});
}

}  // namespace cml
