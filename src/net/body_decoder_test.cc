#include "net/body_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace cml::net {
namespace {

struct Decoded {
  std::string body;
  std::string_view fault;
  std::size_t consumed = 0;
  bool done = false;
};

// Hands `wire` over in pieces of `step` bytes.
Decoded DecodeIn(BodyDecoder decoder, const std::string& wire, std::size_t step) {
  Decoded out;
  while (out.consumed < wire.size() && !decoder.done()) {
    std::string piece = wire.substr(out.consumed, step);
    const auto s = decoder.Decode(piece.data(), piece.size());
    out.body.append(piece, 0, s.produced);
    out.consumed += s.consumed;
    out.fault = s.fault;
    if (!s.fault.empty()) break;
  }
  out.done = decoder.done();
  return out;
}

std::string_view ChunkFault(const std::string& wire) {
  const std::string_view whole =
      DecodeIn(BodyDecoder(Framing::kChunked, 0), wire, wire.size()).fault;
  EXPECT_EQ(DecodeIn(BodyDecoder(Framing::kChunked, 0), wire, 1).fault, whole);
  return whole;
}

TEST(BodyDecoderTest, TakesExactlyTheLength) {
  const auto d = DecodeIn(BodyDecoder(Framing::kLength, 5), "helloGET /", 3);
  EXPECT_TRUE(d.done);
  EXPECT_EQ(d.body, "hello");
  EXPECT_EQ(d.consumed, 5U);
  EXPECT_TRUE(BodyDecoder(Framing::kLength, 0).done());
  EXPECT_TRUE(BodyDecoder(Framing::kNone, 0).done());
}

TEST(BodyDecoderTest, JoinsChunksHoweverTheyCome) {
  const std::string wire =
      "5;ext=\"a\"\r\nhello\r\n00C\r\n, wide world\r\n"
      "0;last\r\nTrailer: x\r\nOther: y\r\n\r\nGET /";
  for (std::size_t step = 1; step <= wire.size(); ++step) {
    const auto d = DecodeIn(BodyDecoder(Framing::kChunked, 0), wire, step);
    ASSERT_EQ(d.fault, "") << step;
    EXPECT_TRUE(d.done);
    EXPECT_EQ(d.body, "hello, wide world") << step;
    EXPECT_EQ(wire.substr(d.consumed), "GET /");
  }
}

TEST(BodyDecoderTest, RefusesBrokenChunks) {
  EXPECT_NE(ChunkFault("\r\n\r\n"), "");
  EXPECT_NE(ChunkFault(" 5\r\nhello\r\n"), "");
  EXPECT_NE(ChunkFault("5 \r\nhello\r\n"), "");
  EXPECT_NE(ChunkFault("+5\r\nhello\r\n"), "");
  EXPECT_NE(ChunkFault("-1\r\n"), "");
  EXPECT_NE(ChunkFault("0x5\r\nhello\r\n"), "");
  EXPECT_NE(ChunkFault("5\nhello\r\n"), "");
  EXPECT_NE(ChunkFault("5\rhello\r\n"), "");
  EXPECT_NE(ChunkFault("5\r\nhello!\r\n"), "");
  EXPECT_NE(ChunkFault("5\r\nhello\n"), "");
  EXPECT_NE(ChunkFault("5;a\nb\r\nhello\r\n"), "");
  EXPECT_NE(ChunkFault("FFFFFFFFFFFFFFFF\r\n"), "");
  EXPECT_NE(ChunkFault("00000000000000000\r\n"), "");
  EXPECT_NE(ChunkFault("0\r\nA: b\n\r\n"), "");
  EXPECT_NE(ChunkFault("0\r\n\rX"), "");
  EXPECT_EQ(ChunkFault("5\r\nhello\r\n0\r\n\r\n"), "");
}

TEST(BodyDecoderTest, LimitsExtensionsAndTrailers) {
  EXPECT_NE(ChunkFault("1;" + std::string(20'000, 'x')), "");
  EXPECT_NE(ChunkFault("0\r\n" + std::string(20'000, 'x')), "");
}

}  // namespace
}  // namespace cml::net
