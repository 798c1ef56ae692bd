// net/http_server.h — HTTP/1.1 with keep-alive on Asio coroutines.
//
// Threads: `io_threads` run the event loops, `workers` (made when needed) run handlers. Start
// returns when the port is open. Drain stops accepting, finishes what is under way within the given
// time, then cuts. The destructor drains with no time.
//
// What it bears: slow and silent clients (time limits for the head, for the body's progress and for
// keep-alive), too many connections (503 and close), heads and bodies over their limits (431, 413),
// broken framing (400 and close; a request with both Content-Length and Transfer-Encoding is
// broken framing), clients that go away; and the stray "0\r\n\r\n" that old clients send after a
// GET without a body (cloud_ml v1, 13.1): those bytes are swallowed, and drained before a close.
// A connection costs a descriptor: the soft limit of open files should be well above
// most_connections. Where descriptors run out, accepting pauses and goes on by itself.
//
// Errors the server makes itself are {"error": true, "message": …} and always end the connection,
// but for the 500 of a handler that threw. Every answer carries X-Request-Id.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/http.h"

namespace cml::net {

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                  // 0: any free one; see HttpServer::port()
  unsigned io_threads = 2;
  unsigned workers = 96;                   // at most
  std::size_t most_connections = 4096;
  std::size_t most_head = 32 * 1024;
  std::chrono::milliseconds head_time{10'000};       // from the first byte to the end of the head
  // Without a byte of the body; beyond it, 1 KiB/s on average at least.
  std::chrono::milliseconds body_progress_time{30'000};
  std::chrono::milliseconds idle_time{75'000};       // between requests
  std::chrono::milliseconds write_time{60'000};      // without the client taking a byte
};

struct ServerCounters {
  std::uint64_t connections_open = 0, connections_total = 0, connections_refused = 0;
  std::uint64_t requests_total = 0;
  std::map<int, std::uint64_t> answers_by_status;
};

class HttpServer {
 public:
  // kUnavailable when the address cannot be bound; the message says by whom or why.
  static Result<std::unique_ptr<HttpServer>> Start(ServerOptions options, Router router);
  virtual ~HttpServer() = default;

  virtual std::uint16_t port() const = 0;
  virtual ServerCounters counters() const = 0;
  virtual void Drain(std::chrono::milliseconds most) = 0;
};

}  // namespace cml::net
