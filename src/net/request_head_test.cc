#include "net/request_head.h"

#include <gmock/gmock.h>

#include <string>

namespace cml::net {
namespace {

int FaultOf(const std::string& head) {
  RequestHead out;
  const auto fault = ParseHead(head, out);
  return fault ? fault->status : 0;
}

std::string With(const std::string& lines) {
  return "GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n";
}

TEST(RequestHeadTest, FillsTheRequest) {
  RequestHead out;
  ASSERT_FALSE(
      ParseHead("POST //a//b%2F?x=1?y=2 HTTP/1.1\r\nHost: h:1\r\nX-Request-Id: ab-1\r\n"
                "content-length: \t12 \r\nEmpty:\r\n\r\n",
                out));
  EXPECT_EQ(out.request.method, "POST");
  EXPECT_EQ(out.request.target, "//a//b%2F?x=1?y=2");
  EXPECT_EQ(out.request.path, "/a/b%2F");
  EXPECT_EQ(out.request.query.at("y"), "2");
  EXPECT_EQ(out.request.headers.Get("content-length"), "12");
  EXPECT_TRUE(out.request.headers.Has("empty"));
  EXPECT_EQ(out.request.id, "ab-1");
  EXPECT_EQ(out.framing, Framing::kLength);
  EXPECT_EQ(out.content_length, 12U);
  EXPECT_TRUE(out.keep_alive);
}

TEST(RequestHeadTest, UnderstandsTheAbsoluteForm) {
  RequestHead out;
  ASSERT_FALSE(ParseHead("GET http://h:8080/p?q=1 HTTP/1.1\r\nHost: h\r\n\r\n", out));
  EXPECT_EQ(out.request.path, "/p");
  EXPECT_EQ(out.request.query.at("q"), "1");
  RequestHead bare;
  ASSERT_FALSE(ParseHead("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", bare));
  EXPECT_EQ(bare.request.path, "/");
}

TEST(RequestHeadTest, KeepAliveFollowsVersionAndConnection) {
  const auto keeps = [](const std::string& head) {
    RequestHead out;
    EXPECT_FALSE(ParseHead(head, out));
    return out.keep_alive;
  };
  EXPECT_TRUE(keeps(With("")));
  EXPECT_FALSE(keeps(With("Connection: x, Close\r\n")));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

TEST(RequestHeadTest, RefusesWhatTwoReadersCouldReadDifferently) {
  EXPECT_EQ(FaultOf(With("")), 0);
  EXPECT_EQ(FaultOf(With("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length: 5\r\nContent-Length: 5\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length: 5, 5\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length: +5\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length: -1\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length: 0x5\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length:\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Content-Length: 99999999999999999999999\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: gzip, chunked\r\n")), 501);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: xchunked\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: identity\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: chunked, chunked\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: chunked, gzip\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: chunked,\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding:\r\n")), 400);
  EXPECT_EQ(FaultOf(With("Transfer-Encoding: Chunked\r\n")), 0);
  EXPECT_EQ(FaultOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(FaultOf(With("Content-Length : 5\r\n")), 400);
  EXPECT_EQ(FaultOf(With(" X: folded\r\n")), 400);
  EXPECT_EQ(FaultOf(With("A: b\r\n\tfolded\r\n")), 400);
  EXPECT_EQ(FaultOf(With("no colon\r\n")), 400);
  EXPECT_EQ(FaultOf(With(": no name\r\n")), 400);
  EXPECT_EQ(FaultOf(With("A: b\rc\r\n")), 400);
  EXPECT_EQ(FaultOf(With(std::string("A: b\0c\r\n", 8))), 400);
  EXPECT_EQ(FaultOf(With("Host: again\r\n")), 400);
  EXPECT_EQ(FaultOf("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(FaultOf("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
  EXPECT_EQ(FaultOf("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
  EXPECT_EQ(FaultOf("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"), 400);
  EXPECT_EQ(FaultOf("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0);
  EXPECT_EQ(FaultOf("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0);
}

TEST(RequestHeadTest, RefusesMalformedRequestLines) {
  const auto line = [](const std::string& l) { return FaultOf(l + "\r\nHost: h\r\n\r\n"); };
  EXPECT_EQ(line("GET / HTTP/1.1"), 0);
  EXPECT_EQ(line("GET /"), 400);
  EXPECT_EQ(line("GET  / HTTP/1.1"), 400);
  EXPECT_EQ(line("GET /a b HTTP/1.1"), 400);
  EXPECT_EQ(line("G(T / HTTP/1.1"), 400);
  EXPECT_EQ(line("GET a HTTP/1.1"), 400);
  EXPECT_EQ(line("CONNECT h:1 HTTP/1.1"), 400);
  EXPECT_EQ(line("CONNECT / HTTP/1.1"), 400);
  EXPECT_EQ(line("GET * HTTP/1.1"), 400);
  EXPECT_EQ(line("OPTIONS * HTTP/1.1"), 0);
  EXPECT_EQ(line("GET ftp://h/ HTTP/1.1"), 400);
  EXPECT_EQ(line("GET http:///a HTTP/1.1"), 400);
  EXPECT_EQ(line("GET http://user@h/a HTTP/1.1"), 400);
  EXPECT_EQ(line("GET / HTTP/2.0"), 505);
  EXPECT_EQ(line("GET / http/1.1"), 400);
  EXPECT_EQ(line(""), 400);
  EXPECT_EQ(line("GET /" + std::string(kMostTarget, 'a') + " HTTP/1.1"), 414);
}

TEST(RequestHeadTest, LimitsTheNumberOfFields) {
  std::string lines;
  for (std::size_t i = 0; i < kMostFields; ++i) lines += "A: b\r\n";
  EXPECT_EQ(FaultOf(With(lines)), 431);
}

TEST(RequestHeadTest, TakesOnlyWellFormedRequestIds) {
  RequestHead out;
  ASSERT_FALSE(ParseHead(With("X-Request-Id: a b\r\n"), out));
  EXPECT_EQ(out.request.id, "");
  EXPECT_FALSE(IsWellFormedRequestId(std::string(65, 'a')));
  EXPECT_TRUE(IsWellFormedRequestId(std::string(64, 'a')));
}

TEST(RequestHeadTest, KnowsExpectations) {
  RequestHead out;
  ASSERT_FALSE(ParseHead(With("Expect: 100-Continue\r\n"), out));
  EXPECT_TRUE(out.expects_continue);
  EXPECT_EQ(FaultOf(With("Expect: tea\r\n")), 417);
}

TEST(HeadScannerTest, FindsTheEndHoweverTheBytesCome) {
  const std::string head = With("A: b\r\n");
  for (std::size_t step = 1; step <= head.size(); ++step) {
    HeadScanner scanner;
    for (std::size_t n = step; n < head.size(); n += step) {
      const auto found = scanner.Scan(std::string_view(head).substr(0, n));
      EXPECT_EQ(found.length, 0U);
      EXPECT_FALSE(found.fault);
    }
    EXPECT_EQ(scanner.Scan(head + "next").length, head.size());
  }
}

TEST(HeadScannerTest, RefusesBareLineFeeds) {
  EXPECT_TRUE(HeadScanner().Scan("GET / HTTP/1.1\nHost: h\n\n").fault);
  EXPECT_TRUE(HeadScanner().Scan("GET / HTTP/1.1\r\nHost: h\r\n\n").fault);
  EXPECT_TRUE(HeadScanner().Scan("\n").fault);
}

TEST(HeadScannerTest, SeesAtOnceWhatIsNoHttp) {
  EXPECT_TRUE(HeadScanner().Scan("\x16").fault);
  EXPECT_TRUE(HeadScanner().Scan(" GET").fault);
  EXPECT_FALSE(HeadScanner().Scan("G").fault);
}

TEST(StrayTest, KnowsTheChunkOfOldClients) {
  EXPECT_EQ(LooksStray(""), Stray::kPerhaps);
  EXPECT_EQ(LooksStray("0\r\n"), Stray::kPerhaps);
  EXPECT_EQ(LooksStray("0\r\n\r\nGET"), Stray::kYes);
  EXPECT_EQ(LooksStray("0\r\nx"), Stray::kNo);
  EXPECT_EQ(LooksStray("GET"), Stray::kNo);
}

}  // namespace
}  // namespace cml::net
