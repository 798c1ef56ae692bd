#include "api/objects/aws_chunked.h"

#include <algorithm>

#include "base/strings.h"

namespace cml::api::objects {
namespace {

constexpr std::size_t kMostLine = 1024;
constexpr std::size_t kMostTrailers = 8;
constexpr std::uint64_t kMostChunk = 5ULL << 30;
constexpr std::string_view kSignatureField = "chunk-signature=";

Error Broken(std::string_view why) {
  return Error(Code::kInvalidArgument, "aws-chunked body: " + std::string(why));
}

std::optional<std::uint64_t> ParseHex(std::string_view s) {
  if (s.empty() || s.size() > 10) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : s) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
    if (lower >= '0' && lower <= '9') {
      value = value * 16 + static_cast<std::uint64_t>(lower - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + static_cast<std::uint64_t>(lower - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

}  // namespace

AwsChunkedDecoder::AwsChunkedDecoder(std::optional<Signing> signing)
    : signing_(std::move(signing)) {
  if (signing_) previous_ = signing_->claim.signature;
}

Status AwsChunkedDecoder::Feed(std::string_view bytes, const Output& out) {
  while (!bytes.empty()) {
    if (state_ == State::kDone) return Broken("bytes behind its end");
    if (state_ == State::kData) {
      const std::string_view piece = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
      if (digester_) digester_->Update(piece);
      CML_RETURN_IF_ERROR(out(piece));
      bytes.remove_prefix(piece.size());
      left_ -= piece.size();
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const std::size_t end = bytes.find('\n');
    const std::size_t n = end == std::string_view::npos ? bytes.size() : end + 1;
    if (line_.size() + n > kMostLine) return Broken("a line is too long");
    line_.append(bytes.substr(0, n));
    bytes.remove_prefix(n);
    if (end == std::string_view::npos) return Ok{};
    if (!line_.ends_with("\r\n")) return Broken("a line does not end in CR LF");
    line_.resize(line_.size() - 2);
    CML_RETURN_IF_ERROR(TakeLine(line_));
    line_.clear();
  }
  return Ok{};
}

Status AwsChunkedDecoder::TakeLine(std::string_view line) {
  switch (state_) {
    case State::kSize:
      return TakeSize(line);
    case State::kDataEnd:
      if (!line.empty()) return Broken("a chunk is longer than its size");
      CML_RETURN_IF_ERROR(CheckChunk());
      state_ = State::kSize;
      return Ok{};
    case State::kTrailer:
      return TakeTrailer(line);
    case State::kData:
    case State::kDone:
      break;
  }
  return Broken("a line where none belongs");
}

Status AwsChunkedDecoder::TakeSize(std::string_view line) {
  const std::size_t semicolon = line.find(';');
  const auto size = ParseHex(line.substr(0, semicolon));
  if (!size || *size > kMostChunk) return Broken("a bad chunk size");
  if (signing_) {
    const std::string_view field =
        semicolon == std::string_view::npos ? std::string_view() : line.substr(semicolon + 1);
    if (!field.starts_with(kSignatureField)) return Broken("a chunk without its signature");
    signature_ = field.substr(kSignatureField.size());
    digester_.emplace(crypto::Hash::kSha256);
  }
  left_ = *size;
  state_ = State::kData;
  if (left_ == 0) {
    CML_RETURN_IF_ERROR(CheckChunk());
    state_ = State::kTrailer;
  }
  return Ok{};
}

Status AwsChunkedDecoder::CheckChunk() {
  if (!signing_) return Ok{};
  const std::string right = net::SigV4ChunkSignature(signing_->key, signing_->claim, previous_,
                                                     crypto::ToHex(digester_->Finish()));
  digester_.reset();
  if (!crypto::ConstantTimeEquals(right, signature_)) {
    return Error(Code::kUnauthenticated, "the signature of a chunk is wrong");
  }
  previous_ = right;
  return Ok{};
}

Status AwsChunkedDecoder::TakeTrailer(std::string_view line) {
  if (line.empty()) {
    if (signing_ && !trailers_.empty() && !trailers_signed_) {
      return Error(Code::kUnauthenticated, "the trailers are not signed");
    }
    state_ = State::kDone;
    return Ok{};
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || trailers_.size() == kMostTrailers || trailers_signed_) {
    return Broken("a bad trailer");
  }
  const std::string name = ToLower(Trim(line.substr(0, colon)));
  const std::string_view value = Trim(line.substr(colon + 1));
  if (name == "x-amz-trailer-signature") {
    if (!signing_) return Broken("signed trailers behind unsigned chunks");
    const std::string right = net::SigV4TrailerSignature(
        signing_->key, signing_->claim, previous_,
        crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, trailer_text_)));
    if (!crypto::ConstantTimeEquals(right, value)) {
      return Error(Code::kUnauthenticated, "the signature of the trailers is wrong");
    }
    trailers_signed_ = true;
    return Ok{};
  }
  if (!trailers_.emplace(name, value).second) return Broken("a trailer that comes twice");
  trailer_text_.append(name).append(":").append(value).append("\n");
  return Ok{};
}

Status AwsChunkedDecoder::Finish() const {
  if (state_ == State::kDone) return Ok{};
  return Broken("it ended before its last chunk");
}

}  // namespace cml::api::objects
