#include "api/objects/fault.h"

#include "api/objects/xml.h"
#include "codec/messages.h"

namespace cml::api::objects {
namespace {

struct Row {
  std::string_view name;
  int status;
};

Row RowOf(FaultCode code) {
  switch (code) {
    case FaultCode::kAccessDenied:
      return {"AccessDenied", 403};
    case FaultCode::kBadDigest:
      return {"BadDigest", 400};
    case FaultCode::kBucketAlreadyOwnedByYou:
      return {"BucketAlreadyOwnedByYou", 409};
    case FaultCode::kBucketNotEmpty:
      return {"BucketNotEmpty", 409};
    case FaultCode::kEntityTooLarge:
      return {"EntityTooLarge", 400};
    case FaultCode::kEntityTooSmall:
      return {"EntityTooSmall", 400};
    case FaultCode::kIncompleteBody:
      return {"IncompleteBody", 400};
    case FaultCode::kInternalError:
      return {"InternalError", 500};
    case FaultCode::kInvalidArgument:
      return {"InvalidArgument", 400};
    case FaultCode::kInvalidBucketName:
      return {"InvalidBucketName", 400};
    case FaultCode::kInvalidDigest:
      return {"InvalidDigest", 400};
    case FaultCode::kInvalidPart:
      return {"InvalidPart", 400};
    case FaultCode::kInvalidPartOrder:
      return {"InvalidPartOrder", 400};
    case FaultCode::kInvalidRange:
      return {"InvalidRange", 416};
    case FaultCode::kInvalidRequest:
      return {"InvalidRequest", 400};
    case FaultCode::kMalformedXml:
      return {"MalformedXML", 400};
    case FaultCode::kMethodNotAllowed:
      return {"MethodNotAllowed", 405};
    case FaultCode::kMissingContentSha256:
      return {"MissingContentSHA256", 400};
    case FaultCode::kNoSuchBucket:
      return {"NoSuchBucket", 404};
    case FaultCode::kNoSuchKey:
      return {"NoSuchKey", 404};
    case FaultCode::kNoSuchUpload:
      return {"NoSuchUpload", 404};
    case FaultCode::kNotImplemented:
      return {"NotImplemented", 501};
    case FaultCode::kPreconditionFailed:
      return {"PreconditionFailed", 412};
    case FaultCode::kRequestTimeTooSkewed:
      return {"RequestTimeTooSkewed", 403};
    case FaultCode::kServiceUnavailable:
      return {"ServiceUnavailable", 503};
    case FaultCode::kSignatureDoesNotMatch:
      return {"SignatureDoesNotMatch", 403};
    case FaultCode::kSlowDown:
      return {"SlowDown", 503};
    case FaultCode::kContentSha256Mismatch:
      return {"XAmzContentSHA256Mismatch", 400};
  }
  return {"InternalError", 500};
}

}  // namespace

std::string_view NameOf(FaultCode code) { return RowOf(code).name; }
int StatusOf(FaultCode code) { return RowOf(code).status; }

Fault FromStore(const Error& error, StoreErrorMeaning meaning) {
  FaultCode code = FaultCode::kInternalError;
  switch (error.code()) {
    case Code::kInvalidArgument:
      code = meaning.wrong;
      break;
    case Code::kNotFound:
      code = meaning.missing;
      break;
    case Code::kAlreadyExists:
      code = FaultCode::kBucketAlreadyOwnedByYou;
      break;
    case Code::kFailedPrecondition:
      code = meaning.conflict;
      break;
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
      code = FaultCode::kAccessDenied;
      break;
    case Code::kThrottled:
      code = FaultCode::kSlowDown;
      break;
    case Code::kKeyReused:
      break;
    case Code::kConflict:
    case Code::kQuotaExceeded:
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      code = FaultCode::kServiceUnavailable;
      break;
    case Code::kDataLoss:
    case Code::kInternal:
      break;
  }
  return {code, error.message()};
}

net::Response XmlFault(const Fault& fault, const net::Request& request) {
  net::Response response;
  response.status = StatusOf(fault.code);
  response.headers.Add("Content-Type", "application/xml");
  if (response.status == 503) response.headers.Add("Retry-After", "1");
  XmlWriter xml("Error", XmlSpace::kNone);
  xml.Add("Code", NameOf(fault.code)).Add("Message", fault.message);
  xml.Add("Resource", request.path).Add("RequestId", request.id);
  response.body = xml.Finish();
  return response;
}

net::Response JsonFault(const Fault& fault) {
  net::Response response;
  response.status = StatusOf(fault.code);
  response.headers.Add("Content-Type", "application/json");
  if (response.status == 503) response.headers.Add("Retry-After", "1");
  response.body = codec::EncodeMessage(codec::IsError::kYes, fault.message);
  return response;
}

}  // namespace cml::api::objects
