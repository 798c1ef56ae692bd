// backends/local/port_hold.h — keeps a port free for a program that is about to start, without
// listening on it: who connects meanwhile is refused, as if nobody were there yet.
//
// Owns one descriptor. For a process of one thread, as it may fork to reach the network in which the
// port is. Holds against everybody, except that after an earlier use of the port a program that
// sets SO_REUSEADDR could still get in.
#pragma once
#include <filesystem>

#include "backends/local/network.h"
#include "base/file.h"
#include "base/result.h"

namespace cml::backends::local {

class PortHold {
 public:
  // In that network, or where it is empty in the machine's. kAlreadyExists: somebody has the port.
  static Result<PortHold> Take(int port, const NetworkEntry& network);
  PortHold() = default;
  void Release() { socket_.Close(); }
  bool valid() const { return socket_.valid(); }

 private:
  explicit PortHold(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

// Could a program open it now? Of a process of one thread, like Take.
bool IsPortFree(int port, const NetworkEntry& network);

// Does nobody listen on it, as /proc/PID/net of a process in that network tells? For any thread.
bool NobodyListens(int port, const std::filesystem::path& proc_net);

}  // namespace cml::backends::local
