// net/testing/test_server.h — a server with a few routes, and short ways to ask it, for net's
// tests.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "net/http_server.h"
#include "net/testing/raw_client.h"

namespace cml::net::testing {

inline Response Text(std::string body) {
  Response r;
  r.body = std::move(body);
  return r;
}

inline Route TestRoute(const Request& head) {
  Route route;
  if (head.path == "/loop") {
    route.where = Route::Where::kEventLoop;
    route.handle = [](Request) { return Text("loop"); };
  } else if (head.path == "/echo") {
    route.handle = [](Request r) { return Text(r.method + " " + r.target + " [" + r.body + "]"); };
  } else if (head.path == "/small") {
    route.most_body = 10;
    route.handle = [](Request r) { return Text(r.body); };
  } else if (head.path == "/throw") {
    route.handle = [](Request) -> Response { throw std::runtime_error("secret detail"); };
  } else if (head.path == "/headers") {
    route.handle = [](Request) {
      Response r = Text("x");
      r.headers.Add("X-Evil", "a\r\nSet-Cookie: b");
      r.headers.Add("Content-Length", "77");
      r.headers.Add("Connection", "upgrade");
      return r;
    };
  } else if (head.path == "/big") {
    route.handle = [](Request) { return Text(std::string(3 << 20, 'b')); };
  } else if (head.path == "/empty") {
    route.handle = [](Request) {
      Response r;
      r.status = 204;
      return r;
    };
  } else if (head.path == "/length") {
    route.handle = [](Request) {
      Response r;
      r.length = 12345;
      return r;
    };
  } else if (head.path == "/id") {
    route.handle = [](Request r) { return Text(r.id + " " + r.peer); };
  }
  return route;  // without a handler: a bug, to be answered by a 500
}

inline std::unique_ptr<HttpServer> Start(ServerOptions options = {}, Router router = TestRoute) {
  auto server = HttpServer::Start(std::move(options), std::move(router));
  EXPECT_TRUE(server.ok());
  return server.ok() ? std::move(server).value() : nullptr;
}

inline std::string Get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + more + "\r\n";
}

// Sends `bytes` on a new connection; all that comes back until the server closes.
inline std::string Ask(const HttpServer& server, const std::string& bytes) {
  RawClient client(server.port());
  EXPECT_TRUE(client.Send(bytes));
  const std::string all = client.ReadAll();
  EXPECT_FALSE(client.timed_out());
  EXPECT_FALSE(client.reset());
  return all;
}

inline std::size_t Count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++n;
  return n;
}

}  // namespace cml::net::testing
