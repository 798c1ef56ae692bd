// net/http_server.h — HTTP/1.1 with keep-alive on Asio coroutines.
//
// Threads: `io_threads` run the event loops, `workers` (made when needed) run handlers. Start
// returns when the port is open. Drain stops accepting, finishes what is under way within the given
// time, then cuts. The destructor drains with no time.
//
// What it bears: slow and silent clients (time limits for the head, for the body's progress and for
// keep-alive), too many connections (the longest idle
// one is closed; where none is idle: 503 and close; 429 for one address that has too many), heads
// and bodies over their limits (431, 413), broken framing (400 and close; a request with both
// Content-Length and Transfer-Encoding is broken framing), clients that go away; and the stray
// "0\r\n\r\n" that old clients send after a GET without a body (cloud_ml v1, 13.1): those bytes are
// swallowed, and drained before a close. A connection costs a descriptor: the soft limit of open
// files should be well above most_connections. Where descriptors run out, accepting pauses and goes
// on by itself.
//
// With TLS (options.tls): certificates are loaded anew when their files change; connections under
// way keep what they began with. A client that speaks plain HTTP is answered so with a 400. A
// handshake has head_time.
//
// Errors the server makes itself are {"error": true, "message": …} and always end the connection,
// but for the 500 of a handler that threw. Every answer carries X-Request-Id.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/http.h"
#include "net/tls_options.h"

namespace cml::net {

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one; see HttpServer::port()
  unsigned io_threads = 2;
  unsigned workers = 96;  // at most
  std::size_t most_connections = 4096;
  std::size_t most_per_address = 1024;  // connections; IPv6: per /64; 0: no limit
  std::size_t most_head = 32 * 1024;
  std::chrono::milliseconds head_time{10'000};  // from the first byte to the end of the head
  // Without a byte of the body; beyond it, least_rate on average at least.
  std::chrono::milliseconds body_progress_time{30'000};
  std::chrono::milliseconds idle_time{75'000};  // between requests
  // Without the client taking a byte; beyond it, least_rate on average at least.
  std::chrono::milliseconds write_time{60'000};
  std::uint64_t least_rate = 1024;                 // bytes a second, of a body in either direction
  std::optional<TlsOptions> tls = std::nullopt;    // none: plain HTTP
  std::chrono::milliseconds tls_look_time{1'000};  // between two looks at the certificate's files
};

struct ServerCounters {
  std::uint64_t connections_open = 0, connections_total = 0, connections_refused = 0;
  std::uint64_t tls_failed = 0;  // handshakes
  std::uint64_t requests_total = 0;
  std::map<int, std::uint64_t> answers_by_status;
};

class HttpServer {
 public:
  // kUnavailable when the address cannot be bound; the message says by whom or why.
  // kInvalidArgument: TLS files that cannot be used.
  static Result<std::unique_ptr<HttpServer>> Start(ServerOptions options, Router router);
  virtual ~HttpServer() = default;

  virtual std::uint16_t port() const = 0;
  virtual ServerCounters counters() const = 0;
  // Loads the certificate anew now. An error leaves the old one in use. OK without TLS.
  virtual Status ReloadTls() = 0;
  virtual void Drain(std::chrono::milliseconds most) = 0;
};

}  // namespace cml::net
