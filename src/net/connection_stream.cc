// Answers that are made piece by piece.
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <charconv>
#include <exception>
#include <utility>

#include "base/log.h"
#include "net/connection.h"

namespace cml::net {
namespace {

constexpr std::size_t kMostPipelined = 16 * 1024;   // read ahead while an answer is streamed
constexpr std::chrono::milliseconds kLeastWait{1};  // a source that forgets to say how long

}  // namespace

Task<Connection::After> Connection::Stream() {
  const auto waker = std::make_shared<Waker>(this);
  const Detach detach{*waker};  // however this ends
  const std::optional<std::uint64_t> length = response_.length;
  BodyFraming framing = BodyFraming::kLength;
  if (!length) {
    framing = head_.http_1_0 ? BodyFraming::kUntilClose : BodyFraming::kChunked;
    if (head_.http_1_0) keep_alive_ = false;
  }
  std::uint64_t left = length.value_or(0);
  After after = After::kClose;
  bool first = true;
  bool head_sent = false;
  peer_gone_ = woken_ = false;
  std::optional<Error> refused;
  while (true) {
    if (HandOver([this, waker, first] { CallSource(first ? waker : nullptr); })) {
      co_await WorkerDone();
    } else {
      piece_ = Error(Code::kUnavailable, "no thread is free to answer");
    }
    first = false;
    if (cut_) break;
    if (!piece_->ok()) {
      if (!head_sent) {
        refused = std::move(*piece_).error();
      } else {
        LogWarning("answer cut short",
                   {{"request", request_id_}, {"why", piece_->error().message()}});
      }
      break;
    }
    BodySource::Piece piece = std::move(*piece_).value();
    if (length && piece.bytes.size() > left) {
      LogError("answer longer than announced", {{"request", request_id_}});
      break;
    }
    left -= length ? piece.bytes.size() : 0;
    out_.clear();
    if (!head_sent) {
      loop_.CountAnswer(response_.status);
      AppendHead(response_,
                 {.framing = framing,
                  .length = left + piece.bytes.size(),
                  .keep_alive = keep_alive_,
                  .http_1_0 = head_.http_1_0,
                  .date = loop_.date.Now(),
                  .request_id = request_id_},
                 out_);
      head_sent = true;
    }
    if (!co_await SendPiece(piece, framing)) break;
    if (piece.last) {
      if (left == 0) after = AfterAnswer();
      break;
    }
    if (piece.bytes.empty()) {
      co_await WaitForSource(std::max(piece.wait, kLeastWait));
      if (peer_gone_ || cut_) break;
    }
  }
  piece_.reset();
  DropOnWorker(std::move(response_.source));
  co_await UnwatchPeer();
  if (refused && !cut_) {
    response_ = ErrorResponse(*refused);
    co_return co_await Answer();
  }
  co_return after;
}

// Sends what out_ holds already, and the piece behind it.
Task<bool> Connection::SendPiece(BodySource::Piece& piece, BodyFraming framing) {
  const bool chunked = framing == BodyFraming::kChunked;
  if (chunked && !piece.bytes.empty()) {
    std::array<char, 20> digits{};
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), piece.bytes.size(), 16).ptr;
    out_.append(digits.data(), end);
    out_ += "\r\n";
  }
  constexpr std::size_t kCopied = 32 * 1024;
  if (piece.bytes.size() > kCopied) {
    if (!out_.empty() && !co_await Write(out_)) co_return false;
    if (!co_await Write(piece.bytes)) co_return false;
    out_.clear();
  } else {
    out_ += piece.bytes;
  }
  if (chunked && !piece.bytes.empty()) out_ += "\r\n";
  if (chunked && piece.last) out_ += "0\r\n\r\n";
  co_return out_.empty() || co_await Write(out_);
}

void Connection::CallSource(const std::shared_ptr<Waker>& first_call) noexcept {
  try {
    if (first_call) {
      response_.source->OnReady([w = first_call] {
        const std::lock_guard lock(w->mutex);
        if (w->connection == nullptr || w->posted) return;
        w->posted = true;
        asio::post(w->connection->loop_.io, [self = w->connection->shared_from_this(), w] {
          {
            const std::lock_guard again(w->mutex);
            w->posted = false;
          }
          self->woken_ = true;
          self->signal_.cancel();
        });
      });
    }
    piece_ = response_.source->Next();
  } catch (...) {
    LogError("source failed", {{"request", request_id_}, {"what", WhatWasThrown()}});
    piece_ = Error(Code::kInternal, "internal error; request " + request_id_);
  }
}

Task<void> Connection::WaitForSource(std::chrono::milliseconds most) {
  WatchPeer();
  const TimePoint end = std::chrono::steady_clock::now() + most;
  while (!woken_ && !peer_gone_ && !cut_ && std::chrono::steady_clock::now() < end) {
    signal_.expires_at(end);
    ErrorCode ignored;
    co_await signal_.async_wait(asio::redirect_error(kUseTask, ignored));
  }
  woken_ = false;
}

// Learns that the client has gone while nothing is being written to it. What it sends meanwhile
// (the next request, or the stray chunk of old clients) is kept.
void Connection::WatchPeer() {
  if (watching_ || peer_gone_ || cut_ || in_.size() >= kMostPipelined) return;
  // What TLS holds already does not make the socket readable.
  if (tls_ && tls_->HasPending() && !TakeWhatThereIs()) return;
  watching_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](ErrorCode ec) {
    self->watching_ = false;
    if (ec) {
      self->signal_.cancel();
      return;
    }
    if (self->TakeWhatThereIs()) self->WatchPeer();
  });
}

bool Connection::TakeWhatThereIs() {
  do {
    const InputBuffer::Space room = in_.Room(1024);
    ErrorCode ec;
    const std::size_t n = ReadNow(room, ec);
    if (ec && ec != asio::error::would_block) {
      peer_gone_ = true;
      signal_.cancel();
      return false;
    }
    in_.Commit(n);
    if (n == 0) break;
  } while (tls_ && tls_->HasPending() && in_.size() < kMostPipelined);
  return true;
}

Task<void> Connection::UnwatchPeer() {
  if (!watching_) co_return;
  ErrorCode ignored;
  socket_.cancel(ignored);
  while (watching_) {
    signal_.expires_at(TimePoint::max());
    co_await signal_.async_wait(asio::redirect_error(kUseTask, ignored));
  }
}

}  // namespace cml::net
