#include "backends/local/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace cml::backends::local {

Machine LookAtMachine(const CgroupSources& sources) {
  Machine machine;
  std::array<char, 256> name{};
  machine.host_name = ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
  cpu_set_t cpus;
  const int processors = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  machine.millicores = std::int64_t{1'000} * processors;
  machine.memory_bytes = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) *
                         static_cast<std::int64_t>(::sysconf(_SC_PAGE_SIZE));
  const OwnLimits own = ReadOwnLimits(sources);
  if (own.millicores > 0) machine.millicores = std::min(machine.millicores, own.millicores);
  if (own.memory_bytes > 0) machine.memory_bytes = std::min(machine.memory_bytes, own.memory_bytes);
  return machine;
}

}  // namespace cml::backends::local
