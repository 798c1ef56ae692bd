// Who signed an S3 request.
#include <chrono>
#include <memory>

#include "api/objects/http_date.h"
#include "api/objects/s3_call.h"
#include "base/strings.h"
#include "crypto/digest.h"

namespace cml::api::objects {
namespace {

constexpr std::chrono::minutes kWindow{15};
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr std::string_view kHashHeader = "x-amz-content-sha256";

MaybeFault CheckTime(const net::SigV4Claim& claim, SysTime now) {
  const auto signed_at = ParseBasicIso(claim.timestamp);
  if (!signed_at) return Fault{FaultCode::kAccessDenied, "X-Amz-Date is not a date"};
  if (claim.presigned) {
    if (now > *signed_at + std::chrono::seconds(claim.expires_seconds)) {
      return Fault{FaultCode::kAccessDenied, "Request has expired"};
    }
    if (now < *signed_at - kWindow) {
      return Fault{FaultCode::kAccessDenied, "the URL is not valid yet"};
    }
    return std::nullopt;
  }
  if (now > *signed_at + kWindow || now < *signed_at - kWindow) {
    return Fault{FaultCode::kRequestTimeTooSkewed,
                 "the request was signed at " + FormatRfc3339(*signed_at) + ", it is " +
                     FormatRfc3339(now) + " here; at most 15 minutes apart are accepted"};
  }
  return std::nullopt;
}

// A body that is read already and only has to be compared.
class Nowhere final : public objectstore::ObjectWriter {
 public:
  Status Write(std::string_view) override { return Ok{}; }
  Result<objectstore::ObjectInfo> Commit() override { return objectstore::ObjectInfo(); }
};

bool HasBody(const net::Request& request) {
  return request.method == "PUT" || request.method == "POST";
}

std::variant<std::string, Fault> PayloadHash(const net::Request& request,
                                             const net::SigV4Claim& claim) {
  std::string_view value = request.headers.Get(kHashHeader);
  if (claim.presigned && value.empty()) {
    const auto at = request.query.find("X-Amz-Content-Sha256");
    value = at == request.query.end() ? kUnsigned : std::string_view(at->second);
  }
  if (!value.empty()) return std::string(value);
  if (!HasBody(request)) return crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, ""));
  return Fault{FaultCode::kMissingContentSha256,
               "the header x-amz-content-sha256 is missing: the SHA-256 of the body, or "
               "UNSIGNED-PAYLOAD"};
}

}  // namespace

std::variant<S3Call, Fault> Authorise(const Context& context, const net::Request& request) {
  if (request.query.contains("AWSAccessKeyId")) {
    return Fault{FaultCode::kAccessDenied,
                 "the URL is signed with AWS Signature Version 2; use version 4 (boto3: "
                 "Config(signature_version=\"s3v4\"))"};
  }
  auto parsed = net::ParseSigV4(request);
  if (!parsed.ok()) return Fault{FaultCode::kAccessDenied, parsed.error().message()};
  net::SigV4Claim claim = std::move(parsed).value();
  if (claim.scope.service != "s3") {
    return Fault{
        FaultCode::kSignatureDoesNotMatch,
        "signed for the service " + Quote(claim.scope.service) + ", the object store is \"s3\""};
  }
  if (auto fault = CheckTime(claim, context.clock.Now())) return *fault;
  auto caller = context.authenticate(AccessKey(claim.scope.access_key));
  if (!caller.ok() && caller.error().code() == Code::kUnavailable) return FromStore(caller.error());
  auto hash = PayloadHash(request, claim);
  if (auto* fault = std::get_if<Fault>(&hash)) return *fault;
  std::string& payload_hash = std::get<std::string>(hash);
  // An unknown key, a disabled key and a wrong signature get the same answer after the same work.
  static const Secret nobody{std::string(40, 'x')};
  const Secret& secret = caller.ok() ? caller.value().secret : nobody;
  if (!net::VerifySigV4(secret, request, claim, payload_hash).ok() || !caller.ok()) {
    return Fault{FaultCode::kSignatureDoesNotMatch,
                 "the signature is wrong; check access key and secret key, and that nothing on the "
                 "way changes the request"};
  }
  if (caller.value().signature_good) caller.value().signature_good();
  if (context.admit) {
    if (const Status admitted = context.admit(caller.value().who); !admitted.ok()) return FromStore(admitted.error());
  }
  return S3Call{context,
                request,
                SplitTarget(request.target),
                std::move(caller).value(),
                std::move(claim),
                std::move(payload_hash)};
}

MaybeFault CheckSmallBody(const S3Call& call) {
  UploadClaims claims;
  if (call.payload_hash.starts_with("STREAMING-")) {
    return Fault{FaultCode::kNotImplemented, "a chunked body is available for uploads only"};
  }
  if (call.payload_hash != kUnsigned) {
    auto raw = crypto::FromHex(call.payload_hash);
    if (!raw.ok() || raw.value().size() != 32) {
      return Fault{FaultCode::kInvalidArgument,
                   "x-amz-content-sha256 " + Quote(call.payload_hash) + " is no SHA-256"};
    }
    claims.sha256 = std::move(raw).value();
  }
  if (auto fault = ReadClaims(call.request.headers, claims)) return fault;
  UploadBody body(std::make_unique<Nowhere>(), std::move(claims));
  if (auto fault = body.Write(call.request.body)) return fault;
  return body.Finish();
}

}  // namespace cml::api::objects
