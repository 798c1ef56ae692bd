// api/audit.h — routes of the audit: read by an organisation's administrator for it, by a platform
// administrator for all.
#pragma once
#include "api/route_table.h"
#include "service/audit_trail.h"

namespace cml::api {

// `trail` must outlive the table.
void AddAuditRoutes(RouteTable& table, service::AuditTrail& trail);

}  // namespace cml::api
