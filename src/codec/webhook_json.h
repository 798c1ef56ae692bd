// codec/webhook_json.h — webhooks and their deliveries as JSON: as they are stored, asked for,
// shown, and sent. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/train_job.h"
#include "core/usage_report.h"
#include "core/webhook.h"

namespace cml::codec {

// What a request may say; what is absent stays as it is.
struct WebhookRequest {
  std::optional<std::string> url, secret, description;
  std::optional<std::vector<std::string>> events;
  std::optional<bool> active;
};
Result<WebhookRequest> DecodeWebhookRequest(std::string_view body);  // kInvalidArgument

std::string EncodeWebhookRow(const Webhook& hook);                   // for the store
Result<Webhook> DecodeWebhookRow(std::string_view json);             // kDataLoss
std::string EncodeDeliveryRow(const Delivery& delivery);
Result<Delivery> DecodeDeliveryRow(std::string_view json);           // kDataLoss

// For clients. `secret`: shown once, in the answer of the create; else empty.
std::string EncodeWebhook(const Webhook& hook, std::string_view secret);
std::string EncodeWebhooks(const std::vector<Webhook>& hooks);       // {"data": […]}
std::string EncodeDelivery(const Delivery& delivery);
std::string EncodeDeliveries(const std::vector<Delivery>& deliveries);
// For the audit: of the URL no more than its host, as paths may be secrets.
std::string EncodeWebhookForAudit(const Webhook& hook);

// The body of a delivery.
std::string EncodeJobEvent(std::string_view delivery, std::string_view event, SysTime at, const TrainJob& job);
struct BudgetNews {
  const BudgetState& state;
  const BudgetNotice& notice;
  std::string_view org_name, currency;
};
std::string EncodeBudgetEvent(std::string_view delivery, SysTime at, const BudgetNews& news);
std::string EncodeTestEvent(std::string_view delivery, SysTime at, const Webhook& hook);

}  // namespace cml::codec
