#include "api/webhooks.h"

#include <array>

#include "api/http_error.h"
#include "api/list_query.h"
#include "codec/webhook_json.h"

namespace cml::api {
namespace {

using service::Webhooks;

constexpr std::array<std::string_view, 7> kHookFields = {"webhook_id", "url", "events", "active", "description", "created_at", "updated_at"};
constexpr ListShape kHooks{"data", "webhook_id", kHookFields};
constexpr std::array<std::string_view, 8> kDeliveryFields = {"delivery_id", "event", "state", "attempts", "created_at", "next_attempt_at", "ended_at", "status"};
constexpr ListShape kDeliveries{"data", "delivery_id", kDeliveryFields};

Result<net::Response> Create(Webhooks& hooks, const Call& call) {
  CML_ASSIGN_OR_RETURN(const auto request, codec::DecodeWebhookRequest(call.request.body));
  CML_ASSIGN_OR_RETURN(const auto created, hooks.Create(call.caller, request));
  return JsonResponse(200, codec::EncodeWebhook(created.hook, created.secret.Reveal()));
}

Result<net::Response> List(Webhooks& hooks, const Call& call) {
  CML_ASSIGN_OR_RETURN(const auto all, hooks.List(call.caller));
  return ListAnswer(call, codec::EncodeWebhooks(all), kHooks);
}

Result<net::Response> Describe(Webhooks& hooks, const Call& call) {
  CML_ASSIGN_OR_RETURN(const Webhook hook, hooks.Find(call.caller, call.params[0]));
  return JsonResponse(200, codec::EncodeWebhook(hook, ""));
}

Result<net::Response> Update(Webhooks& hooks, const Call& call) {
  CML_ASSIGN_OR_RETURN(const auto request, codec::DecodeWebhookRequest(call.request.body));
  CML_ASSIGN_OR_RETURN(const Webhook hook, hooks.Update(call.caller, call.params[0], request));
  return JsonResponse(200, codec::EncodeWebhook(hook, ""));
}

Result<net::Response> Delete(Webhooks& hooks, const Call& call) {
  CML_RETURN_IF_ERROR(hooks.Delete(call.caller, call.params[0]));
  return DoneResponse("Successfully delete webhook " + call.params[0]);
}

Result<net::Response> Test(Webhooks& hooks, const Call& call) {
  CML_ASSIGN_OR_RETURN(const Delivery delivery, hooks.Test(call.caller, call.params[0]));
  return JsonResponse(200, codec::EncodeDelivery(delivery));
}

Result<net::Response> Deliveries(Webhooks& hooks, const Call& call) {
  CML_ASSIGN_OR_RETURN(const auto all, hooks.Deliveries(call.caller, call.params[0]));
  return ListAnswer(call, codec::EncodeDeliveries(all), kDeliveries);
}

}  // namespace

void AddWebhookRoutes(RouteTable& table, service::Webhooks& hooks) {
  const auto add = [&](const char* method, const char* pattern, auto handle) {
    table.Add({method, pattern, net::Route::Where::kWorker,
               [&hooks, handle](const Call& call) { return handle(hooks, call); }, nullptr});
  };
  add("POST", "/cloud_ml/v1/webhook", Create);
  add("GET", "/cloud_ml/v1/webhook", List);
  add("GET", "/cloud_ml/v1/webhook/{webhook}", Describe);
  add("PATCH", "/cloud_ml/v1/webhook/{webhook}", Update);
  add("DELETE", "/cloud_ml/v1/webhook/{webhook}", Delete);
  add("POST", "/cloud_ml/v1/webhook/{webhook}/test", Test);
  add("GET", "/cloud_ml/v1/webhook/{webhook}/deliveries", Deliveries);
}

}  // namespace cml::api
