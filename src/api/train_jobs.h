// api/train_jobs.h — the routes of train jobs (cloud_ml v1, sections 4, 6 and 7): decode, call the
// service, encode.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "api/route_table.h"
#include "service/job_log.h"
#include "service/orgs.h"
#include "service/train_jobs.h"

namespace cml::api {

// The references must outlive the table.
struct TrainJobRoutesDeps {
  service::TrainJobs& jobs;
  service::Orgs& orgs;
  // The log of one replica, or of no role that of a run of several (backends/backend.h).
  std::function<std::filesystem::path(const RunKey&, const std::string& role, std::uint32_t index)> log_path;
};
void AddTrainJobRoutes(RouteTable& table, TrainJobRoutesDeps deps);

}  // namespace cml::api
