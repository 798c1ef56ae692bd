// app/metrics.h — what /metrics says, in the Prometheus text format (exposition format 0.0.4). Pure.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "net/http_server.h"

namespace cml::app {

struct ServerFigures {
  net::ServerCounters http;
  std::vector<std::pair<std::string, std::int64_t>> budgets;  // organisation, percent
  std::size_t jobs_waiting = 0;   // enqueued
  std::size_t jobs_holding = 0;   // creating or running
  std::size_t ports_held = 0;     // by tasks of distributed jobs
  std::uint64_t resident_bytes = 0;
  double cpu_seconds = 0;
  double started = 0;             // seconds since 1970
};
std::string EncodeMetrics(const ServerFigures& figures);

// Of this process, from /proc.
void ReadProcess(ServerFigures& figures);

}  // namespace cml::app
