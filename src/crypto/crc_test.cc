#include "crypto/crc.h"

#include <gtest/gtest.h>

namespace cml::crypto {
namespace {

std::uint64_t Of(CrcKind kind, std::string_view data) {
  Crc crc(kind);
  crc.Update(data);
  return crc.value();
}

// The check values of the catalogue of parametrised CRC algorithms; RFC 3720, B.4 for the zeros.
TEST(Crc, KnownTexts) {
  EXPECT_EQ(Of(CrcKind::kCrc32, "123456789"), 0xCBF43926U);
  EXPECT_EQ(Of(CrcKind::kCrc32c, "123456789"), 0xE3069283U);
  EXPECT_EQ(Of(CrcKind::kCrc64Nvme, "123456789"), 0xAE8B14860A799888ULL);
  EXPECT_EQ(Of(CrcKind::kCrc32c, std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(Of(CrcKind::kCrc32, ""), 0U);
}

TEST(Crc, PiecesOfAnySize) {
  const std::string text = "the quick brown fox jumps over the lazy dog, twice or three times";
  for (const CrcKind kind : {CrcKind::kCrc32, CrcKind::kCrc32c, CrcKind::kCrc64Nvme}) {
    for (std::size_t n = 1; n < text.size(); ++n) {
      Crc crc(kind);
      for (std::size_t i = 0; i < text.size(); i += n) {
        crc.Update(std::string_view(text).substr(i, n));
      }
      EXPECT_EQ(crc.value(), Of(kind, text)) << n;
    }
  }
}

TEST(Crc, BytesAreBigEndian) {
  Crc crc(CrcKind::kCrc32);
  crc.Update("123456789");
  EXPECT_EQ(crc.bytes(), "\xCB\xF4\x39\x26");
  EXPECT_EQ(Crc(CrcKind::kCrc64Nvme).bytes().size(), 8U);
}

}  // namespace
}  // namespace cml::crypto
