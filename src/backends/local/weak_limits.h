// backends/local/weak_limits.h — the weaker mode, for machines where the server may write no
// control group: processors by affinity, processes by the user's limit, memory by sampling.
//
// What it does not give: a fair share of a processor, memory that cannot be overrun for a moment,
// page cache that counts. No state.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace cml::backends::local {

// Keeps the calling process and its children to as many processors as the limit needs.
void LimitProcessors(std::int64_t millicores);
// The value for RLIMIT_NPROC that leaves this user room for `processes` more.
std::int64_t ProcessLimitFor(std::int64_t uid, std::int64_t processes);

// Environment variable that every process of a replica starts with; its value names the replica.
inline constexpr const char* kMarkVariable = "CLOUDML_RUN_MARK";
std::string MarkOf(const std::filesystem::path& data, const std::string& replica);
// Ends all processes that were started with this mark and have not hidden it.
void KillMarked(const std::string& mark);

struct SampledUsage {
  std::int64_t cpu_millis = 0;  // of the processes that live now
  std::int64_t memory_bytes = 0;
};
// Of all processes in the pid namespace of process `init`.
SampledUsage SampleNamespace(pid_t init);

}  // namespace cml::backends::local
