// The body of a request, and the hand-over to workers.
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <exception>
#include <utility>

#include "base/log.h"
#include "net/connection.h"

namespace cml::net {
namespace {

constexpr std::size_t kSinkRead = 128 * 1024;
constexpr std::size_t kBodyRead = 16 * 1024;

}  // namespace

std::string WhatWasThrown() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "not an exception";
  }
}

Task<std::size_t> Connection::ReadSome(std::size_t least) {
  using std::chrono::milliseconds;
  const TimePoint begin = std::chrono::steady_clock::now();
  // The time that our own sinks take does not count.
  const auto waited = std::chrono::duration_cast<milliseconds>(body_waited_);
  SetDeadline(TimeLeft(options_.body_progress_time, body_bytes_, waited));
  const InputBuffer::Space room = in_.Room(least);
  ErrorCode ec;
  std::size_t n = 0;
  if (tls_) {
    n = co_await TlsRead(room);
    if (n == 0) ec = asio::error::eof;
  } else {
    n = co_await socket_.async_read_some(asio::buffer(room.data, room.size),
                                         asio::redirect_error(kUseTask, ec));
  }
  ClearDeadline();
  if (ec || cut_ || expired_) co_return 0;
  body_waited_ += std::chrono::steady_clock::now() - begin;
  body_bytes_ += n;
  in_.Commit(n);
  co_return n;
}

Task<std::optional<Connection::After>> Connection::ReadBody() {
  const bool to_sink = route_.sink != nullptr;
  std::uint64_t total = 0;
  std::string& body = head_.request.body;
  bool continue_due = head_.expects_continue && in_.empty() && !body_.done();
  sink_failed_ = false;
  body_bytes_ = 0;
  body_waited_ = {};
  while (true) {
    const BodyDecoder::Step step = body_.Decode(in_.data(), in_.size());
    total += step.produced;
    if (!step.fault.empty()) co_return co_await Refuse(400, step.fault);
    if (total > route_.most_body) {
      co_return co_await Refuse(413, "the body is larger than this route takes");
    }
    const std::string_view piece = in_.view().substr(0, step.produced);
    if (body_.done()) keep_alive_ = head_.keep_alive;
    in_.Consume(step.consumed);  // `piece` stays where it is until the next read
    if (!to_sink) {
      body.append(piece);
    } else if (!piece.empty() || body_.done()) {
      const bool complete = body_.done();
      if (!HandOver([this, piece, complete] { CallSink(piece, complete); })) {
        co_return co_await Refuse(503, "no thread is free to answer");
      }
      co_await WorkerDone();
      if (sink_failed_ || cut_) break;
    }
    if (body_.done()) break;
    if (continue_due) {
      continue_due = false;
      if (!co_await Write("HTTP/1.1 100 Continue\r\n\r\n")) co_return After::kClose;
    }
    if (co_await ReadSome(to_sink ? kSinkRead : kBodyRead) == 0) {
      if (!expired_ || cut_) {
        if (to_sink) DropOnWorker(std::move(route_.sink));
        co_return After::kClose;
      }
      co_return co_await Refuse(408, "the request's body took too long");
    }
  }
  if (to_sink) co_return co_await Answer();
  co_return std::nullopt;
}

void Connection::CallSink(std::string_view piece, bool complete) noexcept {
  try {
    if (!piece.empty()) {
      if (const Status status = route_.sink->Write(piece); !status.ok()) {
        sink_failed_ = true;
        response_ = route_.sink->Failed(status.error());
        return;
      }
    }
    if (complete) response_ = route_.sink->Finish();
  } catch (...) {
    LogError("upload failed", {{"request", request_id_}, {"what", WhatWasThrown()}});
    sink_failed_ = true;
    response_ = ErrorResponse(500, "internal error; request " + request_id_);
  }
}

void Connection::Invoke() noexcept {
  try {
    response_ = route_.handle(std::move(head_.request));
  } catch (...) {  // bad_function_call too: a route without a handler
    LogError("handler failed", {{"request", request_id_}, {"what", WhatWasThrown()}});
    response_ = ErrorResponse(500, "internal error; request " + request_id_);
  }
}

bool Connection::HandOver(std::function<void()> work) {
  worker_done_ = false;
  return loop_.server.pool.Submit([self = shared_from_this(), w = std::move(work)]() mutable {
    w();
    w = nullptr;
    // The last reference dies on the loop's thread, where the socket belongs.
    asio::io_context& io = self->loop_.io;
    asio::post(io, [s = std::move(self)] {
      s->worker_done_ = true;
      s->signal_.cancel();
    });
  });
}

Task<void> Connection::WorkerDone() {
  while (!worker_done_) {
    signal_.expires_at(TimePoint::max());
    ErrorCode ignored;
    co_await signal_.async_wait(asio::redirect_error(kUseTask, ignored));
  }
}

// Destructors of sinks and sources may block (temporary files).
void Connection::DropOnWorker(std::shared_ptr<void> thing) {
  if (thing) static_cast<void>(loop_.server.pool.Submit([t = std::move(thing)] {}));
}

}  // namespace cml::net
