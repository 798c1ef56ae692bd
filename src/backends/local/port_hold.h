// backends/local/port_hold.h — keeps a port of this machine free for a program that is about to
// start, without listening on it: who connects meanwhile is refused, as if nobody were there yet.
//
// Owns one descriptor. Not thread-safe. Holds against everybody, except that after an earlier use
// of the port a program that sets SO_REUSEADDR could still get in.
#pragma once
#include "base/file.h"
#include "base/result.h"

namespace cml::backends::local {

class PortHold {
 public:
  // kAlreadyExists: somebody has the port.
  static Result<PortHold> Take(int port);
  PortHold() = default;
  void Release() { socket_.Close(); }
  bool valid() const { return socket_.valid(); }

 private:
  explicit PortHold(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

// Could a program open it now?
bool IsPortFree(int port);

}  // namespace cml::backends::local
