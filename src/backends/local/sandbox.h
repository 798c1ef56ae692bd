// backends/local/sandbox.h — what a replica sees of the machine: bubblewrap's arguments, and the
// files under sandbox/ that they name.
//
// Inside: /usr and the system's libraries read-only; /etc with the few files that programs need;
// /job/etc, /job/packages read-only; /job/work (working directory and HOME), /job/layer,
// /job/status, /job/checkpoint, /fds and a private /tmp writable; a fresh /proc of the replica's
// own processes, a minimal /dev; the framework environment at its own path. The network is that
// of the process that starts the sandbox.
//
// As root, bubblewrap makes the mounts as root and setpriv then gives up every privilege before the
// command starts. Otherwise a user namespace gives the right to mount, and the filter takes away
// the right to make more of them.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace cml::backends::local {

// How the mounts are made.
enum class SandboxMode { kRoot, kUserNamespace };

enum class NetworkChoice {
  kHost,          // jobs are in the machine's network
  kOrganisation,  // each organisation has one of its own (network.h)
};

struct SandboxSpec {
  SandboxMode mode = SandboxMode::kRoot;
  uid_t uid = 65534;  // kRoot: of the command
  std::string hostname;
  std::filesystem::path etc;                     // EtcFor
  std::filesystem::path replica;                 // with work, tmp, status
  std::filesystem::path job_etc, packages;       // empty: an empty folder
  std::filesystem::path checkpoint;              // empty: none
  std::filesystem::path buckets;                 // a folder of buckets, at /fds; empty: none
  std::vector<std::filesystem::path> read_only;  // at the same place
  std::vector<std::filesystem::path> devices;
};

// Up to and with the last word before the command.
std::vector<std::string> SandboxArguments(const SandboxSpec& spec);

// The folder to mount at /etc for jobs of this uid, made where it is not there yet. A new one is
// made when the machine's own files changed; older ones stay for the jobs that use them.
Result<std::filesystem::path> EtcFor(const std::filesystem::path& sandbox_folder, uid_t uid,
                                     NetworkChoice network);

}  // namespace cml::backends::local
