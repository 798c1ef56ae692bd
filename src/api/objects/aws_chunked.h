// api/objects/aws_chunked.h — the aws-chunked form of an upload's body, taken apart as it comes:
// chunks with their size, a signature each where the client signs them, and trailers behind the
// last one ("Signature calculations for the Authorization header", Amazon S3 API reference).
//
// One upload per object, not thread-safe. kUnauthenticated: a chunk's or the trailers' signature is
// wrong; kInvalidArgument: broken framing. Bytes reach `out` before their chunk's signature has
// been checked: nothing may be kept before Finish has said OK.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::api::objects {

class AwsChunkedDecoder {
 public:
  struct Signing {
    std::string key;        // SigV4SigningKey
    net::SigV4Claim claim;  // of the request: the first chunk continues its signature
  };
  using Output = std::function<Status(std::string_view)>;

  // Without `signing` the chunks carry no signatures.
  explicit AwsChunkedDecoder(std::optional<Signing> signing);

  Status Feed(std::string_view bytes, const Output& out);
  Status Finish() const;  // kInvalidArgument: the body ended too early
  const std::map<std::string, std::string>& trailers() const { return trailers_; }

 private:
  enum class State { kSize, kData, kDataEnd, kTrailer, kDone };

  Status TakeLine(std::string_view line);
  Status TakeSize(std::string_view line);
  Status TakeTrailer(std::string_view line);
  Status CheckChunk();

  std::optional<Signing> signing_;
  State state_ = State::kSize;
  std::string line_;
  std::uint64_t left_ = 0;  // of the chunk
  std::string signature_;   // that the chunk announced
  std::string previous_;    // signature
  std::optional<crypto::Digester> digester_;
  std::string trailer_text_;      // as it is signed
  bool trailers_signed_ = false;  // their signature was there and right
  std::map<std::string, std::string> trailers_;
};

}  // namespace cml::api::objects
