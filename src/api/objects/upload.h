// api/objects/upload.h — the body of an upload on its way into the store: its framing taken off,
// its digests compared with what the client announced. One upload per object, not thread-safe.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/objects/aws_chunked.h"
#include "api/objects/fault.h"
#include "crypto/crc.h"
#include "crypto/digest.h"
#include "net/http.h"
#include "objectstore/object_store.h"

namespace cml::api::objects {

inline constexpr std::uint64_t kMostUpload = 5ULL << 30;  // of one request

// What the client says of the body. Digests are raw bytes.
struct UploadClaims {
  std::optional<std::string> md5;
  std::optional<std::string> sha256;
  std::optional<std::uint64_t> length;  // behind the framing
  std::string checksum_name;            // "crc32", "crc32c", "crc64nvme", "sha1", "sha256" or none
  std::optional<std::string> checksum;  // absent: it comes as a trailer
  bool chunked = false;                 // the body is aws-chunked
  std::optional<AwsChunkedDecoder::Signing> signing;  // of the chunks
};

// Content-MD5 (base64, or hex as the FDS client sends it), x-amz-checksum-*, x-amz-trailer,
// x-amz-decoded-content-length.
MaybeFault ReadClaims(const net::Headers& headers, UploadClaims& claims);

// Content-Type, user metadata (`prefix`: "x-amz-meta-"), and the headers of HTTP that belong to the
// object: those are kept in the metadata under a '/' and their name, which no client can send.
MaybeFault ReadPutOptions(const net::Headers& headers, std::string_view prefix,
                          objectstore::PutOptions& options);

bool IsKeptHeader(std::string_view lower_case_name);

class UploadBody {
 public:
  UploadBody(std::unique_ptr<objectstore::ObjectWriter> writer, UploadClaims claims);

  MaybeFault Write(std::string_view bytes);
  MaybeFault Finish();                                           // compares, then commits
  const objectstore::ObjectInfo& info() const { return info_; }  // after Finish
  // "x-amz-checksum-crc32" and its text, where the client sent one.
  std::optional<std::pair<std::string, std::string>> checksum() const;

 private:
  MaybeFault Take(std::string_view bytes);
  MaybeFault Compare();

  std::unique_ptr<objectstore::ObjectWriter> writer_;
  UploadClaims claims_;
  std::optional<AwsChunkedDecoder> decoder_;
  std::uint64_t length_ = 0;
  std::optional<crypto::Digester> md5_, sha256_, checksum_digest_;
  std::optional<crypto::Crc> checksum_crc_;
  std::string checksum_value_;
  objectstore::ObjectInfo info_;
};

}  // namespace cml::api::objects
