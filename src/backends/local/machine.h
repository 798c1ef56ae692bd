// backends/local/machine.h — what this machine has to give. No state.
#pragma once
#include <cstdint>
#include <string>

#include "backends/local/cgroup.h"

namespace cml::backends::local {

struct Machine {
  std::string host_name;
  std::int64_t millicores = 0;    // of the processors that we may use, bounded by our own quota
  std::int64_t memory_bytes = 0;  // bounded by our own limit
};
Machine LookAtMachine(const CgroupSources& sources);

}  // namespace cml::backends::local
