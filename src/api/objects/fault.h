// api/objects/fault.h — what can be wrong with a request to the object store, in the codes of the
// S3 API reference ("Error responses"). Pure values.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace cml::api::objects {

enum class FaultCode {
  kAccessDenied,
  kBadDigest,
  kBucketAlreadyOwnedByYou,
  kBucketNotEmpty,
  kEntityTooLarge,
  kEntityTooSmall,
  kIncompleteBody,
  kInternalError,
  kInvalidAccessKeyId,
  kInvalidArgument,
  kInvalidBucketName,
  kInvalidDigest,
  kInvalidPart,
  kInvalidPartOrder,
  kInvalidRange,
  kInvalidRequest,
  kMalformedXml,
  kMethodNotAllowed,
  kMissingContentSha256,
  kNoSuchBucket,
  kNoSuchKey,
  kNoSuchUpload,
  kNotImplemented,
  kPreconditionFailed,
  kRequestTimeTooSkewed,
  kServiceUnavailable,
  kSignatureDoesNotMatch,
  kContentSha256Mismatch,
};

std::string_view NameOf(FaultCode code);  // "NoSuchKey"
int StatusOf(FaultCode code);             // HTTP

struct Fault {
  FaultCode code = FaultCode::kInternalError;
  std::string message;  // for the client
};
using MaybeFault = std::optional<Fault>;

// For an error of the object store; `missing` is what kNotFound means here, `wrong` what
// kInvalidArgument does.
struct StoreErrorMeaning {
  FaultCode missing = FaultCode::kNoSuchBucket;
  FaultCode wrong = FaultCode::kInvalidArgument;
};
Fault FromStore(const Error& error, StoreErrorMeaning meaning = {});

net::Response XmlFault(const Fault& fault, const net::Request& request);
net::Response JsonFault(const Fault& fault);  // for the FDS interface

}  // namespace cml::api::objects
