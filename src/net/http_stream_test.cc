#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "net/http_server.h"
#include "net/testing/raw_client.h"

namespace cml::net {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawClient;
using ::testing::StartsWith;
using namespace std::chrono_literals;

// What a test and the server's threads tell each other.
class Board {
 public:
  void Set(const std::string& what) {
    const std::lock_guard lock(mutex_);
    said_.push_back(what);
    changed_.notify_all();
  }
  bool Wait(const std::string& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(
        lock, 10s, [&] { return std::find(said_.begin(), said_.end(), what) != said_.end(); });
  }
  bool Has(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return std::find(said_.begin(), said_.end(), what) != said_.end();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> said_;
};

class ListSource final : public BodySource {
 public:
  ListSource(std::vector<Result<Piece>> pieces, Board* board)
      : pieces_(std::move(pieces)), board_(board) {}
  ~ListSource() override {
    if (board_ != nullptr) board_->Set("dropped");
  }
  Result<Piece> Next() override {
    if (at_ == pieces_.size()) return Piece{.bytes = {}, .last = false, .wait = 60'000ms};
    return pieces_[at_++];
  }

 private:
  std::vector<Result<Piece>> pieces_;
  std::size_t at_ = 0;
  Board* board_;
};

using Piece = BodySource::Piece;

// Serves a new ListSource of `pieces` at every path.
Router Streaming(std::vector<Result<Piece>> pieces, Board* board = nullptr,
                 std::optional<std::uint64_t> length = {}) {
  return [=](const Request&) {
    Route route;
    route.handle = [=](Request) {
      Response r;
      r.source = std::make_unique<ListSource>(pieces, board);
      r.length = length;
      return r;
    };
    return route;
  };
}

std::unique_ptr<HttpServer> Start(Router router, ServerOptions options = {}) {
  auto server = HttpServer::Start(std::move(options), std::move(router));
  EXPECT_TRUE(server.ok());
  return std::move(server).value();
}

std::string Ask(const HttpServer& server, const std::string& bytes) {
  RawClient client(server.port());
  EXPECT_TRUE(client.Send(bytes));
  return client.ReadAll();
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kGetAndClose = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

std::vector<Result<Piece>> HelloWorld() {
  return {Piece{"hello ", false, 0ms}, Piece{"", false, 1ms}, Piece{"", false, 0ms},
          Piece{"world", true, 0ms}};
}

TEST(StreamTest, SendsChunksAndKeepsTheConnection) {
  const auto server = Start(Streaming(HelloWorld()));
  const std::string both = Ask(*server, kGet + kGetAndClose);
  EXPECT_THAT(both, HasSubstr("\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_THAT(both, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(both, HasSubstr("\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\nHTTP/1.1 200"));
  EXPECT_THAT(both, EndsWith("5\r\nworld\r\n0\r\n\r\n"));
}

TEST(StreamTest, AKnownLengthIsSentPlain) {
  const auto server = Start(Streaming(HelloWorld(), nullptr, 11));
  const std::string got = Ask(*server, kGetAndClose);
  EXPECT_THAT(got, HasSubstr("\r\nContent-Length: 11\r\n"));
  EXPECT_THAT(got, EndsWith("\r\n\r\nhello world"));
}

TEST(StreamTest, AWrongLengthCutsTheConnection) {
  const auto longer = Start(Streaming(HelloWorld(), nullptr, 8));
  EXPECT_THAT(Ask(*longer, kGet + kGet), EndsWith("\r\n\r\nhello "));
  const auto shorter = Start(Streaming(HelloWorld(), nullptr, 20));
  EXPECT_THAT(Ask(*shorter, kGet + kGet), EndsWith("\r\n\r\nhello world"));
}

TEST(StreamTest, Http10ReadsUntilTheClose) {
  const auto server = Start(Streaming(HelloWorld()));
  const std::string got = Ask(*server, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(got, Not(HasSubstr("chunked")));
  EXPECT_THAT(got, EndsWith("\r\n\r\nhello world"));
}

TEST(StreamTest, HeadAsksTheSourceForNothing) {
  Board board;
  const auto server = Start(Streaming({Error(Code::kInternal, "asked")}, &board, 11));
  const std::string got = Ask(*server, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(got, HasSubstr("\r\nContent-Length: 11\r\n"));
  EXPECT_THAT(got, EndsWith("\r\n\r\n"));
  EXPECT_TRUE(board.Wait("dropped"));
}

TEST(StreamTest, AnErrorBeforeTheHeadIsAnAnswer) {
  const auto server = Start(Streaming({Error(Code::kNotFound, "no \"such\" log")}));
  const std::string got = Ask(*server, kGetAndClose);
  EXPECT_THAT(got, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(got, EndsWith(R"({"error": true, "message": "no \"such\" log"})"));
}

TEST(StreamTest, AnErrorAfterTheHeadCutsWithoutALastChunk) {
  const auto server =
      Start(Streaming({Piece{"hello", false, 0ms}, Error(Code::kInternal, "disk")}));
  EXPECT_THAT(Ask(*server, kGet), EndsWith("5\r\nhello\r\n"));
}

TEST(StreamTest, TheHeadGoesOutBeforeTheFirstWait) {
  const auto server = Start(Streaming({}));
  RawClient client(server->port());
  client.Send(kGet);
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(StreamTest, AWaitingSourceHoldsNoThreadAndIsDroppedWithItsClient) {
  Board board;
  const auto server = Start(Streaming({Piece{"hello", false, 0ms}}, &board), {.workers = 1});
  RawClient one(server->port()), two(server->port());
  for (RawClient* c : {&one, &two}) {  // the second gets the only worker while the first waits
    c->Send(kGet);
    EXPECT_THAT(c->ReadThrough("hello\r\n"), EndsWith("5\r\nhello\r\n"));
  }
  one.Send("0\r\n\r\n");  // a stray chunk is no sign of life's end
  EXPECT_FALSE(board.Has("dropped"));
  two.Close();
  EXPECT_TRUE(board.Wait("dropped"));
}

// Waits a minute between pieces unless woken.
class Sleeper final : public BodySource {
 public:
  explicit Sleeper(std::shared_ptr<std::function<void()>> wake, Board* board)
      : wake_(std::move(wake)), board_(board) {}
  Result<Piece> Next() override {
    if (asked_++ == 0) return Piece{"", false, 60'000ms};
    return Piece{"woken", true, 0ms};
  }
  void OnReady(std::function<void()> wake) override {
    *wake_ = std::move(wake);
    board_->Set("ready");
  }

 private:
  std::shared_ptr<std::function<void()>> wake_;
  Board* board_;
  int asked_ = 0;
};

TEST(StreamTest, WakingCutsTheWaitShortAndIsHarmlessAfterTheEnd) {
  Board board;
  const auto wake = std::make_shared<std::function<void()>>();
  auto server = Start([&](const Request&) {
    Route route;
    route.handle = [&](Request) {
      Response r;
      r.source = std::make_unique<Sleeper>(wake, &board);
      return r;
    };
    return route;
  });
  RawClient client(server->port());
  client.Send(kGetAndClose);
  EXPECT_THAT(client.ReadThrough("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  ASSERT_TRUE(board.Wait("ready"));
  (*wake)();
  (*wake)();
  EXPECT_THAT(client.ReadAll(), EndsWith("5\r\nwoken\r\n0\r\n\r\n"));
  (*wake)();
  server.reset();
  (*wake)();
}

TEST(StreamTest, DrainCutsAStreamAtItsLimit) {
  Board board;
  const auto server = Start(Streaming({Piece{"hello", false, 0ms}}, &board));
  RawClient client(server->port());
  client.Send(kGet);
  client.ReadThrough("hello\r\n");
  server->Drain(50ms);
  EXPECT_EQ(client.ReadAll(), "");
  EXPECT_TRUE(board.Wait("dropped"));
}

// Gives `size` bytes in pieces; counts how many it was asked for.
class Endless final : public BodySource {
 public:
  explicit Endless(std::atomic<std::size_t>* given) : given_(given) {}
  Result<Piece> Next() override {
    given_->fetch_add(256 * 1024);
    return Piece{std::string(256 * 1024, 'e'), false, 0ms};
  }

 private:
  std::atomic<std::size_t>* given_;
};

TEST(StreamTest, AClientThatDoesNotReadIsCutAndNotBufferedFor) {
  std::atomic<std::size_t> given{0};
  const auto server = Start(
      [&](const Request&) {
        Route route;
        route.handle = [&](Request) {
          Response r;
          r.source = std::make_unique<Endless>(&given);
          return r;
        };
        return route;
      },
      {.write_time = 50ms});
  RawClient client(server->port());
  client.Send(kGet);
  client.ReadThrough("\r\n\r\n");
  while (server->counters().connections_open > 0) std::this_thread::yield();
  EXPECT_LT(given.load(), std::size_t{64} << 20);  // the kernel's buffers, no more
}

// ---- uploads

struct Upload final : BodySink {
  explicit Upload(Board* b) : board(b) {}
  ~Upload() override { board->Set("dropped"); }
  Status Write(std::string_view bytes) override {
    for (const char c : bytes) sum = sum * 31 + static_cast<unsigned char>(c);
    size += bytes.size();
    if (bytes.find("throw") != std::string_view::npos) throw std::runtime_error("disk on fire");
    if (bytes.find('!') != std::string_view::npos)
      return Error(Code::kInvalidArgument, "no '!' please");
    board->Set("written");
    return Ok{};
  }
  Response Finish() override {
    board->Set("finished");
    Response r;
    r.body = std::to_string(size) + " " + std::to_string(sum);
    return r;
  }
  Board* board;
  std::size_t size = 0;
  std::uint64_t sum = 0;
};

std::string SumOf(const std::string& bytes) {
  std::uint64_t sum = 0;
  for (const char c : bytes) sum = sum * 31 + static_cast<unsigned char>(c);
  return std::to_string(bytes.size()) + " " + std::to_string(sum);
}

Router Uploading(Board* board, std::uint64_t most = 1ULL << 40) {
  return [=](const Request&) {
    Route route;
    route.sink = std::make_unique<Upload>(board);
    route.most_body = most;
    return route;
  };
}

std::string Put(const std::string& lines) {
  return "PUT / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n";
}

TEST(UploadTest, PassesALargeBodyThroughWholeAndInOrder) {
  Board board;
  const auto server = Start(Uploading(&board));
  std::string body;
  for (std::size_t i = 0; body.size() < (5U << 20); ++i) body += std::to_string(i * 7919) + ",";
  const std::string head = Put("Content-Length: " + std::to_string(body.size()) + "\r\n");
  RawClient client(server->port());
  for (int round = 0; round < 2; ++round) {  // the connection goes on
    ASSERT_TRUE(client.Send(head + body));
    EXPECT_THAT(client.ReadAnswer(), EndsWith("\r\n\r\n" + SumOf(body)));
  }
  std::string chunked = Put("Transfer-Encoding: chunked\r\nConnection: close\r\n");
  for (std::size_t at = 0; at < body.size(); at += 100'000) {
    const std::string piece = body.substr(at, 100'000);
    std::array<char, 20> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", piece.size());
    chunked += size.data() + piece + "\r\n";
  }
  EXPECT_THAT(Ask(*server, chunked + "0\r\n\r\n"), EndsWith("\r\n\r\n" + SumOf(body)));
}

TEST(UploadTest, AnEmptyBodyFinishesToo) {
  Board board;
  const auto server = Start(Uploading(&board));
  EXPECT_THAT(Ask(*server, Put("Content-Length: 0\r\nConnection: close\r\n")), EndsWith("0 0"));
  EXPECT_THAT(Ask(*server, Put("Connection: close\r\n")), EndsWith("0 0"));
}

TEST(UploadTest, AFailedWriteIsAnsweredAndEndsTheConnection) {
  Board board;
  const auto server = Start(Uploading(&board));
  const std::string got = Ask(*server, Put("Content-Length: 100\r\n") + "stop!");
  EXPECT_THAT(got, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(got, HasSubstr("no '!' please"));
  EXPECT_THAT(Ask(*server, Put("Content-Length: 100\r\n") + "throw"), StartsWith("HTTP/1.1 500"));
  EXPECT_FALSE(board.Has("finished"));
  // Failed with the last byte: the next request is intact.
  EXPECT_THAT(Ask(*server, Put("Content-Length: 1\r\n") + "!" + Put("Connection: close\r\n")),
              EndsWith("0 0"));
}

TEST(UploadTest, AClientThatGoesAwayLeavesNothing) {
  Board board;
  const auto server = Start(Uploading(&board));
  RawClient client(server->port());
  client.Send(Put("Content-Length: 100\r\n") + "begun");
  ASSERT_TRUE(board.Wait("written"));
  client.Close();
  EXPECT_TRUE(board.Wait("dropped"));
  EXPECT_FALSE(board.Has("finished"));
}

TEST(UploadTest, LimitsHoldForSinksToo) {
  Board board;
  const auto server = Start(Uploading(&board, 10), {.body_progress_time = 50ms});
  EXPECT_THAT(Ask(*server, Put("Content-Length: 11\r\n")), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask(*server, Put("Transfer-Encoding: chunked\r\n") + "b\r\nhello world\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask(*server, Put("Content-Length: 9\r\n") + "abc"), StartsWith("HTTP/1.1 408"));
  EXPECT_FALSE(board.Has("finished"));
}

}  // namespace
}  // namespace cml::net
