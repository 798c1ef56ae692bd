#include "net/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <exception>
#include <utility>

#include "base/log.h"

namespace cml::net {
namespace {

constexpr std::size_t kCopied = 32 * 1024;   // bodies up to here go out in one write with the head
constexpr std::size_t kMostKept = 8 * 1024;  // of the output buffer, between requests

}  // namespace

Connection::Connection(EventLoop& loop, Socket socket, const asio::ip::address& peer,
                       PeerCount::Place place)
    : loop_(loop),
      options_(loop.server.options),
      socket_(std::move(socket)),
      place_(std::move(place)),
      signal_(loop.io.get_executor()),
      peer_(peer.to_string()) {
  loop_.server.ConnectionOpened();
}

Connection::~Connection() { loop_.server.ConnectionClosed(); }

void Connection::Start(std::shared_ptr<Connection> self, Purpose purpose) {
  EventLoop& loop = self->loop_;
  loop.Add(*self);
  if (purpose != Purpose::kServe) ++loop.refusing;
  ErrorCode ec;
  self->socket_.non_blocking(true, ec);
  self->socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  if (loop.server.tls) {
    self->tls_ = std::make_unique<TlsSession>(loop.server.tls->current().get(), self->socket_);
  }
  asio::co_spawn(loop.io.get_executor(), Run(self, purpose),
                 [self, purpose](const std::exception_ptr& e) {
                   if (e) LogError("connection ended by an exception", {{"peer", self->peer_}});
                   if (purpose != Purpose::kServe) --self->loop_.refusing;
                   self->Ended();
                 });
}

Task<void> Connection::Run(std::shared_ptr<Connection> self, Purpose purpose) {
  After after = After::kNextRequest;
  if (purpose != Purpose::kServe) self->loop_.server.connections_refused.fetch_add(1);
  if (self->tls_) after = co_await self->Greet();
  if (after == After::kNextRequest && purpose != Purpose::kServe) {
    const bool full = purpose == Purpose::kNoRoom;
    after = co_await self->Refuse(full ? 503 : 429,
                                  full ? "too many connections, try again"
                                       : "too many connections from this address, close some");
  }
  while (after == After::kNextRequest && !self->cut_) after = co_await self->ServeOne();
  if (after == After::kLinger && !self->cut_) co_await self->DrainInput();
}

void Connection::Ended() {
  ClearDeadline();
  if (tls_) tls_->SayGoodbye();
  loop_.Remove(*this);
  ErrorCode ignored;
  socket_.close(ignored);
}

void Connection::Expire() {
  ClearDeadline();
  expired_ = true;
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void Connection::CloseIfIdle() {
  if (idle_) Cut();
}

void Connection::Cut() {
  cut_ = true;
  ErrorCode ignored;
  socket_.close(ignored);
  signal_.cancel();
}

// Bytes before a request that mean nothing. True: wait for more of them.
bool Connection::SwallowStray() {
  if (stray_may_follow_) {
    switch (LooksStray(in_.view())) {
      case Stray::kYes:
        in_.Consume(kStrayChunk.size());
        stray_may_follow_ = false;
        break;
      case Stray::kPerhaps:
        return true;
      case Stray::kNo:
        break;
    }
  }
  // An empty line before a request is ignored (RFC 9112, section 2.2).
  while (in_.size() >= 2 && in_.view().substr(0, 2) == "\r\n") in_.Consume(2);
  return in_.view() == "\r";
}

Connection::Take Connection::TakeHead() {
  if (!head_begun_ && (SwallowStray() || in_.empty())) return Take::kNeedsMore;
  head_begun_ = true;
  const HeadScanner::Found found = scanner_.Scan(in_.view());
  if (found.fault) {
    fault_ = *found.fault;
    return Take::kFault;
  }
  if (found.length > options_.most_head ||
      (found.length == 0 && in_.size() >= options_.most_head)) {
    fault_ = scanner_.past_first_line() ? HeadFault{431, "the request's head is too large"}
                                        : HeadFault{414, "the request target is too long"};
    return Take::kFault;
  }
  if (found.length == 0) return Take::kNeedsMore;
  const std::optional<HeadFault> fault = ParseHead(in_.view().substr(0, found.length), head_);
  is_head_ = head_.request.method == "HEAD";
  request_id_ = head_.request.id;
  if (fault) {
    fault_ = *fault;
    return Take::kFault;
  }
  in_.Consume(found.length);
  return Take::kHead;
}

Task<Connection::After> Connection::ServeOne() {
  scanner_.Reset();
  head_ = RequestHead();
  request_id_.clear();
  is_head_ = false;
  keep_alive_ = false;  // until the whole request has been read
  head_begun_ = false;
  in_.Shrink();
  Take take = Take::kNeedsMore;
  bool timed = false;
  SetDeadline(options_.idle_time);
  while ((take = TakeHead()) == Take::kNeedsMore) {
    idle_ = in_.empty();
    if (idle_ && loop_.server.draining.load(std::memory_order_relaxed)) co_return After::kClose;
    const InputBuffer::Space room = in_.Room(1024);
    ErrorCode ec;
    std::size_t n = 0;
    if (tls_) {
      n = co_await TlsRead(room);
      if (n == 0) ec = asio::error::eof;
    } else {
      n = co_await socket_.async_read_some(asio::buffer(room.data, room.size),
                                           asio::redirect_error(kUseTask, ec));
    }
    idle_ = false;
    if (ec || expired_) {
      if (expired_ && head_begun_ && !cut_) {
        co_return co_await Refuse(408, "the request's head took too long");
      }
      co_return After::kClose;
    }
    in_.Commit(n);
    if (!timed) SetDeadline(options_.head_time);  // from the first byte on
    timed = true;
  }
  ClearDeadline();
  if (take == Take::kFault) co_return co_await Refuse(fault_.status, fault_.message);

  loop_.requests.store(loop_.requests.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  stray_may_follow_ = head_.framing == Framing::kNone;
  Request& request = head_.request;
  request.peer = peer_;
  request.client_subject = client_subject_;
  if (request.id.empty()) request_id_ = request.id = loop_.NewRequestId();
  body_ = BodyDecoder(head_.framing, head_.content_length);
  if (!FindRoute()) {
    const std::string message = "internal error; request " + request_id_;
    co_return co_await Refuse(500, message);
  }
  if (head_.framing == Framing::kLength && head_.content_length > route_.most_body) {
    co_return co_await Refuse(413, "the body is larger than this route takes");
  }
  if (!body_.done() || route_.sink) {
    if (auto over = co_await ReadBody()) co_return *over;
  } else {
    keep_alive_ = head_.keep_alive;
  }
  if (!route_.sink) {
    if (route_.where == Route::Where::kEventLoop) {
      Invoke();
    } else if (HandOver([this] { Invoke(); })) {
      co_await WorkerDone();
    } else {
      co_return co_await Refuse(503, "no thread is free to answer");
    }
  }
  co_return co_await Answer();
}

bool Connection::FindRoute() noexcept {
  try {
    route_ = loop_.server.router(head_.request);
    return true;
  } catch (...) {
    LogError("router failed", {{"request", request_id_}, {"what", WhatWasThrown()}});
    return false;
  }
}

Task<Connection::After> Connection::Refuse(int status, std::string_view message) {
  response_ = ErrorResponse(status, message);
  keep_alive_ = false;
  if (request_id_.empty()) request_id_ = loop_.NewRequestId();
  co_return co_await Answer();
}

Connection::After Connection::AfterAnswer() const {
  return keep_alive_ ? After::kNextRequest : After::kLinger;
}

bool Connection::WantsBody(const Response& response) const {
  return !is_head_ && response.status != 204 && response.status != 304 && response.status >= 200;
}

Task<Connection::After> Connection::Answer() {
  if (route_.sink) DropOnWorker(std::move(route_.sink));
  route_ = Route();
  if (cut_) co_return After::kClose;
  if (loop_.server.draining.load(std::memory_order_relaxed)) keep_alive_ = false;
  if (response_.source && WantsBody(response_)) co_return co_await Stream();
  loop_.CountAnswer(response_.status);

  HeadFrame frame{.length = response_.length.value_or(response_.body.size()),
                  .keep_alive = keep_alive_,
                  .http_1_0 = head_.http_1_0,
                  .date = loop_.date.Now(),
                  .request_id = request_id_};
  if (!WantsBody(response_)) {
    if (!is_head_) frame.framing = BodyFraming::kNone;
    if (is_head_ && response_.source && !response_.length) frame.framing = BodyFraming::kNone;
    response_.body.clear();
    if (response_.source) DropOnWorker(std::move(response_.source));
  } else {
    frame.length = response_.body.size();
  }
  out_.clear();
  AppendHead(response_, frame, out_);
  const bool together = response_.body.size() <= kCopied;
  if (together) out_ += response_.body;
  // Nearly always the kernel takes it all at once: no need to suspend.
  ErrorCode ec;
  const std::size_t sent = WriteNow(out_, ec);
  if (ec && ec != asio::error::would_block) co_return After::kClose;
  if (sent < out_.size() && !co_await Write(std::string_view(out_).substr(sent))) {
    co_return After::kClose;
  }
  if (!together && !co_await Write(response_.body)) co_return After::kClose;
  response_ = Response();  // an idle connection keeps no bodies
  if (out_.capacity() > kMostKept) out_ = std::string();
  co_return AfterAnswer();
}

}  // namespace cml::net
