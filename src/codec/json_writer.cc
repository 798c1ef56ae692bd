#include "codec/json_writer.h"

#include <array>

namespace cml::codec {
namespace {

// What follows the backslash; 0: the byte stands for itself; 'u': \u00XX.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> all{};
  for (std::size_t c = 0; c < 0x20; ++c) all[c] = 'u';
  all['\b'] = 'b';
  all['\f'] = 'f';
  all['\n'] = 'n';
  all['\r'] = 'r';
  all['\t'] = 't';
  all['"'] = '"';
  all['\\'] = '\\';
  return all;
}();

}  // namespace

JsonWriter& JsonWriter::Value(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  Separate();
  out_ += '"';
  std::size_t plain = 0;  // start of what has not been copied yet
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const char escape = kEscapes[byte];
    if (escape == 0) continue;
    out_.append(text, plain, i - plain);
    plain = i + 1;
    out_ += '\\';
    out_ += escape;
    if (escape == 'u') out_.append("00").append({kHex[byte >> 4], kHex[byte & 15]});
  }
  out_.append(text, plain);
  out_ += '"';
  return *this;
}

}  // namespace cml::codec
