// api/webhooks.h — routes of webhooks: an organisation's administrator says where its changes shall
// be told.
#pragma once
#include "api/route_table.h"
#include "service/webhooks.h"

namespace cml::api {

// `hooks` must outlive the table.
void AddWebhookRoutes(RouteTable& table, service::Webhooks& hooks);

}  // namespace cml::api
