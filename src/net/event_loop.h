// net/event_loop.h — one thread with an io_context, its connections, and the one timer that watches
// all their deadlines; private to net.
//
// Everything but the constructor, Stop and post-ing to `io` belongs to the loop's own thread. With
// no connection there is nothing pending: the thread sleeps for good.
#pragma once
#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/http_server.h"
#include "net/peer_count.h"
#include "net/response_head.h"
#include "net/tls_context.h"
#include "net/worker_pool.h"

namespace cml::net {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

// The executor's type is spelt out: type-erased ones cost a few percent of every request.
using Executor = asio::io_context::executor_type;
template <class T>
using Task = asio::awaitable<T, Executor>;
inline constexpr asio::use_awaitable_t<Executor> kUseTask{};
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using TimePoint = std::chrono::steady_clock::time_point;

class Connection;

// What all loops of a server share. Thread-safe.
struct ServerShared {
  ServerShared(ServerOptions o, Router r)
      : options(std::move(o)),
        router(std::move(r)),
        pool(options.workers),
        peers(options.most_per_address) {}
  const ServerOptions options;
  const Router router;
  WorkerPool pool;
  PeerCount peers;
  std::unique_ptr<TlsKeeper> tls;  // null: plain HTTP
  std::atomic<bool> draining{false};
  std::atomic<std::uint64_t> connections_total{0}, connections_refused{0}, tls_failed{0};

  void ConnectionOpened() { open.fetch_add(1); }
  void ConnectionClosed();
  std::atomic<std::uint64_t> open{0};
  std::mutex mutex;
  std::condition_variable all_closed;  // with `mutex`: open became 0
};

class EventLoop {
 public:
  explicit EventLoop(ServerShared& server);
  ~EventLoop();  // after Stop
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Run();   // starts the thread
  void Stop();  // ends and joins it

  void Add(Connection& c);
  void Remove(Connection& c);
  // Sees to it that the deadline's connection is looked at soon after `t`.
  void Watch(TimePoint t) {
    if (t < armed_) Arm(t);
  }
  void CloseIdle();         // connections between two requests
  bool CloseLongestIdle();  // to make room for another; false: none has been idle for a while
  void CutAll();
  std::string NewRequestId();
  void CountAnswer(int status);

  ServerShared& server;
  asio::io_context io{1};
  DateCache date;
  std::atomic<std::uint64_t> requests{0};
  std::array<std::atomic<std::uint64_t>, 500> answers{};  // by status, from 100 on
  unsigned refusing = 0;                                  // connections that only get a 503

 private:
  void Arm(TimePoint t);
  void Tick();

  asio::executor_work_guard<Executor> work_{io.get_executor()};
  Timer ticker_{io.get_executor()};
  TimePoint armed_ = TimePoint::max();
  std::chrono::steady_clock::duration grain_;  // deadlines may pass by this much
  std::vector<Connection*> connections_;
  std::string id_prefix_;
  std::uint64_t next_id_ = 0;
  std::jthread thread_;
};

}  // namespace cml::net
