// bench/admission/trace.h — reads the traces that the simulator replays. The files are not part of this
// repository: see README.md. An unreadable file or line ends the program with a message.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "control/admission/snapshot.h"

namespace cml::bench {

struct TraceJob {
  std::int64_t submit_ms = 0;    // since the first
  std::int64_t duration_ms = 0;  // hidden from the policies that do not get it
  std::int64_t gpus = 0;
  int org = 0;                   // virtual cluster
};
struct Philly {
  std::vector<TraceJob> jobs;  // by submit time
  std::vector<std::string> orgs;
};
// philly_jobs.csv.gz: timestamp,duration,num_gpus,gpu_time,cluster. One of `sample` jobs is taken.
Philly ReadPhilly(const std::string& folder, int sample);

struct Openb {
  std::vector<control::admission::NodeFacts> nodes;
  std::vector<control::admission::Ask> pods;  // in the order of the file
};
// openb_node_list_gpu_node.csv.gz and openb_pod_list_<pods>.csv.gz.
Openb ReadOpenb(const std::string& folder, const std::string& pods);

}  // namespace cml::bench
