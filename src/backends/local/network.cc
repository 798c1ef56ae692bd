#include "backends/local/network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

#include "backends/local/network_files.h"
#include "base/process.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto kMostMaking = 10s;
constexpr auto kLookAgain = 2ms;
constexpr auto kIdle = 10min;  // the server keeps a network so long after its last use

bool ShareLock(int fd) { return ::flock(fd, LOCK_SH | LOCK_NB) == 0; }

// The namespaces of the holder, if it is still the process that the file names.
Result<NetworkEntry> NamespacesOf(const fs::path& folder) {
  const auto holder = ReadHolder(folder);
  if (!holder || !holder->failure.empty()) {
    return Error(Code::kUnavailable, "the organisation's network is not there");
  }
  const std::string ns = fmt::format("/proc/{}/ns/", holder->pid);
  NetworkEntry entry;
  CML_ASSIGN_OR_RETURN(entry.net, OpenFile(ns + "net", O_RDONLY | O_CLOEXEC));
  if (::geteuid() != 0) {
    CML_ASSIGN_OR_RETURN(entry.user, OpenFile(ns + "user", O_RDONLY | O_CLOEXEC));
  }
  // Asked when the namespaces are pinned: the number may have gone to another process before.
  if (StartOfProcess(holder->pid) != holder->started) {
    return Error(Code::kUnavailable, "the organisation's network has gone");
  }
  return entry;
}

}  // namespace

std::string NetworkObstacle() {
  if (FindProgram("slirp4netns").empty()) return "slirp4netns is not installed (apt install slirp4netns)";
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "/dev/net/tun cannot be opened by this user";
  return {};
}

Result<fs::path> OrgNetworks::For(const OrgId& org) {
  const std::lock_guard lock(mu_);
  const fs::path folder = folder_ / org.str();
  Kept& kept = kept_[org];
  kept.used = Steady::now();
  LetGoOfIdle(org);
  if (kept.lock.valid() && NamespacesOf(folder).ok()) return folder;
  CML_RETURN_IF_ERROR(Make(folder, kept));
  return folder;
}

Status OrgNetworks::Make(const fs::path& folder, Kept& kept) {
  CML_RETURN_IF_ERROR(MakeFolders(folder));
  const auto until = Steady::now() + kMostMaking;
  if (!kept.lock.valid()) {
    CML_ASSIGN_OR_RETURN(Fd file, OpenFile(folder / kNetworkLock, O_RDWR | O_CREAT | O_CLOEXEC));
    // A keeper that is going has it for a moment.
    while (!ShareLock(file.get())) {
      if (Steady::now() > until) return Error(Code::kUnavailable, "the organisation's old network does not go away");
      std::this_thread::sleep_for(kLookAgain);
    }
    kept.lock = std::move(file);
  }
  if (NamespacesOf(folder).ok()) return Ok{};  // of the server before
  RemoveHolder(folder);
  CML_RETURN_IF_ERROR(launcher_.LaunchKeeper(folder));
  while (true) {
    if (const auto holder = ReadHolder(folder)) {
      if (!holder->failure.empty()) {
        return Error(Code::kUnavailable, "the organisation's network cannot be made: " + holder->failure);
      }
      return Ok{};
    }
    if (Steady::now() > until) return Error(Code::kUnavailable, "the organisation's network takes too long to be made");
    std::this_thread::sleep_for(kLookAgain);
  }
}

void OrgNetworks::LetGoOfIdle(const OrgId& but) {
  const auto now = Steady::now();
  std::erase_if(kept_, [&](const auto& pair) { return pair.first != but && now - pair.second.used > kIdle; });
}

Result<NetworkEntry> OpenNetwork(const fs::path& folder) {
  CML_ASSIGN_OR_RETURN(Fd lock, OpenFile(folder / kNetworkLock, O_RDWR | O_CLOEXEC));
  if (!ShareLock(lock.get())) return Error(Code::kUnavailable, "the organisation's network is going");
  CML_ASSIGN_OR_RETURN(NetworkEntry entry, NamespacesOf(folder));
  entry.lock = std::move(lock);
  return entry;
}

bool EnterNetwork(int user, int net) {
  if (user >= 0 && ::setns(user, CLONE_NEWUSER) != 0) return false;
  return net < 0 || ::setns(net, CLONE_NEWNET) == 0;
}

}  // namespace cml::backends::local
