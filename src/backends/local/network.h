// backends/local/network.h — a network of its own for each organisation: its jobs meet on a loopback
// that nobody else has, and reach what is outside through slirp4netns (user-mode NAT). Nothing of
// the machine's own loopback can be reached from there, nor another organisation's jobs.
//
// A keeper process holds the network's namespace (and, where the server is not root, the user
// namespace that owns it) and slirp4netns. It lives as long as somebody holds a shared lock on the
// network's file `lock`: the server that used it last, and every shim whose job is in it. So it
// outlives the server, and nothing of it is left when the last job has ended.
//
//   networks/ORG/lock    shared: in use; exclusive: the keeper is going
//   networks/ORG/holder  process that is in the namespaces (record.h): pid, when it started
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "backends/local/shim_launcher.h"
#include "base/file.h"
#include "base/id.h"
#include "base/result.h"

namespace cml::backends::local {

// Why there can be no private networks on this machine, as a sentence; empty: there can.
std::string NetworkObstacle();

// Gives out the organisations' networks. Thread-safe. One object per data folder.
class OrgNetworks {
 public:
  OrgNetworks(std::filesystem::path folder, ShimLauncher& launcher)
      : folder_(std::move(folder)), launcher_(launcher) {}

  // The folder of the organisation's network, for NetworkEntry. Makes the network where it does not
  // live, which takes some 50 ms. kUnavailable: it cannot be made now; the message says why.
  Result<std::filesystem::path> For(const OrgId& org);

 private:
  struct Kept {
    Fd lock;
    std::chrono::steady_clock::time_point used;
  };
  Status Make(const std::filesystem::path& folder, Kept& kept);
  void LetGoOfIdle(const OrgId& but);  // requires mu_

  const std::filesystem::path folder_;
  ShimLauncher& launcher_;
  std::mutex mu_;
  std::map<OrgId, Kept> kept_;  // guarded by mu_
};

// What a process needs to go there: it keeps the network alive while it has this.
struct NetworkEntry {
  Fd lock;
  Fd user;  // invalid: no user namespace is to be entered
  Fd net;
};
// kUnavailable: the network is not there (any more).
Result<NetworkEntry> OpenNetwork(const std::filesystem::path& folder);
// Into both namespaces, the user's first. Safe between vfork and exec.
bool EnterNetwork(int user, int net);

// The keeper's life, as a process of one thread. Returns its exit status.
int RunNetworkKeeper(const std::filesystem::path& folder);

}  // namespace cml::backends::local
