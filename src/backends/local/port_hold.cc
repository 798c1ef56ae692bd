#include "backends/local/port_hold.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace cml::backends::local {
namespace {

enum class Reuse { kNo, kYes };

// The socket, or an errno.
Result<Fd> Bind(int port, Reuse reuse, int& error_number) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = reuse == Reuse::kYes ? 1 : 0;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool bound = fd.valid() && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                     ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
  if (bound) return fd;
  error_number = errno;
  return Error(error_number == EADDRINUSE ? Code::kAlreadyExists : Code::kUnavailable,
               fmt::format("port {}: {}", port, std::strerror(error_number)));
}

}  // namespace

Result<PortHold> PortHold::Take(int port) {
  int error_number = 0;
  auto strict = Bind(port, Reuse::kNo, error_number);
  if (strict.ok()) return PortHold(std::move(strict).value());
  // Connections of its last user may linger; nobody listens, if this goes.
  auto shared = Bind(port, Reuse::kYes, error_number);
  if (!shared.ok()) return std::move(shared).error();
  return PortHold(std::move(shared).value());
}

bool IsPortFree(int port) { return PortHold::Take(port).ok(); }

}  // namespace cml::backends::local
