// net/connection.h — one client's connection: a coroutine that reads requests and writes answers;
// private to net.
//
// Everything runs on its loop's thread, but for what is handed to a worker; while a worker has the
// request, the answer, the sink or the source, the loop's thread leaves them alone. Kept alive by
// its own coroutine and by jobs under way.
//
//   (TLS handshake ─▶)
//   head ─▶ body (kept, or piece by piece into a sink) ─▶ handler ─▶ answer ─▶ head …
//     └────────┴──────── fault, time limit ────────────────▶ answer ─▶ linger ─▶ closed
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "net/body_decoder.h"
#include "net/event_loop.h"
#include "net/input_buffer.h"
#include "net/request_head.h"
#include "net/tls_session.h"

namespace cml::net {

// In a catch block: the text of what was thrown, for the log.
std::string WhatWasThrown();

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(EventLoop& loop, Socket socket, const asio::ip::address& peer, PeerCount::Place place);
  ~Connection();

  // One 503: no room at all. One 429: too many of this address.
  enum class Purpose { kServe, kNoRoom, kTooManyOfPeer };
  static void Start(std::shared_ptr<Connection> self, Purpose purpose);

  TimePoint deadline() const { return deadline_; }
  void Expire();                       // the deadline has passed
  bool idle() const { return idle_; }  // nothing is lost by closing it
  TimePoint waits_since() const { return waits_since_; }
  void CloseIfIdle();
  void Cut();

  std::size_t index = 0;  // in the loop's list

 private:
  enum class After { kNextRequest, kLinger, kClose };
  enum class Take { kHead, kNeedsMore, kFault };

  // A way for any thread to end the waiting of a stream. Outlives the connection.
  struct Waker {
    explicit Waker(Connection* c) : connection(c) {}
    std::mutex mutex;
    Connection* connection;  // null: nobody waits any more
    bool posted = false;
  };
  struct Detach {
    Waker& waker;
    ~Detach() {
      const std::lock_guard lock(waker.mutex);
      waker.connection = nullptr;
    }
  };

  static Task<void> Run(std::shared_ptr<Connection> self, Purpose purpose);
  void Ended();

  // ---- connection.cc
  Take TakeHead();
  bool SwallowStray();
  bool FindRoute() noexcept;
  Task<After> ServeOne();
  Task<After> Answer();  // response_ to request_
  Task<After> Refuse(int status, std::string_view message);
  After AfterAnswer() const;
  bool WantsBody(const Response& response) const;

  // ---- connection_io.cc
  Task<After> Greet();  // the TLS handshake
  // As one read of the socket. Apart, so that plain HTTP does not pay for it.
  Task<std::size_t> TlsRead(InputBuffer::Space room);  // 0: end, error, or time over
  Task<bool> Wait(TlsSession::Io what);                // false: time over, or the client is gone
  std::size_t ReadNow(InputBuffer::Space room, ErrorCode& ec);  // never waits
  std::size_t WriteNow(std::string_view bytes, ErrorCode& ec);  // never waits
  Task<bool> Write(std::string_view bytes);                     // false: the client is gone
  Task<void> DrainInput();

  // ---- connection_body.cc
  Task<std::size_t> ReadSome(std::size_t least);  // 0: end, error, or time over
  Task<std::optional<After>> ReadBody();          // nullopt: body complete
  // Then co_await WorkerDone(). Apart, because GCC 12 destroys some temporaries of an operand of
  // co_await twice; for the same reason no operand here has a temporary with a destructor.
  bool HandOver(std::function<void()> work);  // false: no thread
  Task<void> WorkerDone();
  void DropOnWorker(std::shared_ptr<void> thing);
  void Invoke() noexcept;
  void CallSink(std::string_view piece, bool complete) noexcept;

  // ---- connection_stream.cc
  Task<After> Stream();
  void CallSource(const std::shared_ptr<Waker>& first_call) noexcept;
  Task<void> WaitForSource(std::chrono::milliseconds most);
  Task<void> UnwatchPeer();
  void WatchPeer();
  bool TakeWhatThereIs();  // false: the client is gone
  Task<bool> SendPiece(BodySource::Piece& piece, BodyFraming framing);

  // A byte now and then is no progress: beyond the first `silence`, a body has to move at
  // options_.least_rate on average.
  std::chrono::milliseconds TimeLeft(std::chrono::milliseconds silence, std::uint64_t moved,
                                     std::chrono::milliseconds passed) const;
  void SetDeadline(std::chrono::milliseconds from_now) {
    expired_ = false;
    waits_since_ = std::chrono::steady_clock::now();
    deadline_ = waits_since_ + from_now;
    loop_.Watch(deadline_);
  }
  void ClearDeadline() { deadline_ = TimePoint::max(); }

  EventLoop& loop_;
  const ServerOptions& options_;
  Socket socket_;
  std::unique_ptr<TlsSession> tls_;  // null: plain HTTP
  const PeerCount::Place place_;
  Timer signal_;  // what the coroutine waits on for a worker or a source
  TimePoint deadline_ = TimePoint::max();
  TimePoint waits_since_{};  // when the deadline was set
  InputBuffer in_;
  std::string out_;
  std::string peer_, client_subject_;

  bool idle_ = false;  // waiting for the first byte of a request, or in a handshake
  bool expired_ = false;
  bool cut_ = false;
  bool worker_done_ = false;
  bool stray_may_follow_ = false;  // the last head had no framing header
  bool head_begun_ = false;        // its time limit is running
  bool peer_gone_ = false;
  bool watching_ = false;  // WatchPeer's wait is pending
  bool woken_ = false;

  HeadScanner scanner_;
  HeadFault fault_;
  RequestHead head_;
  Route route_;
  Response response_;
  BodyDecoder body_;
  std::uint64_t body_bytes_ = 0;  // read of this body, framing included
  std::chrono::steady_clock::duration body_waited_{};
  std::string request_id_;
  bool is_head_ = false;  // the method, not the part
  bool keep_alive_ = true;
  bool sink_failed_ = false;
  std::optional<Result<BodySource::Piece>> piece_;
};

}  // namespace cml::net
