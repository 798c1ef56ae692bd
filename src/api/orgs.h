// api/orgs.h — the routes of organisations, of their users and keys, and of the namespaces of the
// published administrator's program, which are organisations under another name (cloud_ml v1, 11.8).
#pragma once
#include "api/route_table.h"
#include "service/keys.h"
#include "service/org_admin.h"
#include "service/quotas.h"
#include "service/users.h"

namespace cml::api {

void AddOrgRoutes(RouteTable& table, service::OrgAdmin& orgs);

void AddUserRoutes(RouteTable& table, service::Users& users);

void AddKeyRoutes(RouteTable& table, service::Keys& keys, const Clock& clock);

struct NamespaceRoutesDeps {
  service::OrgAdmin& orgs;
  service::Users& users;
  service::Quotas& quotas;
};
void AddNamespaceRoutes(RouteTable& table, NamespaceRoutesDeps deps);

}  // namespace cml::api
