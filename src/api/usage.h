// api/usage.h — the routes of the bill: usage, prices, budgets.
#pragma once
#include <functional>
#include <string>

#include "api/route_table.h"
#include "service/budgets.h"
#include "service/orgs.h"
#include "service/usage.h"

namespace cml::api {

// The references must outlive the table.
struct UsageRoutesDeps {
  service::Usage& usage;
  service::Budgets& budgets;
  service::Orgs& orgs;
  const Clock& clock;
};
void AddUsageRoutes(RouteTable& table, UsageRoutesDeps deps);

}  // namespace cml::api
