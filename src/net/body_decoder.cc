#include "net/body_decoder.h"

#include <algorithm>
#include <cstring>

namespace cml::net {
namespace {

constexpr std::size_t kMostOverhead = 16 * 1024;
constexpr unsigned kMostDigits = 15;  // 60 bits: no sum of such sizes with a limit overflows

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsControl(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && u != '\t') || u == 0x7f;
}

}  // namespace

BodyDecoder::BodyDecoder(Framing framing, std::uint64_t length) {
  switch (framing) {
    case Framing::kNone:
      break;
    case Framing::kLength:
      left_ = length;
      state_ = length == 0 ? State::kDone : State::kLength;
      break;
    case Framing::kChunked:
      state_ = State::kSize;
      break;
  }
}

std::string_view BodyDecoder::Framed(char c) {
  switch (state_) {
    case State::kSize: {
      const int digit = HexDigit(c);
      if (digit >= 0) {
        if (++digits_ > kMostDigits) return "chunk size too large";
        left_ = left_ * 16 + static_cast<unsigned>(digit);
        return {};
      }
      if (digits_ == 0) return "malformed chunk size";
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (c == ';') {
        state_ = State::kExtension;
      } else {
        return "malformed chunk size";
      }
      return {};
    }
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
      } else if (IsControl(c) || ++overhead_ > kMostOverhead) {
        return "malformed chunk extension";
      }
      return {};
    case State::kSizeLf:
      if (c != '\n') return "malformed chunk size";
      state_ = left_ == 0 ? State::kTrailer : State::kData;
      digits_ = 0;
      return {};
    case State::kDataCr:
      if (c != '\r') return "chunk longer than its size";
      state_ = State::kDataLf;
      return {};
    case State::kDataLf:
      if (c != '\n') return "chunk longer than its size";
      state_ = State::kSize;
      return {};
    case State::kTrailer:
      if (c == '\r') {
        state_ = State::kLastLf;
        return {};
      }
      state_ = State::kTrailerLine;
      [[fallthrough]];
    case State::kTrailerLine:
      if (c == '\r') {
        state_ = State::kTrailerLf;
      } else if (IsControl(c) || ++overhead_ > kMostOverhead) {
        return "malformed trailer";
      }
      return {};
    case State::kTrailerLf:
      if (c != '\n') return "malformed trailer";
      state_ = State::kTrailer;
      return {};
    case State::kLastLf:
      if (c != '\n') return "malformed end of the chunks";
      state_ = State::kDone;
      return {};
    case State::kLength:
    case State::kData:
    case State::kDone:
      break;
  }
  return "malformed chunk";
}

BodyDecoder::Step BodyDecoder::Decode(char* data, std::size_t size) {
  Step step;
  while (step.consumed < size && state_ != State::kDone) {
    if (state_ == State::kLength || state_ == State::kData) {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - step.consumed));
      if (step.produced != step.consumed) {
        std::memmove(data + step.produced, data + step.consumed, n);
      }
      step.produced += n;
      step.consumed += n;
      left_ -= n;
      if (left_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kDataCr;
    } else {
      step.fault = Framed(data[step.consumed]);
      if (!step.fault.empty()) break;
      ++step.consumed;
    }
  }
  return step;
}

}  // namespace cml::net
