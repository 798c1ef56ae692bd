#include "crypto/crc.h"

#include <array>

namespace cml::crypto {
namespace {

// Eight tables: table k holds the check of a byte followed by k zero bytes, so that eight bytes are
// taken at once.
template <class Word>
using Tables = std::array<std::array<Word, 256>, 8>;

template <class Word>
constexpr Tables<Word> MakeTables(Word polynomial) {
  Tables<Word> t{};
  for (unsigned i = 0; i < 256; ++i) {
    Word c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? (c >> 1) ^ polynomial : c >> 1;
    t[0][i] = c;
  }
  for (unsigned k = 1; k < 8; ++k) {
    for (unsigned i = 0; i < 256; ++i) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 255];
  }
  return t;
}

// The polynomials, bits reversed: IEEE 802.3, Castagnoli (RFC 3720), NVM Express.
constexpr auto kCrc32 = MakeTables<std::uint32_t>(0xEDB88320U);
constexpr auto kCrc32c = MakeTables<std::uint32_t>(0x82F63B78U);
constexpr auto kCrc64Nvme = MakeTables<std::uint64_t>(0x9A6C9329AC4BC9B5ULL);

template <class Word>
Word Step(const Tables<Word>& t, Word state, std::string_view data) {
  const auto byte = [&data](std::size_t i) { return static_cast<unsigned char>(data[i]); };
  while (data.size() >= 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) word |= static_cast<std::uint64_t>(byte(i)) << (8 * i);
    word ^= state;
    state = 0;
    for (std::size_t i = 0; i < 8; ++i) state ^= t[7 - i][word >> (8 * i) & 255];
    data.remove_prefix(8);
  }
  for (std::size_t i = 0; i < data.size(); ++i)
    state = (state >> 8) ^ t[0][(state ^ byte(i)) & 255];
  return state;
}

}  // namespace

void Crc::Update(std::string_view data) {
  switch (kind_) {
    case CrcKind::kCrc32:
      state_ = Step(kCrc32, static_cast<std::uint32_t>(state_), data);
      break;
    case CrcKind::kCrc32c:
      state_ = Step(kCrc32c, static_cast<std::uint32_t>(state_), data);
      break;
    case CrcKind::kCrc64Nvme:
      state_ = Step(kCrc64Nvme, state_, data);
      break;
  }
}

std::uint64_t Crc::value() const {
  switch (kind_) {
    case CrcKind::kCrc32:
    case CrcKind::kCrc32c:
      return static_cast<std::uint32_t>(~state_);
    case CrcKind::kCrc64Nvme:
      return ~state_;
  }
  return 0;
}

std::string Crc::bytes() const {
  std::string out;
  for (int shift = kind_ == CrcKind::kCrc64Nvme ? 56 : 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value() >> shift & 255));
  }
  return out;
}

}  // namespace cml::crypto
