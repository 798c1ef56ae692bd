// api/platform.h — the routes that belong to no resource: health, metrics, the description of the
// API, frameworks, and who am I.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "api/route_table.h"
#include "codec/messages.h"
#include "core/run.h"
#include "service/orgs.h"

namespace cml::api {

// What these routes need of the application, as verbs. All are thread-safe.
struct PlatformRoutesDeps {
  service::Orgs& orgs;
  std::string_view openapi;                      // the text of docs/api/openapi.yaml
  std::function<Status()> ready;                 // can the server do its work?
  std::function<std::string()> metrics;          // Prometheus text format
  std::function<Result<std::vector<codec::RuntimeLine>>()> runtimes;
  std::function<Status(const RuntimeRef&)> prepare_runtime;
  std::function<Status(const RuntimeRef&)> remove_runtime;
};
void AddPlatformRoutes(RouteTable& table, PlatformRoutesDeps deps);

}  // namespace cml::api
