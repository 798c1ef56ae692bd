// The text forms of bytes: hexadecimal and base64 (RFC 4648, section 4).
#include <array>
#include <cstdint>

#include "crypto/digest.h"

namespace cml::crypto {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::array<std::int8_t, 256> MakeBase64Values() {
  std::array<std::int8_t, 256> values{};
  for (auto& v : values) v = -1;
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i) {
    values[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}
constexpr auto kBase64Values = MakeBase64Values();

Error NotBase64(const char* why) {
  return Error(Code::kInvalidArgument, std::string("base64: ") + why);
}

}  // namespace

std::string ToHex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    text.push_back(kHexDigits[b >> 4]);
    text.push_back(kHexDigits[b & 15]);
  }
  return text;
}

Result<std::string> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return Error(Code::kInvalidArgument, "hexadecimal: an odd number of digits");
  }
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]), low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) {
      return Error(Code::kInvalidArgument, "hexadecimal: digits are 0-9 and a-f");
    }
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

std::string ToBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(k <= n ? kBase64Digits[word >> (18 - 6 * k) & 63] : '=');
    }
  }
  return text;
}

// Strict, so that one value has one text: no white space, full padding, no stray bits in the last
// digit.
Result<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return NotBase64("its length must be a multiple of four");
  std::string_view digits = text;
  for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.remove_suffix(1);
  std::string bytes;
  bytes.reserve(digits.size() * 3 / 4);
  std::uint32_t word = 0;
  unsigned bits = 0;
  for (const char c : digits) {
    const int value = kBase64Values[static_cast<unsigned char>(c)];
    if (value < 0) return NotBase64("digits are A-Z, a-z, 0-9, '+' and '/'");
    word = (word << 6 | static_cast<std::uint32_t>(value)) & 0xffffffU;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<char>(word >> bits & 0xffU));
    }
  }
  if ((word & ((1U << bits) - 1U)) != 0) return NotBase64("stray bits in the last digit");
  return bytes;
}

}  // namespace cml::crypto
