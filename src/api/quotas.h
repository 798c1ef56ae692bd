// api/quotas.h — the routes of quotas and of applications for more (cloud_ml v1, 11.1 and 11.2):
// decode, call the service, encode.
#pragma once
#include "api/route_table.h"
#include "service/quotas.h"

namespace cml::api {

// The service must outlive the table.
void AddQuotaRoutes(RouteTable& table, service::Quotas& quotas);

}  // namespace cml::api
