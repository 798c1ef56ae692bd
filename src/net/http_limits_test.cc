// Time limits, numbers of connections, threads, and the end of a server.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "net/http_server.h"
#include "net/testing/test_server.h"

namespace cml::net {
namespace {

using ::testing::AnyOf;
using testing::Ask;
using testing::Count;
using ::testing::EndsWith;
using testing::Get;
using ::testing::HasSubstr;
using testing::RawClient;
using testing::Start;
using ::testing::StartsWith;
using testing::TestRoute;
using testing::Text;
using namespace std::chrono_literals;

// ---- time limits

TEST(HttpLimitsTest, ASlowHeadIsA408) {
  const auto server = Start({.head_time = 50ms});
  EXPECT_THAT(Ask(*server, "GET /loop HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 408"));
  // A byte now and then does not help.
  RawClient trickle(server->port());
  std::jthread feeder([&trickle](const std::stop_token& stop) {
    while (!stop.stop_requested() && trickle.Send("GET")) std::this_thread::yield();
  });
  EXPECT_THAT(trickle.ReadThrough("\r\n"),
              AnyOf(StartsWith("HTTP/1.1 408"), StartsWith("HTTP/1.1 414")));
  feeder.request_stop();
  trickle.HalfClose();
}

TEST(HttpLimitsTest, ASilentBodyIsA408) {
  const auto server = Start({.body_progress_time = 50ms});
  EXPECT_THAT(Ask(*server, Get("/echo", "Content-Length: 5\r\n") + "abc"),
              StartsWith("HTTP/1.1 408"));
}

TEST(HttpLimitsTest, ABodyThatTricklesIsA408) {
  const auto server = Start({.body_progress_time = 50ms});
  RawClient client(server->port());
  client.Send(Get("/echo", "Content-Length: 1000\r\n"));
  int sent = 0;
  do {
    ++sent;
  } while (client.Send("x") && !client.Readable(10ms) && sent < 1000);
  EXPECT_LT(sent, 100);
  EXPECT_THAT(client.ReadThrough("\r\n"), StartsWith("HTTP/1.1 408"));
}

TEST(HttpLimitsTest, ASilentConnectionIsClosedWithoutAWord) {
  const auto server = Start({.idle_time = 200ms});  // long enough to connect and ask in
  EXPECT_EQ(Ask(*server, ""), "");
  EXPECT_EQ(Count(Ask(*server, Get("/loop")), "HTTP/1.1"), 1U);
}

TEST(HttpLimitsTest, AClientThatDoesNotReadIsCut) {
  const auto server = Start({.write_time = 50ms}, [](const Request&) {
    Route route;
    route.handle = [](Request) { return Text(std::string(32 << 20, 'b')); };
    return route;
  });
  RawClient client(server->port());
  client.Send(Get("/"));
  while (server->counters().requests_total == 0) std::this_thread::yield();
  while (server->counters().connections_open > 0) std::this_thread::yield();
  EXPECT_LT(client.ReadAll().size(), std::size_t{32} << 20);
}

TEST(HttpLimitsTest, RefusesConnectionsOverTheLimit) {
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

TEST(HttpLimitsTest, RefusesAnAddressThatHasTooManyConnections) {
  const auto server = Start({.most_per_address = 2});
  RawClient a(server->port()), b(server->port());
  a.Send(Get("/loop"));
  b.Send(Get("/loop"));
  a.ReadAnswer();
  b.ReadAnswer();
  const std::string refused = Ask(*server, Get("/loop"));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(refused, HasSubstr("X-Request-Id: "));
  EXPECT_THAT(refused, HasSubstr(R"("error": true)"));
  a.Close();
  while (server->counters().connections_open > 1) std::this_thread::yield();
  EXPECT_THAT(Ask(*server, Get("/loop", "Connection: close\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST(HttpLimitsTest, TheLongestIdleConnectionMakesRoom) {
  const auto server = Start({.io_threads = 1, .most_connections = 2});
  RawClient first(server->port());
  first.Send(Get("/loop"));
  first.ReadAnswer();
  RawClient second(server->port());
  second.Send(Get("/loop"));
  second.ReadAnswer();
  // As soon as both have been idle for long enough, the first one has to go.
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!Ask(*server, Get("/loop", "Connection: close\r\n")).starts_with("HTTP/1.1 200")) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
  }
  EXPECT_EQ(first.ReadAll(), "");
  second.Send(Get("/loop"));
  EXPECT_THAT(second.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST(HttpLimitsTest, AClientThatReadsByteByByteIsCut) {
  const auto server = Start({.write_time = 200ms, .least_rate = 1 << 30}, [](const Request&) {
    Route route;
    route.handle = [](Request) { return Text(std::string(32 << 20, 'b')); };
    return route;
  });
  RawClient client(server->port());
  client.Send(Get("/"));
  std::size_t read = 0;
  std::string piece;
  while (!(piece = client.ReadExactly(1024)).empty() && server->counters().connections_open > 0) {
    read += piece.size();
    static_cast<void>(client.Readable(1ms));
  }
  EXPECT_LT(read, std::size_t{32} << 20);
  while (server->counters().connections_open > 0) std::this_thread::yield();
}

TEST(HttpLimitsTest, AThousandIdleConnectionsHarmNobody) {
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

TEST(HttpLimitsTest, BlockedWorkersDoNotBlockTheLoop) {
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

TEST(HttpLimitsTest, SaysWhoHasThePort) {
  const auto server = Start();
  const auto second = HttpServer::Start({.port = server->port()}, TestRoute);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(server->port())));
  EXPECT_THAT(second.error().message(), HasSubstr("another program"));
  EXPECT_EQ(HttpServer::Start({.address = "nowhere"}, TestRoute).error().code(),
            Code::kInvalidArgument);
}

TEST(HttpLimitsTest, DrainClosesIdleConnectionsAtOnceAndFinishesWhatIsUnderWay) {
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

TEST(HttpLimitsTest, EndsUnderLoad) {
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
          if (!client.Send(Get("/loop") + Get("/echo", i % 2 == 0 ? "Connection: close\r\n" : "")))
            break;
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
