// Bytes in and out: the socket's own, or those of TLS on it.
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <utility>

#include "base/log.h"
#include "net/connection.h"

namespace cml::net {
namespace {

// A client that is still sending when its answer is ready may send this much more, for this long,
// before the connection is reset: enough to let it read why.
constexpr std::uint64_t kMostLinger = 64ULL << 20;
constexpr std::chrono::milliseconds kLingerTime{5'000};
constexpr std::chrono::milliseconds kLingerSilence{1'500};
constexpr std::uint64_t kMostCounted = 1ULL << 40;

}  // namespace

std::chrono::milliseconds Connection::TimeLeft(std::chrono::milliseconds silence,
                                               std::uint64_t moved,
                                               std::chrono::milliseconds passed) const {
  using std::chrono::milliseconds;
  if (options_.least_rate == 0) return silence;
  const milliseconds earned(std::min(moved, kMostCounted) * 1000 / options_.least_rate);
  return std::clamp(silence + earned - passed, std::min(milliseconds(1), silence), silence);
}

Task<bool> Connection::Wait(TlsSession::Io what) {
  const auto event = what == TlsSession::Io::kWantWrite ? Socket::wait_write : Socket::wait_read;
  ErrorCode ec;
  co_await socket_.async_wait(event, asio::redirect_error(kUseTask, ec));
  co_return !ec && !cut_ && !expired_;
}

Task<Connection::After> Connection::Greet() {
  using Io = TlsSession::Io;
  using Opening = TlsSession::Opening;
  idle_ = true;
  SetDeadline(options_.head_time);
  Opening opening = Opening::kNothingYet;
  bool waiting = true;
  while (waiting && (opening = tls_->Look()) == Opening::kNothingYet) {
    waiting = co_await Wait(Io::kWantRead);
  }
  Io io = Io::kClosed;
  while (waiting && opening == Opening::kTls) {
    io = tls_->Handshake();
    if (io == Io::kDone || io == Io::kClosed) break;
    waiting = co_await Wait(io);
  }
  idle_ = false;
  ClearDeadline();
  if (io == Io::kDone && waiting) {
    client_subject_ = tls_->ClientSubject();
    co_return After::kNextRequest;
  }
  loop_.server.tls_failed.fetch_add(1, std::memory_order_relaxed);
  if (!waiting) co_return After::kClose;
  if (opening == Opening::kPlainText) {
    tls_.reset();
    co_return co_await Refuse(400, "this port speaks TLS: use https:// instead of http://");
  }
  Log(LogLevel::kDebug, "TLS handshake failed", {{"peer", peer_}, {"why", tls_->failure()}});
  co_return After::kLinger;  // its alert says why
}

Task<std::size_t> Connection::TlsRead(InputBuffer::Space room) {
  while (true) {
    const TlsSession::Step step = tls_->Read(room.data, room.size);
    switch (step.io) {
      case TlsSession::Io::kDone:
        co_return step.n;
      case TlsSession::Io::kClosed:
        co_return 0;
      case TlsSession::Io::kWantRead:
      case TlsSession::Io::kWantWrite:
        break;
    }
    if (!co_await Wait(step.io)) co_return 0;
  }
}

std::size_t Connection::ReadNow(InputBuffer::Space room, ErrorCode& ec) {
  if (!tls_) return socket_.read_some(asio::buffer(room.data, room.size), ec);
  const TlsSession::Step step = tls_->Read(room.data, room.size);
  ec = step.io == TlsSession::Io::kDone     ? ErrorCode()
       : step.io == TlsSession::Io::kClosed ? asio::error::eof
                                            : ErrorCode(asio::error::would_block);
  return step.n;
}

std::size_t Connection::WriteNow(std::string_view bytes, ErrorCode& ec) {
  if (!tls_) return socket_.write_some(asio::buffer(bytes.data(), bytes.size()), ec);
  const TlsSession::Step step = tls_->Write(bytes);
  ec = step.io == TlsSession::Io::kClosed ? ErrorCode(asio::error::broken_pipe) : ErrorCode();
  return step.n;
}

Task<bool> Connection::Write(std::string_view bytes) {
  using std::chrono::milliseconds;
  TimePoint begin{};
  std::uint64_t taken = 0;
  while (!bytes.empty()) {
    milliseconds passed{0};
    if (taken > 0) {
      passed = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
    }
    SetDeadline(TimeLeft(options_.write_time, taken, passed));
    if (taken == 0) begin = waits_since_;
    std::size_t n = 0;
    if (tls_) {
      const TlsSession::Step step = tls_->Write(bytes);
      n = step.n;
      if (step.io == TlsSession::Io::kClosed) co_return false;
      if (step.io != TlsSession::Io::kDone && !co_await Wait(step.io)) co_return false;
    } else {
      ErrorCode ec;
      n = co_await socket_.async_write_some(asio::buffer(bytes.data(), bytes.size()),
                                            asio::redirect_error(kUseTask, ec));
      if (ec || cut_ || expired_) co_return false;
    }
    bytes.remove_prefix(n);
    taken += n;
  }
  ClearDeadline();
  co_return true;
}

// Closing a socket with unread bytes resets the connection, and the reset can overtake the answer:
// say that we are done, then read until the client has closed too. What comes is not looked at, so
// it may as well stay encrypted.
Task<void> Connection::DrainInput() {
  if (tls_) tls_->SayGoodbye();
  ErrorCode ec;
  socket_.shutdown(Socket::shutdown_send, ec);
  if (ec) co_return;
  expired_ = false;
  in_.Consume(in_.size());
  const TimePoint end = std::chrono::steady_clock::now() + kLingerTime;
  std::uint64_t drained = 0;
  while (drained < kMostLinger && std::chrono::steady_clock::now() < end) {
    SetDeadline(std::min(kLingerSilence, options_.idle_time));
    const InputBuffer::Space room = in_.Room(16 * 1024);
    const std::size_t n = co_await socket_.async_read_some(asio::buffer(room.data, room.size),
                                                           asio::redirect_error(kUseTask, ec));
    if (ec || expired_ || cut_) break;
    drained += n;
  }
}

}  // namespace cml::net
