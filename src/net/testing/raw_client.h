// net/testing/raw_client.h — a TCP client for tests that sends bytes exactly as written. Blocking;
// every wait ends after ten seconds.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"

namespace cml::net::testing {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  bool connected() const { return connected_; }
  int fd() const { return fd_.get(); }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void HalfClose() { ::shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Close(); }

  // All that comes until the server closes; a reset is told apart by reset().
  std::string ReadAll() {
    while (ReadSome()) {
    }
    return Take(buffer_.size());
  }
  // Through the first `mark`; what has come, when the connection ends before.
  std::string ReadThrough(std::string_view mark) {
    std::size_t at = std::string::npos;
    while ((at = buffer_.find(mark)) == std::string::npos && ReadSome()) {
    }
    return Take(at == std::string::npos ? buffer_.size() : at + mark.size());
  }
  std::string ReadExactly(std::size_t n) {
    while (buffer_.size() < n && ReadSome()) {
    }
    return Take(std::min(n, buffer_.size()));
  }
  // One answer with a Content-Length (or none: a head alone).
  std::string ReadAnswer() {
    std::string head = ReadThrough("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? head : head + ReadExactly(std::stoul(head.substr(at + 16)));
  }
  // Something (or the end) came within `most`.
  bool Readable(std::chrono::milliseconds most) {
    pollfd p{fd_.get(), POLLIN, 0};
    return !buffer_.empty() || ::poll(&p, 1, static_cast<int>(most.count())) == 1;
  }
  bool reset() const { return reset_; }
  bool timed_out() const { return timed_out_; }

 private:
  bool ReadSome() {
    pollfd p{fd_.get(), POLLIN, 0};
    if (::poll(&p, 1, 10'000) != 1) {
      timed_out_ = true;
      return false;
    }
    std::array<char, 65536> piece;
    const ssize_t n = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (n < 0) reset_ = true;
    if (n > 0) buffer_.append(piece.data(), static_cast<std::size_t>(n));
    return n > 0;
  }
  std::string Take(std::size_t n) {
    std::string out = buffer_.substr(0, n);
    buffer_.erase(0, n);
    return out;
  }

  Fd fd_;
  bool connected_ = false, reset_ = false, timed_out_ = false;
  std::string buffer_;
};

}  // namespace cml::net::testing
