#include "net/http_server.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "net/testing/raw_client.h"

namespace cml::net {
namespace {

using testing::RawClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

Response Text(std::string body) {
  Response r;
  r.body = std::move(body);
  return r;
}

Route TestRoute(const Request& head) {
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

std::unique_ptr<HttpServer> Start(ServerOptions options = {}, Router router = TestRoute) {
  auto server = HttpServer::Start(std::move(options), std::move(router));
  EXPECT_TRUE(server.ok());
  return server.ok() ? std::move(server).value() : nullptr;
}

std::string Get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + more + "\r\n";
}

// Sends `bytes` on a new connection; all that comes back until the server closes.
std::string Ask(const HttpServer& server, const std::string& bytes) {
  RawClient client(server.port());
  EXPECT_TRUE(client.Send(bytes));
  const std::string all = client.ReadAll();
  EXPECT_FALSE(client.timed_out());
  EXPECT_FALSE(client.reset());
  return all;
}

std::size_t Count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++n;
  return n;
}

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
    all += "POST /echo?" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
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
  for (const char c : std::string("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
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
                  "HTTP/1.1 200"), 2U);
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
  EXPECT_THAT(Ask(*server, Get("/echo", "Transfer-Encoding: chunked\r\nConnection: close\r\n") + "0\r\n\r\n"),
              EndsWith("GET /echo []"));
  // Once only, and not after a request that had a body.
  EXPECT_THAT(Ask(*server, Get("/loop") + "0\r\n\r\n0\r\n\r\n"), HasSubstr("HTTP/1.1 400"));
  EXPECT_THAT(Ask(*server, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
              HasSubstr("HTTP/1.1 400"));
}

TEST(HttpServerTest, AStrayChunkAloneIsNoRequestWhenTimeIsOver) {
  const auto server = Start({.head_time = 50ms, .idle_time = 50ms});
  EXPECT_EQ(Count(Ask(*server, Get("/loop") + "0\r\n"), "HTTP/1.1"), 1U);
  EXPECT_EQ(server->counters().requests_total, 1U);
}

TEST(HttpServerTest, BrokenFramingIsAnsweredOnceAndClosed) {
  const auto server = Start();
  for (const std::string& bad : std::vector<std::string>{
           Get("/echo", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
           Get("/echo", "Content-Length: 3\r\nContent-Length: 3\r\n") + "abc",
           Get("/echo", "Content-Length : 3\r\n") + "abc",
           Get("/echo", "A: b\r\n c: d\r\n"),
           "GET /echo HTTP/1.1\nHost: h\n\n",
           "\x16\x03\x01\x02\r\n\r\n",
           "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"}) {
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
  EXPECT_THAT(Ask(*server, Get("/small", "Transfer-Encoding: chunked\r\n") + "b\r\nhello world\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask(*server, Get("/small", "Content-Length: 10\r\nConnection: close\r\n") + "0123456789"),
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
  const std::string twice = Ask(*server, "GET /loop HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                                         "GET /loop HTTP/1.0\r\n\r\n");
  EXPECT_EQ(Count(twice, "HTTP/1.1 200"), 2U);
  EXPECT_THAT(twice, HasSubstr("\r\nConnection: keep-alive\r\n"));
}

TEST(HttpServerTest, AnswersHeadWithoutABody) {
  const auto server = Start();
  const std::string two = Ask(*server, "HEAD /loop HTTP/1.1\r\nHost: h\r\n\r\n"
                                       "HEAD /length HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Count(two, "\r\nContent-Length: 4\r\n"), 1U);
  EXPECT_EQ(Count(two, "\r\nContent-Length: 12345\r\n"), 1U);
  EXPECT_THAT(two, Not(HasSubstr("loop")));
  EXPECT_THAT(two, EndsWith("\r\n\r\n"));
  EXPECT_THAT(Ask(*server, Get("/empty", "Connection: close\r\n")), Not(HasSubstr("Content-Length")));
}

TEST(HttpServerTest, InvitesABodyThatWaitsForIt) {
  const auto server = Start();
  RawClient client(server->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.ReadThrough("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("abc");
  EXPECT_THAT(client.ReadAnswer(), EndsWith("[abc]"));
  // Refused before a byte of it was sent.
  EXPECT_THAT(Ask(*server, Get("/small", "Expect: 100-continue\r\nContent-Length: 11\r\n")),
              StartsWith("HTTP/1.1 413"));
}

TEST(HttpServerTest, PassesRequestIdsOnAndMakesItsOwn) {
  const auto server = Start();
  const std::string given = Ask(*server, Get("/id", "X-Request-Id: mine-1\r\nConnection: close\r\n"));
  EXPECT_THAT(given, HasSubstr("\r\nX-Request-Id: mine-1\r\n"));
  EXPECT_THAT(given, EndsWith("\r\n\r\nmine-1 127.0.0.1"));
  const std::string bad = Ask(*server, Get("/id", "X-Request-Id: a b\r\nConnection: close\r\n"));
  EXPECT_THAT(bad, Not(HasSubstr("a b")));
}

TEST(HttpServerTest, AHandlerThatThrowsIsA500WithTheRequestId) {
  const auto server = Start();
  const std::string thrown = Ask(*server, Get("/throw", "X-Request-Id: r7\r\nConnection: close\r\n"));
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

// ---- time limits

TEST(HttpServerTest, ASlowHeadIsA408) {
  const auto server = Start({.head_time = 50ms});
  EXPECT_THAT(Ask(*server, "GET /loop HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 408"));
  // A byte now and then does not help.
  RawClient trickle(server->port());
  std::jthread feeder([&trickle](const std::stop_token& stop) {
    while (!stop.stop_requested() && trickle.Send("GET")) std::this_thread::yield();
  });
  EXPECT_THAT(trickle.ReadThrough("\r\n"), ::testing::AnyOf(StartsWith("HTTP/1.1 408"), StartsWith("HTTP/1.1 414")));
  feeder.request_stop();
  trickle.HalfClose();
}

TEST(HttpServerTest, ASilentBodyIsA408) {
  const auto server = Start({.body_progress_time = 50ms});
  EXPECT_THAT(Ask(*server, Get("/echo", "Content-Length: 5\r\n") + "abc"), StartsWith("HTTP/1.1 408"));
}

TEST(HttpServerTest, ASilentConnectionIsClosedWithoutAWord) {
  const auto server = Start({.idle_time = 50ms});
  EXPECT_EQ(Ask(*server, ""), "");
  EXPECT_EQ(Count(Ask(*server, Get("/loop")), "HTTP/1.1"), 1U);
}

TEST(HttpServerTest, AClientThatDoesNotReadIsCut) {
  const auto server = Start({.write_time = 50ms}, [](const Request&) {
    Route route;
    route.handle = [](Request) { return Text(std::string(32 << 20, 'b')); };
    return route;
  });
  RawClient client(server->port());
  client.Send(Get("/"));
  while (server->counters().connections_open > 0 || server->counters().requests_total == 0) {
    std::this_thread::yield();
  }
  EXPECT_LT(client.ReadAll().size(), std::size_t{32} << 20);
}

TEST(HttpServerTest, RefusesConnectionsOverTheLimit) {
  const auto server = Start({.most_connections = 2});
  RawClient a(server->port()), b(server->port());
  a.Send(Get("/loop"));
  b.Send(Get("/loop"));
  a.ReadAnswer();
  b.ReadAnswer();
  EXPECT_THAT(Ask(*server, Get("/loop")), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(server->counters().connections_refused, 1U);
  a.Close();
  b.Close();
  while (server->counters().connections_open > 0) std::this_thread::yield();
  EXPECT_THAT(Ask(*server, Get("/loop", "Connection: close\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServerTest, AThousandIdleConnectionsHarmNobody) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);  // both ends of each are ours
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GE(files.rlim_cur, 2100U) << "the hard limit of open files is too low for this test";
  const auto server = Start();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(std::make_unique<RawClient>(server->port()));
    ASSERT_TRUE(idle.back()->connected());
    if (i % 2 == 0) idle.back()->Send("GET /lo");
  }
  EXPECT_THAT(Ask(*server, Get("/echo", "Connection: close\r\n")), EndsWith("GET /echo []"));
  EXPECT_EQ(server->counters().connections_total, 1001U);
  idle[0]->Send("op HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(idle[0]->ReadAnswer(), EndsWith("\r\n\r\nloop"));
}

// ---- threads, start and end

TEST(HttpServerTest, BlockedWorkersDoNotBlockTheLoop) {
  std::latch arrived(8), go(1);
  const auto server = Start({.workers = 8}, [&](const Request& head) {
    Route route = TestRoute(head);
    if (head.path == "/block") {
      route.handle = [&](Request) {
        arrived.count_down();
        go.wait();
        return Text("done");
      };
    }
    return route;
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->port()));
    clients.back()->Send(Get("/block"));
  }
  arrived.wait();  // all eight run at once: there is no other worker
  EXPECT_THAT(Ask(*server, Get("/loop", "Connection: close\r\n")), EndsWith("loop"));
  RawClient queued(server->port());
  queued.Send(Get("/echo"));
  go.count_down();
  EXPECT_THAT(queued.ReadAnswer(), EndsWith("GET /echo []"));
  for (auto& client : clients) EXPECT_THAT(client->ReadAnswer(), EndsWith("done"));
}

TEST(HttpServerTest, SaysWhoHasThePort) {
  const auto server = Start();
  const auto second = HttpServer::Start({.port = server->port()}, TestRoute);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(server->port())));
  EXPECT_THAT(second.error().message(), HasSubstr("another program"));
  EXPECT_EQ(HttpServer::Start({.address = "nowhere"}, TestRoute).error().code(), Code::kInvalidArgument);
}

TEST(HttpServerTest, DrainClosesIdleConnectionsAtOnceAndFinishesWhatIsUnderWay) {
  std::promise<void> arrived;
  std::promise<void> go;
  const auto server = Start({}, [&](const Request& head) {
    Route route = TestRoute(head);
    if (head.path == "/block") {
      route.handle = [&](Request) {
        arrived.set_value();
        go.get_future().wait();
        return Text("done");
      };
    }
    return route;
  });
  RawClient idle(server->port()), busy(server->port());
  idle.Send(Get("/loop"));
  idle.ReadAnswer();
  busy.Send(Get("/block"));
  arrived.get_future().wait();
  std::jthread drain([&] { server->Drain(10s); });
  EXPECT_EQ(idle.ReadAll(), "");
  go.set_value();
  const std::string last = busy.ReadAll();
  EXPECT_THAT(last, EndsWith("done"));
  EXPECT_THAT(last, HasSubstr("\r\nConnection: close\r\n"));
  busy.Close();
  drain.join();
  EXPECT_EQ(server->counters().connections_open, 0U);
  EXPECT_FALSE(RawClient(server->port()).connected());
}

TEST(HttpServerTest, EndsUnderLoad) {
  for (int round = 0; round < 5; ++round) {
    auto server = Start();
    const std::uint16_t port = server->port();
    std::latch warm(4);
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([port, &warm, i] {
        bool first = true;
        while (true) {
          RawClient client(port);
          if (!client.connected()) break;
          if (!client.Send(Get("/loop") + Get("/echo", i % 2 == 0 ? "Connection: close\r\n" : ""))) break;
          if (client.ReadAnswer().empty()) break;
          if (first) warm.count_down();
          first = false;
        }
        if (first) warm.count_down();
      });
    }
    warm.wait();
    server.reset();
  }
}

}  // namespace
}  // namespace cml::net
