#include "api/objects/s3.h"

#include <algorithm>
#include <array>
#include <optional>

#include "api/objects/s3_call.h"
#include "api/objects/upload.h"
#include "base/strings.h"

namespace cml::api::objects {
namespace {

// Sub-resources of S3 that we do not have.
constexpr std::array<std::string_view, 33> kAbsent = {"accelerate",
                                                      "acl",
                                                      "analytics",
                                                      "attributes",
                                                      "cors",
                                                      "encryption",
                                                      "intelligent-tiering",
                                                      "inventory",
                                                      "legal-hold",
                                                      "lifecycle",
                                                      "logging",
                                                      "metadataTable",
                                                      "metrics",
                                                      "notification",
                                                      "object-lock",
                                                      "ownershipControls",
                                                      "policy",
                                                      "policyStatus",
                                                      "publicAccessBlock",
                                                      "renameObject",
                                                      "replication",
                                                      "requestPayment",
                                                      "restore",
                                                      "retention",
                                                      "select",
                                                      "session",
                                                      "tagging",
                                                      "torrent",
                                                      "uploads",
                                                      "versionId",
                                                      "versioning",
                                                      "versions",
                                                      "website"};

Fault NotAllowed(const S3Call& call) {
  return {FaultCode::kMethodNotAllowed, call.request.method + " is not possible here"};
}

MaybeFault CheckSubResources(const S3Call& call) {
  for (const auto& [name, value] : call.request.query) {
    if (std::find(kAbsent.begin(), kAbsent.end(), name) == kAbsent.end()) continue;
    const bool begin_upload =
        name == "uploads" && call.request.method == "POST" && !call.path.key.empty();
    const bool only_version = name == "versionId" && value == "null";
    if (begin_upload || only_version) continue;
    return Fault{FaultCode::kNotImplemented, "\"" + name + "\" is not available"};
  }
  return std::nullopt;
}

S3Outcome OnBucket(const S3Call& call) {
  const std::string& method = call.request.method;
  if (method == "GET") return call.Has("location") ? BucketLocation(call) : ListObjects(call);
  if (method == "HEAD") return HeadBucket(call);
  if (method == "PUT") return MakeBucket(call);
  if (method == "DELETE") return RemoveBucket(call);
  if (method == "POST" && call.Has("delete")) return RemoveObjects(call);
  return NotAllowed(call);
}

S3Outcome OnObject(const S3Call& call) {
  const std::string& method = call.request.method;
  const bool upload = call.Has("uploadId");
  if ((method == "GET" || method == "HEAD") && call.Has("partNumber")) {
    return Fault{FaultCode::kNotImplemented, "reading single parts is not available"};
  }
  if (method == "GET") return upload ? ListParts(call) : GetObject(call);
  if (method == "HEAD") return HeadObject(call);
  if (method == "DELETE") return upload ? AbortUpload(call) : RemoveObject(call);
  if (method == "POST" && call.Has("uploads")) return BeginUpload(call);
  if (method == "POST" && upload) return CompleteUpload(call);
  if (method == "PUT") {  // with x-amz-copy-source: all others are uploads
    if (auto fault = CheckPutHeaders(call.request)) return *fault;
    return upload ? CopyPart(call) : CopyObject(call);
  }
  return NotAllowed(call);
}

bool Writes(const net::Request& request) {
  return request.method != "GET" && request.method != "HEAD";
}

MaybeFault CheckAccess(const S3Call& call) {
  if (call.caller.access == Access::kReadWrite || !Writes(call.request)) return std::nullopt;
  return Fault{FaultCode::kAccessDenied, ReadOnlyMessage(call.caller)};
}

S3Outcome Handle(const Context& context, const net::Request& request) {
  auto authorised = Authorise(context, request);
  if (auto* fault = std::get_if<Fault>(&authorised)) return *fault;
  const S3Call& call = std::get<S3Call>(authorised);
  if (auto fault = CheckAccess(call)) return *fault;
  if (auto fault = CheckSubResources(call)) return *fault;
  if (auto fault = CheckSmallBody(call)) return *fault;
  if (call.path.bucket.empty()) {
    return request.method == "GET" ? ListBuckets(call) : S3Outcome(NotAllowed(call));
  }
  return call.path.key.empty() ? OnBucket(call) : OnObject(call);
}

class Upload final : public net::BodySink {
 public:
  Upload(Context context, const net::Request& head) : context_(std::move(context)), head_(head) {}

  Status Write(std::string_view bytes) override {
    if (!started_) fault_ = Start();
    if (!fault_) fault_ = body_->Write(bytes);
    if (fault_) return Error(Code::kInvalidArgument, fault_->message);
    return Ok{};
  }

  net::Response Finish() override {
    if (!started_) fault_ = Start();
    if (!fault_) fault_ = body_->Finish();
    if (fault_) return XmlFault(*fault_, head_);
    net::Response response;
    response.headers.Add("ETag", "\"" + body_->info().etag + "\"");
    if (auto checksum = body_->checksum()) {
      response.headers.Add(std::move(checksum->first), std::move(checksum->second));
    }
    return response;
  }

  net::Response Failed(const Error& error) override {
    return XmlFault(fault_.value_or(FromStore(error)), head_);
  }

 private:
  MaybeFault Start() {
    started_ = true;
    auto authorised = Authorise(context_, head_);
    if (auto* fault = std::get_if<Fault>(&authorised)) return *fault;
    const S3Call& call = std::get<S3Call>(authorised);
    if (auto fault = CheckAccess(call)) return fault;
    if (auto fault = CheckSubResources(call)) return fault;
    if (auto fault = CheckPutHeaders(head_)) return fault;
    UploadClaims claims;
    if (auto fault = ReadPayload(call, claims)) return fault;
    if (auto fault = ReadClaims(head_.headers, claims)) return fault;
    auto opened = Open(call);
    if (auto* fault = std::get_if<Fault>(&opened)) return *fault;
    body_.emplace(std::move(std::get<std::unique_ptr<objectstore::ObjectWriter>>(opened)),
                  std::move(claims));
    return std::nullopt;
  }

  static MaybeFault ReadPayload(const S3Call& call, UploadClaims& claims) {
    const std::string& hash = call.payload_hash;
    if (hash == "UNSIGNED-PAYLOAD") return std::nullopt;
    const bool signed_chunks = hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" ||
                               hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
    if (signed_chunks || hash == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
      claims.chunked = true;
      if (signed_chunks) {
        claims.signing = AwsChunkedDecoder::Signing{
            net::SigV4SigningKey(call.caller.secret, call.claim.scope), call.claim};
      }
      return std::nullopt;
    }
    auto raw = crypto::FromHex(hash);
    if (!raw.ok() || raw.value().size() != 32) {
      return Fault{
          hash.starts_with("STREAMING-") ? FaultCode::kNotImplemented : FaultCode::kInvalidArgument,
          "x-amz-content-sha256 " + Quote(hash) + " is not available"};
    }
    claims.sha256 = std::move(raw).value();
    return std::nullopt;
  }

  std::variant<std::unique_ptr<objectstore::ObjectWriter>, Fault> Open(const S3Call& call) {
    const ObjectPath& path = call.path;
    if (call.Has("uploadId")) {
      const auto number = PartNumber(call);
      if (auto* fault = std::get_if<Fault>(&number)) return *fault;
      auto part = call.store().PutPart(call.org(), path.bucket, std::string(call.Query("uploadId")),
                                       std::get<int>(number));
      if (!part.ok()) return FromStore(part.error(), {.missing = FaultCode::kNoSuchUpload});
      return std::move(part).value();
    }
    objectstore::PutOptions options;
    if (auto fault = ReadPutOptions(head_.headers, "x-amz-meta-", options)) return *fault;
    auto object = call.store().Put(call.org(), path.bucket, path.key, std::move(options));
    if (!object.ok()) return FromStore(object.error());
    return std::move(object).value();
  }

  const Context context_;
  const net::Request head_;
  bool started_ = false;
  MaybeFault fault_;
  std::optional<UploadBody> body_;
};

}  // namespace

std::string_view S3Call::Query(const std::string& name) const {
  const auto at = request.query.find(name);
  return at == request.query.end() ? std::string_view() : std::string_view(at->second);
}

net::Response XmlAnswer(XmlWriter& xml) {
  net::Response response;
  response.headers.Add("Content-Type", "application/xml");
  response.body = xml.Finish();
  return response;
}

std::string XmlTime(SysTime t) {
  std::string text = FormatRfc3339(t);  // whole seconds; clients want a fraction
  if (text.ends_with('Z')) text.replace(text.size() - 1, 1, ".000Z");
  return text;
}

Fault ObjectFault(const S3Call& call, const std::string& bucket, const Error& error) {
  if (error.code() != Code::kNotFound) return FromStore(error);
  const bool there = call.store().Bucket(call.org(), bucket).ok();
  return FromStore(error, {there ? FaultCode::kNoSuchKey : FaultCode::kNoSuchBucket,
                           FaultCode::kInvalidArgument});
}

net::Response HandleS3(const Context& context, const net::Request& request) {
  S3Outcome outcome = Handle(context, request);
  if (auto* fault = std::get_if<Fault>(&outcome)) return XmlFault(*fault, request);
  return std::move(std::get<net::Response>(outcome));
}

bool IsS3Upload(const net::Request& head) {
  return head.method == "PUT" && !head.headers.Has("x-amz-copy-source") &&
         !SplitTarget(head.target).key.empty();
}

std::unique_ptr<net::BodySink> MakeS3Upload(Context context, const net::Request& head) {
  return std::make_unique<Upload>(std::move(context), head);
}

}  // namespace cml::api::objects
