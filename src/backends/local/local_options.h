// backends/local/local_options.h — what the local backend is told at its start. Plain values and
// the few verbs that it needs of others.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "backends/local/environments.h"
#include "backends/local/sandbox.h"
#include "backends/local/shim_launcher.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::backends::local {

enum class CgroupChoice { kBest, kNone };

struct LocalOptions {
  std::filesystem::path data;                 // layout.h; made with mode 0700
  std::string node_name;                      // empty: the machine's
  std::map<std::string, std::string> labels;  // of the node, besides those that are found

  int fake_gpus = 0;                       // instead of what NVML finds
  Limits capacity;                         // 0: the machine's own (millicores, memory_bytes)
  Limits defaults;                         // of a replica that names no limit; 0: none
  std::uint64_t log_bytes = 1ULL << 30;    // the most that one replica's log may hold
  std::map<std::string, std::string> env;  // that every job gets, weaker than its own

  // nullopt: as root kRoot, otherwise kUserNamespace.
  std::optional<SandboxMode> sandbox;
  CgroupChoice cgroups = CgroupChoice::kBest;
  NetworkChoice network = NetworkChoice::kHost;

  // All of these may be called from any thread.
  std::function<uid_t(const OrgId&)> uid_of;  // kRoot: never 0
  // Brings the object to a file that is not there yet. kUnavailable is tried again a few times,
  // anything else ends the run as PackageError with the error's message.
  std::function<Status(const OrgId&, const Fetch&, const std::filesystem::path& to)> fetch;
  // The folder that holds the organisation's buckets, which its uid may write; unset: no buckets.
  std::function<Result<std::filesystem::path>(const OrgId&)> buckets;

  ShimLauncher* launcher = nullptr;      // not owned; outlives the backend
  Environments* environments = nullptr;  // not owned; nullptr: no runtimes
};

}  // namespace cml::backends::local
