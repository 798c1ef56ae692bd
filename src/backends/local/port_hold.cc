#include "backends/local/port_hold.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/strings.h"

namespace cml::backends::local {
namespace {

enum class Reuse { kNo, kYes };

// A bound socket, or minus an errno.
int Bind(int port, Reuse reuse) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int on = reuse == Reuse::kYes ? 1 : 0;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      ::bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0) {
    return fd;
  }
  const int error_number = errno;
  ::close(fd);
  return -error_number;
}

// Connections of its last user may linger; nobody listens, if the second try goes.
int BindEither(int port) {
  const int strict = Bind(port, Reuse::kNo);
  return strict >= 0 ? strict : Bind(port, Reuse::kYes);
}

struct Message {  // one descriptor and a number
  explicit Message(int& number) {
    part.iov_base = &number;
    part.iov_len = sizeof number;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = room;
    header.msg_controllen = sizeof room;
  }
  iovec part{};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
};

[[noreturn]] void BindThere(int port, const NetworkEntry& network, int to) {
  int result = EnterNetwork(network.user.get(), network.net.get()) ? BindEither(port) : -errno;
  Message message(result);
  if (result >= 0) {
    cmsghdr* control = CMSG_FIRSTHDR(&message.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(control), &result, sizeof result);
  } else {
    message.header.msg_controllen = 0;
  }
  ::_exit(::sendmsg(to, &message.header, MSG_NOSIGNAL) > 0 ? 0 : 1);
}

// The same in a network that is not ours: a child goes there, binds, and hands the socket over.
int BindIn(int port, const NetworkEntry& network) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
  const Fd ours(pair[0]);
  Fd theirs(pair[1]);
  const pid_t child = ::fork();
  if (child < 0) return -errno;
  if (child == 0) BindThere(port, network, theirs.get());
  theirs.Close();
  int result = -EIO;
  Message message(result);
  ssize_t got = 0;
  do {
    got = ::recvmsg(ours.get(), &message.header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (got != sizeof result) return -EIO;
  if (result < 0) return result;
  const cmsghdr* control = CMSG_FIRSTHDR(&message.header);
  if (control == nullptr || control->cmsg_type != SCM_RIGHTS) return -EIO;
  std::memcpy(&result, CMSG_DATA(control), sizeof result);
  return result;
}

}  // namespace

Result<PortHold> PortHold::Take(int port, const NetworkEntry& network) {
  const int fd = network.net.valid() ? BindIn(port, network) : BindEither(port);
  if (fd >= 0) return PortHold(Fd(fd));
  return Error(fd == -EADDRINUSE ? Code::kAlreadyExists : Code::kUnavailable,
               fmt::format("port {}: {}", port, std::strerror(-fd)));
}

bool IsPortFree(int port, const NetworkEntry& network) { return PortHold::Take(port, network).ok(); }

// "  0: 0100007F:4E20 00000000:0000 0A …": local address and port, the other's, the state (proc(5)).
bool NobodyListens(int port, const std::filesystem::path& proc_net) {
  const std::string wanted = fmt::format(":{:04X}", port);
  for (const char* table : {"tcp", "tcp6"}) {
    const auto text = ReadFile(proc_net / table);
    if (!text.ok()) continue;
    for (const std::string_view line : Split(text.value(), '\n')) {
      const auto at = line.find(wanted);
      const auto colon = line.find(": ");
      if (at == std::string_view::npos || colon == std::string_view::npos) continue;
      const auto end_of_local = line.find(' ', colon + 2);
      if (at + wanted.size() != end_of_local) continue;
      const auto state = line.find(' ', end_of_local + 1);
      if (state != std::string_view::npos && line.substr(state + 1).starts_with("0A")) return false;
    }
  }
  return true;
}

}  // namespace cml::backends::local
