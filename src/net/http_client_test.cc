#include "net/http_client.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <utility>

#include "base/file.h"
#include "net/http_server.h"
#include "net/testing/raw_client.h"

namespace cml::net {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class Hello final : public BodySource {
 public:
  Result<Piece> Next() override {
    if (++asked_ > 1000) return Piece{"", true, 0ms};
    return Piece{std::string(1000, 'p'), false, 0ms};
  }

 private:
  int asked_ = 0;
};

Route TestRoute(const Request& head) {
  Route route;
  route.most_body = 64 << 20;
  if (head.path == "/never") {
    route.handle = [](Request) {
      Response r;
      r.source = std::make_unique<Hello>();
      r.length = 5'000'000;  // more than comes
      return r;
    };
  } else if (head.path == "/stream") {
    route.handle = [](Request) {
      Response r;
      r.source = std::make_unique<Hello>();
      return r;
    };
  } else if (head.path == "/redirect") {
    route.handle = [](Request) {
      Response r;
      r.status = 302;
      r.headers.Add("Location", "/echo");
      return r;
    };
  } else {
    route.handle = [](Request q) {
      Response r;
      r.status = q.path == "/missing" ? 404 : 200;
      r.headers.Add("X-Method", q.method);
      r.headers.Add("X-Target", q.target);
      r.headers.Add("X-Type", q.headers.Has("Content-Type")
                                  ? std::string(q.headers.Get("Content-Type"))
                                  : "none");
      r.headers.Add("X-Expect", q.headers.Has("Expect") ? "yes" : "no");
      r.headers.Add("X-Mine", std::string(q.headers.Get("X-Sent")));
      r.body = q.body;
      return r;
    };
  }
  return route;
}

class HttpClientTest : public ::testing::Test {
 protected:
  HttpClientTest() : server_(std::move(HttpServer::Start({}, TestRoute)).value()) {}
  std::string Url(const std::string& target) const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + target;
  }
  ClientResponse Send(ClientRequest request) {
    auto answer = client_.Send(request);
    EXPECT_TRUE(answer.ok()) << (answer.ok() ? "" : answer.error().message());
    return answer.ok() ? std::move(answer).value() : ClientResponse{};
  }
  std::unique_ptr<HttpServer> server_;
  HttpClient client_;
};

TEST_F(HttpClientTest, SendsEveryMethodAsWrittenOnOneConnection) {
  for (const std::string method : {"GET", "DELETE", "POST", "PUT", "PATCH"}) {
    for (const std::string body : {"", "{\"a\": 1}"}) {
      const auto r = Send({.method = method, .url = Url("//a/../b%2f?x=1?y"), .body = body});
      EXPECT_EQ(r.status, 200);
      EXPECT_EQ(r.headers.Get("x-method"), method);
      EXPECT_EQ(r.headers.Get("x-target"), "//a/../b%2f?x=1?y");
      EXPECT_EQ(r.headers.Get("x-type"), "none");
      EXPECT_EQ(r.headers.Get("x-expect"), "no");
      EXPECT_EQ(r.body, body);
    }
  }
  EXPECT_EQ(Send({.method = "HEAD", .url = Url("/x")}).headers.Get("x-method"), "HEAD");
  EXPECT_EQ(server_->counters().connections_total, 1U);
}

TEST_F(HttpClientTest, PassesHeadersAndStatusOn) {
  ClientRequest q{.url = Url("/missing")};
  q.headers.Add("X-Sent", "hello");
  q.headers.Add("Content-Type", "text/x");
  const auto r = Send(q);
  EXPECT_EQ(r.status, 404);
  EXPECT_EQ(r.headers.Get("x-mine"), "hello");
  EXPECT_EQ(r.headers.Get("x-type"), "text/x");
  ClientRequest evil{.url = Url("/")};
  evil.headers.Add("X", "a\r\nY: b");
  EXPECT_EQ(client_.Send(evil).error().code(), Code::kInvalidArgument);
}

TEST_F(HttpClientTest, UploadsPartsOfFiles) {
  const TempFolder folder;
  const auto path = folder.path() / "part";
  std::string bytes;
  for (int i = 0; bytes.size() < 3'000'000; ++i) bytes += std::to_string(i);
  std::ofstream(path) << bytes;
  std::uint64_t last = 0, total = 0;
  const auto all =
      Send({.method = "PUT",
            .url = Url("/"),
            .upload = path,
            .on_upload = [&](std::uint64_t d, std::uint64_t t) { last = d, total = t; }});
  EXPECT_EQ(all.body, bytes);
  EXPECT_EQ(last, bytes.size());
  EXPECT_EQ(total, bytes.size());
  EXPECT_EQ(Send({.method = "PUT",
                  .url = Url("/"),
                  .upload = path,
                  .upload_offset = 1000,
                  .upload_length = 777})
                .body,
            bytes.substr(1000, 777));
  EXPECT_EQ(Send({.method = "PUT", .url = Url("/"), .upload = path, .upload_offset = 1000}).body,
            bytes.substr(1000));
  EXPECT_EQ(
      client_
          .Send(
              {.method = "PUT", .url = Url("/"), .upload = path, .upload_offset = bytes.size() + 1})
          .error()
          .code(),
      Code::kInvalidArgument);
  EXPECT_EQ(client_.Send({.method = "PUT", .url = Url("/"), .upload = folder.path() / "none"})
                .error()
                .code(),
            Code::kNotFound);
}

TEST_F(HttpClientTest, HandsTheBodyOutPieceByPieceAndStopsWhenTold) {
  std::size_t seen = 0;
  const auto r = Send({.url = Url("/stream"), .on_body = [&](std::string_view p) {
                         seen += p.size();
                         return true;
                       }});
  EXPECT_EQ(seen, 1'000'000U);
  EXPECT_EQ(r.body, "");
  seen = 0;
  const auto cut = Send({.url = Url("/stream"), .on_body = [&](std::string_view p) {
                           seen += p.size();
                           return false;
                         }});
  EXPECT_EQ(cut.status, 200);
  EXPECT_LT(seen, 1'000'000U);
  EXPECT_EQ(Send({.url = Url("/echo")}).status, 200);  // usable after that
}

TEST_F(HttpClientTest, FollowsRedirectsOnlyWhenAsked) {
  EXPECT_EQ(Send({.url = Url("/redirect")}).status, 302);
  const auto r = Send({.url = Url("/redirect"), .most_redirects = 1});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.headers.Get("x-target"), "/echo");
  EXPECT_FALSE(r.headers.Has("location"));
}

TEST_F(HttpClientTest, TellsFailuresApart) {
  EXPECT_EQ(client_.Send({.url = Url("/never")}).error().code(), Code::kUnavailable);
  EXPECT_EQ(client_.Send({.url = "ftp://127.0.0.1/x"}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(client_.Send({.url = "file:///etc/passwd"}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(client_.Send({.url = "http://"}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(client_.Send({.method = "G T", .url = Url("/")}).error().code(),
            Code::kInvalidArgument);
  const std::string gone = Url("/secret?token=abc");
  server_.reset();
  const auto refused = client_.Send({.url = gone});
  EXPECT_EQ(refused.error().code(), Code::kUnavailable);
  EXPECT_THAT(refused.error().message(), Not(HasSubstr("token")));
}

TEST_F(HttpClientTest, KeepsItsDeadline) {
  auto silent = HttpServer::Start({}, [](const Request&) {
    Route route;
    class Silent final : public BodySource {
      Result<Piece> Next() override { return Piece{"", false, 60'000ms}; }
    };
    route.handle = [](Request) {
      Response r;
      r.source = std::make_unique<Silent>();
      return r;
    };
    return route;
  });
  ASSERT_TRUE(silent.ok());
  const auto server = std::move(silent).value();
  const auto late = client_.Send(
      {.url = "http://127.0.0.1:" + std::to_string(server->port()) + "/", .total_time = 50ms});
  EXPECT_EQ(late.error().code(), Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace cml::net
