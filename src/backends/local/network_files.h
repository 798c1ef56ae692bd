// backends/local/network_files.h — the two files of an organisation's network, as keeper, server and
// shims see them. Private to network.cc, network_keeper.cc
// and local_backend.cc. No state.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace cml::backends::local {

inline constexpr const char* kNetworkLock = "lock";
inline constexpr const char* kNetworkHolder = "holder";

struct Holder {
  pid_t pid = 0;
  std::int64_t started = 0;  // StartOfProcess
  std::string failure;       // not empty: there is no network, for this reason
};
std::optional<Holder> ReadHolder(const std::filesystem::path& folder);  // nullopt: no such file
Status WriteHolder(const std::filesystem::path& folder, const Holder& holder);
void RemoveHolder(const std::filesystem::path& folder);

// In clock ticks since the machine started (proc(5), /proc/PID/stat, field 22); 0: no such process.
std::int64_t StartOfProcess(pid_t pid);

}  // namespace cml::backends::local
