// net/body_decoder.h — takes the framing off a request body, in place and piece by piece; private
// to net. RFC 9112, sections 6 and 7.1. Chunk extensions and trailers are read and dropped.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/request_head.h"

namespace cml::net {

class BodyDecoder {
 public:
  BodyDecoder() = default;
  BodyDecoder(Framing framing, std::uint64_t length);

  struct Step {
    std::size_t consumed = 0;  // bytes of framing and body together
    std::size_t produced = 0;  // bytes of body: they now lie at the beginning of `data`
    std::string_view fault;    // not empty: broken framing, a literal
  };
  Step Decode(char* data, std::size_t size);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State {
    kLength,
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kTrailerLine,
    kTrailerLf,
    kLastLf,
    kDone
  };
  std::string_view Framed(char c);  // one byte that is not data; the fault, if any

  State state_ = State::kDone;
  std::uint64_t left_ = 0;  // of the body or of this chunk
  unsigned digits_ = 0;
  std::size_t overhead_ = 0;  // bytes of extensions and trailers so far
};

}  // namespace cml::net
