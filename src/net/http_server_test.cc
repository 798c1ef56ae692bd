#include "net/http_server.h"

#include <gmock/gmock.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "net/testing/test_server.h"

namespace cml::net {
namespace {

using testing::Ask;
using testing::Count;
using ::testing::EndsWith;
using testing::Get;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawClient;
using testing::Start;
using ::testing::StartsWith;
using namespace std::chrono_literals;

TEST(HttpServerTest, AnswersOnTheLoopAndOnWorkers) {
  const auto server = Start();
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/loop"));
    EXPECT_THAT(client.ReadAnswer(), EndsWith("\r\n\r\nloop"));
    client.Send(Get("/echo?x"));
    const std::string answer = client.ReadAnswer();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nDate: "));
    EXPECT_THAT(answer, HasSubstr("\r\nX-Request-Id: "));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nGET /echo?x []"));
  }
  const ServerCounters c = server->counters();
  EXPECT_EQ(c.requests_total, 6U);
  EXPECT_EQ(c.connections_total, 1U);
  EXPECT_EQ(c.answers_by_status.at(200), 6U);
}

TEST(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  const auto server = Start();
  std::string all;
  for (int i = 0; i < 50; ++i) {
    all +=
        "POST /echo?" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
    all += Get("/loop");
  }
  const std::string got = Ask(*server, all + Get("/loop", "Connection: close\r\n"));
  EXPECT_EQ(Count(got, "HTTP/1.1 200 OK"), 101U);
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = got.find("POST /echo?" + std::to_string(i) + " [ab]", at);
    ASSERT_NE(at, std::string::npos);
  }
}

TEST(HttpServerTest, ReadsAByteAtATime) {
  const auto server = Start();
  RawClient client(server->port());
  for (const char c :
       std::string("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n")) {
    ASSERT_TRUE(client.Send(std::string(1, c)));
  }
  EXPECT_THAT(client.ReadAnswer(), EndsWith("POST /echo [abcde]"));
  client.Send(Get("/loop"));
  EXPECT_THAT(client.ReadAnswer(), EndsWith("loop"));
}

TEST(HttpServerTest, SwallowsTheStrayChunkOfOldClients) {
  const auto server = Start();
  // In the same packet, then another request.
  EXPECT_EQ(Count(Ask(*server, Get("/loop") + "0\r\n\r\n" + Get("/loop", "Connection: close\r\n")),
                  "HTTP/1.1 200"),
            2U);
  // In a later packet, cut in two.
  RawClient later(server->port());
  later.Send(Get("/echo"));
  EXPECT_THAT(later.ReadAnswer(), EndsWith("GET /echo []"));
  later.Send("0\r");
  later.Send("\n\r\n");
  later.Send(Get("/loop", "Connection: close\r\n"));
  const std::string rest = later.ReadAll();
  EXPECT_THAT(rest, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Count(rest, "HTTP/1.1"), 1U);
  // After the answer to a request that asked to close: drained, no reset.
  RawClient closing(server->port());
  closing.Send(Get("/loop", "Connection: close\r\n"));
  closing.Send("0\r\n\r\n");
  EXPECT_EQ(Count(closing.ReadAll(), "HTTP/1.1"), 1U);
  EXPECT_FALSE(closing.reset());
  // With the header it is an ordinary empty body.
  EXPECT_THAT(Ask(*server, Get("/echo", "Transfer-Encoding: chunked\r\nConnection: close\r\n") +
                               "0\r\n\r\n"),
              EndsWith("GET /echo []"));
  // Once only, and not after a request that had a body.
  EXPECT_THAT(Ask(*server, Get("/loop") + "0\r\n\r\n0\r\n\r\n"), HasSubstr("HTTP/1.1 400"));
  EXPECT_THAT(Ask(*server, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
              HasSubstr("HTTP/1.1 400"));
}

TEST(HttpServerTest, AStrayChunkAloneIsNoRequestWhenTimeIsOver) {
  const auto server = Start({.head_time = 200ms, .idle_time = 200ms});
  EXPECT_EQ(Count(Ask(*server, Get("/loop") + "0\r\n"), "HTTP/1.1"), 1U);
  EXPECT_EQ(server->counters().requests_total, 1U);
}

TEST(HttpServerTest, BrokenFramingIsAnsweredOnceAndClosed) {
  const auto server = Start();
  for (const std::string& bad : std::vector<std::string>{
           Get("/echo", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
           Get("/echo", "Content-Length: 3\r\nContent-Length: 3\r\n") + "abc",
           Get("/echo", "Content-Length : 3\r\n") + "abc", Get("/echo", "A: b\r\n c: d\r\n"),
           "GET /echo HTTP/1.1\nHost: h\n\n", "\x16\x03\x01\x02\r\n\r\n",
           "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
           "chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"}) {
    const std::string answer = Ask(*server, bad + Get("/loop"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n")) << bad;
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_THAT(answer, HasSubstr("{\"error\": true, \"message\": \""));
    EXPECT_EQ(Count(answer, "HTTP/1.1"), 1U) << bad;
  }
}

TEST(HttpServerTest, LimitsHeadTargetAndBody) {
  const auto server = Start({.most_head = 4096});
  EXPECT_THAT(Ask(*server, Get("/" + std::string(5000, 'a'))), StartsWith("HTTP/1.1 414"));
  EXPECT_THAT(Ask(*server, Get("/loop", "A: " + std::string(5000, 'a') + "\r\n")),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Ask(*server, "GET /" + std::string(100'000, 'a')), StartsWith("HTTP/1.1 414"));
  EXPECT_THAT(Ask(*server, Get("/small", "Content-Length: 11\r\n")), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask(*server, Get("/small", "Transfer-Encoding: chunked\r\n") +
                               "b\r\nhello world\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(
      Ask(*server, Get("/small", "Content-Length: 10\r\nConnection: close\r\n") + "0123456789"),
      EndsWith("0123456789"));
}

TEST(HttpServerTest, AClientThatSendsItsWholeBodyStillReadsTheRefusal) {
  const auto server = Start();
  RawClient client(server->port());
  ASSERT_TRUE(client.Send(Get("/small", "Content-Length: 10000000\r\n")));
  EXPECT_TRUE(client.Send(std::string(10'000'000, 'x')));
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 413"));
  EXPECT_FALSE(client.reset());
}

TEST(HttpServerTest, SpeaksHttp10) {
  const auto server = Start();
  const std::string once = Ask(*server, "GET /echo HTTP/1.0\r\n\r\n");
  EXPECT_THAT(once, EndsWith("GET /echo []"));
  EXPECT_THAT(once, HasSubstr("\r\nConnection: close\r\n"));
  const std::string twice = Ask(*server,
                                "GET /loop HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                                "GET /loop HTTP/1.0\r\n\r\n");
  EXPECT_EQ(Count(twice, "HTTP/1.1 200"), 2U);
  EXPECT_THAT(twice, HasSubstr("\r\nConnection: keep-alive\r\n"));
}

TEST(HttpServerTest, AnswersHeadWithoutABody) {
  const auto server = Start();
  const std::string two = Ask(*server,
                              "HEAD /loop HTTP/1.1\r\nHost: h\r\n\r\n"
                              "HEAD /length HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Count(two, "\r\nContent-Length: 4\r\n"), 1U);
  EXPECT_EQ(Count(two, "\r\nContent-Length: 12345\r\n"), 1U);
  EXPECT_THAT(two, Not(HasSubstr("loop")));
  EXPECT_THAT(two, EndsWith("\r\n\r\n"));
  EXPECT_THAT(Ask(*server, Get("/empty", "Connection: close\r\n")),
              Not(HasSubstr("Content-Length")));
}

TEST(HttpServerTest, InvitesABodyThatWaitsForIt) {
  const auto server = Start();
  RawClient client(server->port());
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.ReadThrough("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("abc");
  EXPECT_THAT(client.ReadAnswer(), EndsWith("[abc]"));
  // Refused before a byte of it was sent.
  EXPECT_THAT(Ask(*server, Get("/small", "Expect: 100-continue\r\nContent-Length: 11\r\n")),
              StartsWith("HTTP/1.1 413"));
}

TEST(HttpServerTest, PassesRequestIdsOnAndMakesItsOwn) {
  const auto server = Start();
  const std::string given =
      Ask(*server, Get("/id", "X-Request-Id: mine-1\r\nConnection: close\r\n"));
  EXPECT_THAT(given, HasSubstr("\r\nX-Request-Id: mine-1\r\n"));
  EXPECT_THAT(given, EndsWith("\r\n\r\nmine-1 127.0.0.1"));
  const std::string bad = Ask(*server, Get("/id", "X-Request-Id: a b\r\nConnection: close\r\n"));
  EXPECT_THAT(bad, Not(HasSubstr("a b")));
}

TEST(HttpServerTest, AHandlerThatThrowsIsA500WithTheRequestId) {
  const auto server = Start();
  const std::string thrown =
      Ask(*server, Get("/throw", "X-Request-Id: r7\r\nConnection: close\r\n"));
  EXPECT_THAT(thrown, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(thrown, EndsWith("{\"error\": true, \"message\": \"internal error; request r7\"}"));
  EXPECT_THAT(Ask(*server, Get("/unknown", "Connection: close\r\n")), StartsWith("HTTP/1.1 500"));
  const auto broken = Start({}, [](const Request&) -> Route { throw std::runtime_error("x"); });
  EXPECT_THAT(Ask(*broken, Get("/")), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServerTest, NoHeaderOfAHandlerBreaksTheHead) {
  const auto server = Start();
  const std::string answer = Ask(*server, Get("/headers", "Connection: close\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nX-Evil: a  Set-Cookie: b\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("77")));
  EXPECT_THAT(answer, Not(HasSubstr("upgrade")));
}

TEST(HttpServerTest, SendsLargeBodiesToSlowReaders) {
  const auto server = Start();
  RawClient client(server->port());
  for (int i = 0; i < 2; ++i) client.Send(Get("/big"));
  for (int i = 0; i < 2; ++i) {
    const std::string answer = client.ReadAnswer();
    EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, std::size_t{3} << 20);
  }
}

}  // namespace
}  // namespace cml::net
