// api/nodes.h — the routes of the cluster's nodes, and the contract's table of what is free
// (cloud_ml v1, 11.3).
#pragma once
#include "api/route_table.h"
#include "service/nodes.h"

namespace cml::api {

// The service must outlive the table.
void AddNodeRoutes(RouteTable& table, service::Nodes& nodes);

}  // namespace cml::api
