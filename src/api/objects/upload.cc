#include "api/objects/upload.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace cml::api::objects {
namespace {

constexpr std::string_view kChecksumHeader = "x-amz-checksum-";
constexpr std::array<std::pair<std::string_view, std::size_t>, 5> kChecksums = {
    {{"crc32", 4}, {"crc32c", 4}, {"crc64nvme", 8}, {"sha1", 20}, {"sha256", 32}}};
// Headers of HTTP that come back with the object.
constexpr std::array<std::string_view, 5> kKept = {
    "cache-control", "content-disposition", "content-encoding", "content-language", "expires"};
constexpr std::size_t kMostMetadata = 2048;  // names and values together (S3 API reference)

std::optional<std::string> DigestFromText(std::string_view text, std::size_t bytes) {
  auto raw = text.size() == 2 * bytes ? crypto::FromHex(text) : crypto::FromBase64(text);
  if (!raw.ok() || raw.value().size() != bytes) return std::nullopt;
  return std::move(raw).value();
}

Fault TooLarge() {
  return {FaultCode::kEntityTooLarge, "one request uploads at most 5 GiB; use a multipart upload"};
}

std::string WithoutAwsChunked(std::string_view encodings) {
  std::string kept;
  for (std::string_view e : Split(encodings, ',')) {
    e = Trim(e);
    if (e.empty() || EqualsIgnoreCase(e, "aws-chunked")) continue;
    if (!kept.empty()) kept += ",";
    kept += e;
  }
  return kept;
}

}  // namespace

MaybeFault ReadClaims(const net::Headers& headers, UploadClaims& claims) {
  if (headers.Has("Content-MD5")) {
    claims.md5 = DigestFromText(Trim(headers.Get("Content-MD5")), 16);
    if (!claims.md5) return Fault{FaultCode::kInvalidDigest, "Content-MD5 is not an MD5"};
  }
  for (const auto& [name, bytes] : kChecksums) {
    const std::string header = std::string(kChecksumHeader) + std::string(name);
    const bool trails = EqualsIgnoreCase(Trim(headers.Get("x-amz-trailer")), header);
    if (!trails && !headers.Has(header)) continue;
    if (!claims.checksum_name.empty()) {
      return Fault{FaultCode::kInvalidRequest, "more than one x-amz-checksum"};
    }
    claims.checksum_name = name;
    if (trails) continue;
    const auto raw = crypto::FromBase64(Trim(headers.Get(header)));
    if (!raw.ok() || raw.value().size() != bytes) {
      return Fault{FaultCode::kInvalidRequest, "the value of " + header + " is not base64 of " +
                                                   std::to_string(bytes) + " bytes"};
    }
    claims.checksum = raw.value();
  }
  if (headers.Has("x-amz-trailer") && (claims.checksum_name.empty() || !claims.chunked)) {
    return Fault{FaultCode::kInvalidRequest,
                 "x-amz-trailer " + Quote(headers.Get("x-amz-trailer")) + " is not available"};
  }
  if (claims.chunked) {
    claims.length = ParseUnsigned(headers.Get("x-amz-decoded-content-length"));
    if (!claims.length) {
      return Fault{FaultCode::kInvalidArgument, "x-amz-decoded-content-length must be a number"};
    }
  } else {
    claims.length = ParseUnsigned(headers.Get("Content-Length"));
  }
  if (claims.length.value_or(0) > kMostUpload) return TooLarge();
  return std::nullopt;
}

MaybeFault ReadPutOptions(const net::Headers& headers, std::string_view prefix,
                          objectstore::PutOptions& options) {
  options.content_type = std::string(headers.Get("Content-Type"));
  std::size_t total = 0;
  for (const auto& [name, value] : headers.all()) {
    const std::string lower = ToLower(name);
    if (!lower.starts_with(prefix) || lower.size() == prefix.size()) continue;
    std::string& kept = options.metadata[lower.substr(prefix.size())];
    if (!kept.empty()) kept += ",";
    kept += Trim(value);
    total += lower.size() - prefix.size() + value.size();
  }
  if (total > kMostMetadata) {
    return Fault{FaultCode::kInvalidArgument, "metadata is longer than 2048 bytes"};
  }
  for (const std::string_view name : kKept) {
    std::string value(headers.Get(name));
    if (name == "content-encoding") value = WithoutAwsChunked(value);
    if (!value.empty()) options.metadata["/" + std::string(name)] = value;
  }
  return std::nullopt;
}

bool IsKeptHeader(std::string_view name) {
  return std::find(kKept.begin(), kKept.end(), name) != kKept.end();
}

UploadBody::UploadBody(std::unique_ptr<objectstore::ObjectWriter> writer, UploadClaims claims)
    : writer_(std::move(writer)), claims_(std::move(claims)) {
  if (claims_.chunked) decoder_.emplace(std::move(claims_.signing));
  if (claims_.md5) md5_.emplace(crypto::Hash::kMd5);
  if (claims_.sha256) sha256_.emplace(crypto::Hash::kSha256);
  const std::string& name = claims_.checksum_name;
  if (name == "crc32") checksum_crc_.emplace(crypto::CrcKind::kCrc32);
  if (name == "crc32c") checksum_crc_.emplace(crypto::CrcKind::kCrc32c);
  if (name == "crc64nvme") checksum_crc_.emplace(crypto::CrcKind::kCrc64Nvme);
  if (name == "sha1") checksum_digest_.emplace(crypto::Hash::kSha1);
  if (name == "sha256") checksum_digest_.emplace(crypto::Hash::kSha256);
}

MaybeFault UploadBody::Write(std::string_view bytes) {
  if (!decoder_) return Take(bytes);
  MaybeFault fault;
  const Status fed = decoder_->Feed(bytes, [this, &fault](std::string_view piece) -> Status {
    fault = Take(piece);
    return fault ? Status(Error(Code::kInternal, fault->message)) : Status(Ok{});
  });
  if (fault || fed.ok()) return fault;
  return Fault{fed.error().code() == Code::kUnauthenticated ? FaultCode::kSignatureDoesNotMatch
                                                            : FaultCode::kIncompleteBody,
               fed.error().message()};
}

MaybeFault UploadBody::Take(std::string_view bytes) {
  length_ += bytes.size();
  if (length_ > kMostUpload) return TooLarge();
  if (md5_) md5_->Update(bytes);
  if (sha256_) sha256_->Update(bytes);
  if (checksum_digest_) checksum_digest_->Update(bytes);
  if (checksum_crc_) checksum_crc_->Update(bytes);
  if (auto s = writer_->Write(bytes); !s.ok()) return FromStore(s.error());
  return std::nullopt;
}

MaybeFault UploadBody::Compare() {
  if (decoder_) {
    if (auto s = decoder_->Finish(); !s.ok()) {
      return Fault{FaultCode::kIncompleteBody, s.error().message()};
    }
  }
  if (claims_.length && *claims_.length != length_) {
    return Fault{FaultCode::kIncompleteBody, "the body has " + std::to_string(length_) +
                                                 " bytes, announced were " +
                                                 std::to_string(*claims_.length)};
  }
  if (md5_ && md5_->Finish() != *claims_.md5) {
    return Fault{FaultCode::kBadDigest, "the body does not have the announced Content-MD5"};
  }
  if (sha256_ && sha256_->Finish() != *claims_.sha256) {
    return Fault{FaultCode::kContentSha256Mismatch,
                 "the body does not have the announced x-amz-content-sha256"};
  }
  if (claims_.checksum_name.empty()) return std::nullopt;
  checksum_value_ = checksum_crc_ ? checksum_crc_->bytes() : checksum_digest_->Finish();
  const std::string header = std::string(kChecksumHeader) + claims_.checksum_name;
  if (!claims_.checksum) {
    const auto at = decoder_->trailers().find(header);
    if (at == decoder_->trailers().end()) {
      return Fault{FaultCode::kIncompleteBody, "the trailer " + header + " is missing"};
    }
    auto raw = crypto::FromBase64(at->second);
    claims_.checksum = raw.ok() ? std::move(raw).value() : std::string();
  }
  if (*claims_.checksum != checksum_value_) {
    return Fault{FaultCode::kBadDigest, "the body does not have the announced " + header};
  }
  return std::nullopt;
}

MaybeFault UploadBody::Finish() {
  if (auto fault = Compare()) return fault;
  auto committed = writer_->Commit();
  if (!committed.ok()) return FromStore(committed.error());
  info_ = std::move(committed).value();
  return std::nullopt;
}

std::optional<std::pair<std::string, std::string>> UploadBody::checksum() const {
  if (checksum_value_.empty()) return std::nullopt;
  return std::pair(std::string(kChecksumHeader) + claims_.checksum_name,
                   crypto::ToBase64(checksum_value_));
}

}  // namespace cml::api::objects
