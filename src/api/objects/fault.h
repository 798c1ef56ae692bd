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
  kSlowDown,
  kContentSha256Mismatch,
};

std::string_view NameOf(FaultCode code);  // "NoSuchKey"
int StatusOf(FaultCode code);             // HTTP

struct Fault {
  FaultCode code = FaultCode::kInternalError;
  std::string message;  // for the client
};
using MaybeFault = std::optional<Fault>;

// What some errors of the object store mean where they occur.
struct StoreErrorMeaning {
  FaultCode missing = FaultCode::kNoSuchBucket;     // kNotFound
  FaultCode wrong = FaultCode::kInvalidArgument;    // kInvalidArgument
  FaultCode conflict = FaultCode::kInvalidRequest;  // kFailedPrecondition
};
Fault FromStore(const Error& error, StoreErrorMeaning meaning = {});

net::Response XmlFault(const Fault& fault, const net::Request& request);
net::Response JsonFault(const Fault& fault);  // for the FDS interface

}  // namespace cml::api::objects
