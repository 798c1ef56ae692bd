// TLS of the server, asked by our own client. What other clients see: tests/functional/test_tls.py.
#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/testing/certificates.h"
#include "net/testing/test_server.h"

namespace cml::net {
namespace {

using testing::Ask;
using ::testing::EndsWith;
using testing::Get;
using ::testing::HasSubstr;
using testing::RawClient;
using testing::Start;
using ::testing::StartsWith;
using testing::TestAuthority;
using testing::TestRoute;
using testing::Text;
using namespace std::chrono_literals;
using ClientCertificates = TlsOptions::ClientCertificates;

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    authority_.WriteCertificate(At("ca.pem"));
    authority_.Issue("server", At("server.pem"), At("server.key"));
    clients_.WriteCertificate(At("clients.pem"));
    clients_.Issue("alice", At("alice.pem"), At("alice.key"));
    options_ = {.certificate = At("server.pem"), .key = At("server.key")};
  }

  std::filesystem::path At(const char* name) const { return folder_.path() / name; }

  std::unique_ptr<HttpServer> StartTls(Router router = TestRoute) {
    ServerOptions o;
    o.tls = options_;
    o.tls_look_time = 10ms;
    return Start(std::move(o), std::move(router));
  }
  std::string StartError() {
    ServerOptions o;
    o.tls = options_;
    const auto server = HttpServer::Start(std::move(o), TestRoute);
    if (server.ok()) return "";
    EXPECT_EQ(server.error().code(), Code::kInvalidArgument);
    return server.error().message();
  }

  ClientRequest To(const HttpServer& server, const std::string& path) const {
    ClientRequest r;
    r.url = "https://127.0.0.1:" + std::to_string(server.port()) + path;
    r.tls.ca = At("ca.pem");
    return r;
  }
  ClientRequest AsAlice(ClientRequest r) const {
    r.tls.certificate = At("alice.pem");
    r.tls.key = At("alice.key");
    return r;
  }
  static std::string Send(const ClientRequest& request) {
    HttpClient client;
    const auto sent = client.Send(request);
    return sent.ok() ? sent.value().body : "error: " + sent.error().message();
  }

  const TempFolder folder_;
  TestAuthority authority_{"authority"}, clients_{"authority of clients"};
  TlsOptions options_;
};

Route WhoRoute(const Request&) {
  Route route;
  route.handle = [](Request r) { return Text("[" + r.client_subject + "]"); };
  return route;
}

TEST_F(TlsTest, CarriesRequestsAndAnswersOfAllSizes) {
  const auto server = StartTls();
  HttpClient client;
  for (int i = 0; i < 3; ++i) {
    ClientRequest small = To(*server, "/echo");
    small.method = "POST";
    small.body = std::string(static_cast<std::size_t>(i) * 300'000, 'x');
    const auto sent = client.Send(small);
    ASSERT_TRUE(sent.ok()) << sent.error().message();
    EXPECT_EQ(sent.value().body, "POST /echo [" + small.body + "]");
    EXPECT_FALSE(sent.value().headers.Get("X-Request-Id").empty());
  }
  EXPECT_EQ(client.Send(To(*server, "/big")).value().body.size(), std::size_t{3} << 20);
  EXPECT_EQ(client.Send(To(*server, "/loop")).value().body, "loop");
  EXPECT_EQ(server->counters().connections_total, 1U);
  EXPECT_EQ(server->counters().tls_failed, 0U);
}

TEST_F(TlsTest, StreamsAndHearsThatTheClientHasGone) {
  struct Waits final : BodySource {
    explicit Waits(std::atomic<bool>& gone) : gone_(gone) {}
    ~Waits() override { gone_ = true; }
    Result<Piece> Next() override {
      Piece piece;
      if (!said_) piece.bytes = "first";
      if (said_) piece.wait = std::chrono::hours(1);
      said_ = true;
      return piece;
    }
    std::atomic<bool>& gone_;
    bool said_ = false;
  };
  std::atomic<bool> gone{false};
  const auto server = StartTls([&gone](const Request&) {
    Route route;
    route.handle = [&gone](Request) {
      Response r;
      r.source = std::make_unique<Waits>(gone);
      return r;
    };
    return route;
  });
  ClientRequest request = To(*server, "/");
  std::string seen;
  request.on_body = [&seen](std::string_view bytes) {
    seen += bytes;
    return false;
  };
  Send(request);  // the client's end closes the connection
  EXPECT_EQ(seen, "first");
  while (!gone) std::this_thread::yield();
}

TEST_F(TlsTest, PlainTextIsToldWhatToDo) {
  const auto server = StartTls();
  const std::string answer = Ask(*server, Get("/loop"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(answer,
              HasSubstr(R"({"error": true, "message": "this port speaks TLS: use https://)"));
  EXPECT_THAT(answer, HasSubstr("X-Request-Id: "));
  EXPECT_EQ(server->counters().tls_failed, 1U);
}

TEST_F(TlsTest, AHandshakeThatDoesNotEndIsCutAndADrainDoesNotWaitForIt) {
  ServerOptions o;
  o.tls = options_;
  o.head_time = 50ms;
  auto server = Start(std::move(o));
  EXPECT_EQ(Ask(*server, std::string("\x16\x03\x01\x02", 4)), "");
  EXPECT_EQ(Ask(*server, ""), "");
  server.reset();
  server = StartTls();
  RawClient half(server->port());
  half.Send(std::string("\x16\x03\x01\x02", 4));
  while (server->counters().connections_open == 0) std::this_thread::yield();
  server->Drain(10s);
  EXPECT_EQ(half.ReadAll(), "");
}

TEST_F(TlsTest, AnUntrustedServerIsSaidToBeSo) {
  const auto server = StartTls();
  ClientRequest request = To(*server, "/loop");
  request.tls.ca = At("clients.pem");
  HttpClient client;
  const auto sent = client.Send(request);
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code(), Code::kFailedPrecondition);
  EXPECT_THAT(sent.error().message(), HasSubstr("certificate is not trusted"));
  request.tls.ca = At("nothing.pem");
  EXPECT_EQ(client.Send(request).error().code(), Code::kInvalidArgument);
  const auto plain = Start();
  EXPECT_THAT(Send(To(*plain, "/loop")), HasSubstr("use http://"));
}

TEST_F(TlsTest, ClientCertificates) {
  options_.client_ca = At("clients.pem");
  options_.client_certificates = ClientCertificates::kOptional;
  {
    const auto server = StartTls(WhoRoute);
    EXPECT_EQ(Send(To(*server, "/")), "[]");
    EXPECT_EQ(Send(AsAlice(To(*server, "/"))), "[CN=alice]");
    ClientRequest stranger = To(*server, "/");
    stranger.tls.certificate = At("server.pem");  // of an authority that does not count for clients
    stranger.tls.key = At("server.key");
    EXPECT_THAT(Send(stranger), StartsWith("error: "));
  }
  options_.client_certificates = ClientCertificates::kRequired;
  {
    const auto server = StartTls(WhoRoute);
    EXPECT_EQ(Send(AsAlice(To(*server, "/"))), "[CN=alice]");
    HttpClient client;
    const auto sent = client.Send(To(*server, "/"));
    ASSERT_FALSE(sent.ok());
    EXPECT_EQ(sent.error().code(), Code::kFailedPrecondition) << sent.error().message();
    EXPECT_THAT(sent.error().message(), HasSubstr("wants a client certificate"));
  }
}

TEST_F(TlsTest, ANewCertificateIsTakenWithoutDroppingConnections) {
  const auto server = StartTls();
  HttpClient old;
  EXPECT_EQ(old.Send(To(*server, "/loop")).value().body, "loop");

  TestAuthority other("other");
  other.WriteCertificate(At("other.pem"));
  other.Issue("server", At("server.pem"), At("server.key"));
  ClientRequest request = To(*server, "/loop");
  request.tls.ca = At("other.pem");
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (Send(request) != "loop") ASSERT_LT(std::chrono::steady_clock::now(), until);

  EXPECT_EQ(old.Send(To(*server, "/loop")).value().body, "loop");  // the same connection
  EXPECT_THAT(Send(To(*server, "/loop")), HasSubstr("not trusted"));
}

TEST_F(TlsTest, ABadNewPairKeepsTheOld) {
  const auto server = StartTls();
  ASSERT_TRUE(WriteFileAtomically(At("server.pem"), "not a certificate").ok());
  EXPECT_FALSE(server->ReloadTls().ok());
  EXPECT_EQ(Send(To(*server, "/loop")), "loop");
  authority_.Issue("server", At("server.pem"), At("other.key"));  // the key does not fit
  EXPECT_THAT(server->ReloadTls().error().message(), HasSubstr("does not belong to"));
  EXPECT_EQ(Send(To(*server, "/loop")), "loop");
  std::filesystem::rename(At("other.key"), At("server.key"));
  EXPECT_TRUE(server->ReloadTls().ok());
  EXPECT_EQ(Send(To(*server, "/loop")), "loop");
}

TEST_F(TlsTest, WhatCannotBeUsedIsRefusedAtTheStart) {
  const TlsOptions good = options_;
  options_.key = At("nosuch.key");
  EXPECT_THAT(StartError(), HasSubstr("nosuch.key"));
  options_.key = At("alice.key");
  EXPECT_THAT(StartError(), HasSubstr("does not belong to tls.certificate"));
  options_.key = At("ca.pem");
  EXPECT_THAT(StartError(), HasSubstr("tls.key"));
  options_.key = "";
  EXPECT_THAT(StartError(), HasSubstr("tls.key"));
  options_ = good;
  options_.certificate = At("server.key");
  EXPECT_THAT(StartError(), HasSubstr("tls.certificate"));
  options_ = good;
  options_.client_ca = At("clients.pem");
  EXPECT_THAT(StartError(), HasSubstr("without effect"));
  options_.client_certificates = ClientCertificates::kRequired;
  options_.client_ca = At("server.key");
  EXPECT_THAT(StartError(), HasSubstr("tls.client_ca"));
  options_.client_ca = "";
  EXPECT_THAT(StartError(), HasSubstr("tls.client_ca"));
}

}  // namespace
}  // namespace cml::net
