#include "api/objects/fds.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <variant>

#include "api/objects/download.h"
#include "api/objects/fault.h"
#include "api/objects/http_date.h"
#include "api/objects/upload.h"
#include "base/strings.h"
#include "codec/document.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::api::objects {
namespace {

using codec::Document;

constexpr std::string_view kScheme = "Galaxy-V2 ";
constexpr std::string_view kMetadata = "x-xiaomi-meta-";
constexpr std::chrono::minutes kWindow{15};
constexpr std::int64_t kMostParts = 10'000;

struct Call {
  const Context& context;
  const net::Request& request;
  ObjectPath path;
  AccessKey key;
  Caller caller;

  objectstore::ObjectStore& store() const { return context.store; }
  const OrgId& org() const { return caller.org; }
  bool Has(const std::string& name) const { return request.query.contains(name); }
  std::string Query(const std::string& name) const {
    const auto at = request.query.find(name);
    return at == request.query.end() ? std::string() : at->second;
  }
};

using Outcome = std::variant<net::Response, Fault>;

std::variant<Call, Fault> Authorise(const Context& context, const net::Request& request) {
  std::string_view field = request.headers.Get("Authorization");
  field.remove_prefix(std::min(kScheme.size(), field.size()));
  const std::size_t colon = field.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return Fault{FaultCode::kSignatureDoesNotMatch,
                 "Authorization must be Galaxy-V2 KEY:SIGNATURE"};
  }
  AccessKey key{std::string(field.substr(0, colon))};
  std::string_view date = request.headers.Get("x-xiaomi-date");
  if (date.empty()) date = request.headers.Get("Date");
  const auto at = ParseHttpDate(Trim(date));
  const SysTime now = context.clock.Now();
  if (!at || now > *at + kWindow || now < *at - kWindow) {
    return Fault{FaultCode::kRequestTimeTooSkewed,
                 "Date " + Quote(date) + " is not within 15 minutes of " + FormatHttpDate(now)};
  }
  auto caller = context.authenticate(key);
  if (!caller.ok() && caller.error().code() == Code::kUnavailable) return FromStore(caller.error());
  // An unknown key and a wrong signature get the same answer.
  const Fault wrong{FaultCode::kSignatureDoesNotMatch, "signature is wrong"};
  if (!caller.ok()) return wrong;
  const std::string right = net::GalaxyV2Signature(caller.value().secret, request.method,
                                                   request.target, request.headers);
  if (!crypto::ConstantTimeEquals(right, field.substr(colon + 1))) return wrong;
  if (caller.value().signature_good) caller.value().signature_good();
  if (context.admit) {
    if (const Status admitted = context.admit(caller.value().who); !admitted.ok()) return FromStore(admitted.error());
  }
  Call call{context, request, SplitTarget(request.target), std::move(key),
            std::move(caller).value()};
  if (call.caller.access == Access::kRead && request.method != "GET" && request.method != "HEAD") {
    return Fault{FaultCode::kAccessDenied, ReadOnlyMessage(call.caller)};
  }
  return call;
}

net::Response Json(const Document& document) {
  net::Response response;
  response.headers.Add("Content-Type", "application/json");
  response.body = document.Dump();
  return response;
}

// The client reads all five keys, though signature and expiry mean nothing after an upload.
net::Response PutAnswer(const Call& call) {
  Document d;
  d.Set("bucketName", call.path.bucket).Set("objectName", call.path.key);
  d.Set("accessKeyId", call.key.str()).Set("signature", "").Set("expires", Document::Integer(0));
  return Json(d);
}

Outcome ReadObject(const Call& call) {
  const bool head = call.request.method == "HEAD";
  std::unique_ptr<objectstore::ObjectReader> reader;
  objectstore::ObjectInfo info;
  if (head) {
    auto found = call.store().Stat(call.org(), call.path.bucket, call.path.key);
    if (!found.ok()) return FromStore(found.error(), {.missing = FaultCode::kNoSuchKey});
    info = std::move(found).value();
  } else {
    auto opened = call.store().Open(call.org(), call.path.bucket, call.path.key);
    if (!opened.ok()) return FromStore(opened.error(), {.missing = FaultCode::kNoSuchKey});
    reader = std::move(opened).value();
    info = reader->info();
  }
  net::Response response;
  if (auto fault = Answer({call.request, info, kMetadata}, std::move(reader), response)) {
    net::Response refused = JsonFault(*fault);
    for (const auto& [name, value] : response.headers.all()) refused.headers.Add(name, value);
    return refused;
  }
  if (info.etag.size() == 32) response.headers.Add("Content-MD5", info.etag);
  return response;
}

Outcome ReadBucket(const Call& call) {
  auto bucket = call.store().Bucket(call.org(), call.path.bucket);
  if (!bucket.ok()) return FromStore(bucket.error());
  if (call.request.method == "HEAD") return net::Response();
  return Fault{FaultCode::kNotImplemented, "listing a bucket is available through S3 only"};
}

Outcome BeginParts(const Call& call) {
  objectstore::PutOptions options;
  if (auto fault = ReadPutOptions(call.request.headers, kMetadata, options)) return *fault;
  auto upload =
      call.store().BeginUpload(call.org(), call.path.bucket, call.path.key, std::move(options));
  if (!upload.ok()) return FromStore(upload.error());
  Document d;
  d.Set("bucketName", call.path.bucket).Set("objectName", call.path.key);
  d.Set("uploadId", upload.value());
  return Json(d);
}

// {"uploadPartResultList": [{"partNumber", "etag", "partSize"}]}; a client that sends none means
// all parts.
std::vector<objectstore::PartInfo> ListedParts(std::string_view body) {
  std::vector<objectstore::PartInfo> parts;
  auto document = Document::Parse(body);
  if (!document.ok()) return parts;
  for (const Document& item : document.value().Get("uploadPartResultList").Items()) {
    const std::int64_t number = item.Get("partNumber").Int();
    if (number < 1 || number > kMostParts) continue;
    parts.push_back({static_cast<int>(number), 0, item.Get("etag").Str()});
  }
  std::sort(parts.begin(), parts.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return parts;
}

Outcome CompleteParts(const Call& call) {
  auto done = call.store().CompleteUpload(call.org(), call.path.bucket, call.Query("uploadId"),
                                          ListedParts(call.request.body));
  if (!done.ok()) {
    return FromStore(done.error(), {FaultCode::kNoSuchUpload, FaultCode::kInvalidPart});
  }
  return PutAnswer(call);
}

Outcome Remove(const Call& call) {
  auto removed =
      call.Has("uploadId")
          ? call.store().AbortUpload(call.org(), call.path.bucket, call.Query("uploadId"))
          : call.store().Remove(call.org(), call.path.bucket, call.path.key);
  if (!removed.ok()) return FromStore(removed.error());
  return Json(Document::Object());
}

Outcome Handle(const Context& context, const net::Request& request) {
  auto authorised = Authorise(context, request);
  if (auto* fault = std::get_if<Fault>(&authorised)) return *fault;
  const Call& call = std::get<Call>(authorised);
  const std::string& method = request.method;
  const bool object = !call.path.key.empty();
  for (const char* absent : {"acl", "quota", "metadata", "storageAccessToken"}) {
    if (call.Has(absent)) {
      return Fault{FaultCode::kNotImplemented, "\"" + std::string(absent) + "\" is not available"};
    }
  }
  if (method == "GET" || method == "HEAD") {
    if (call.path.bucket.empty()) {
      return Fault{FaultCode::kNotImplemented, "listing buckets is available through S3 only"};
    }
    return object ? ReadObject(call) : ReadBucket(call);
  }
  if (method == "PUT" && object && call.Has("uploads")) return BeginParts(call);
  if (method == "PUT" && object && call.Has("uploadId")) return CompleteParts(call);
  if (method == "PUT" && !object && !call.path.bucket.empty()) {
    auto made = call.store().MakeBucket(call.org(), call.path.bucket);
    if (!made.ok()) return FromStore(made.error(), {.wrong = FaultCode::kInvalidBucketName});
    return Json(Document::Object());
  }
  if (method == "DELETE" && object) return Remove(call);
  return Fault{FaultCode::kMethodNotAllowed, method + " is not possible here"};
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
    if (fault_) return JsonFault(*fault_);
    if (part_number_ == 0) return PutAnswer(*call_);
    Document d;
    d.Set("partNumber", Document::Integer(part_number_)).Set("etag", body_->info().etag);
    d.Set("partSize", Document::Integer(static_cast<std::int64_t>(body_->info().size)));
    return Json(d);
  }

  net::Response Failed(const Error& error) override {
    return JsonFault(fault_.value_or(FromStore(error)));
  }

 private:
  MaybeFault Start() {
    started_ = true;
    auto authorised = Authorise(context_, head_);
    if (auto* fault = std::get_if<Fault>(&authorised)) return *fault;
    call_.emplace(std::move(std::get<Call>(authorised)));
    UploadClaims claims;
    if (auto fault = ReadClaims(head_.headers, claims)) return fault;
    auto opened = Open();
    if (auto* fault = std::get_if<Fault>(&opened)) return *fault;
    body_.emplace(std::move(std::get<std::unique_ptr<objectstore::ObjectWriter>>(opened)),
                  std::move(claims));
    return std::nullopt;
  }

  std::variant<std::unique_ptr<objectstore::ObjectWriter>, Fault> Open() {
    const Call& call = *call_;
    if (call.Has("partNumber")) {
      const auto number = ParseInt(call.Query("partNumber"));
      if (!number || *number < 1 || *number > kMostParts) {
        return Fault{FaultCode::kInvalidArgument, "partNumber must be a number from 1 to 10000"};
      }
      part_number_ = static_cast<int>(*number);
      auto part =
          call.store().PutPart(call.org(), call.path.bucket, call.Query("uploadId"), part_number_);
      if (!part.ok()) return FromStore(part.error(), {.missing = FaultCode::kNoSuchUpload});
      return std::move(part).value();
    }
    objectstore::PutOptions options;
    if (auto fault = ReadPutOptions(head_.headers, kMetadata, options)) return *fault;
    auto object = call.store().Put(call.org(), call.path.bucket, call.path.key, std::move(options));
    if (!object.ok()) return FromStore(object.error());
    return std::move(object).value();
  }

  const Context context_;
  const net::Request head_;
  bool started_ = false;
  MaybeFault fault_;
  std::optional<Call> call_;
  std::optional<UploadBody> body_;
  int part_number_ = 0;  // 0: a whole object
};

}  // namespace

bool IsFds(const net::Request& head) {
  return head.headers.Get("Authorization").starts_with(kScheme);
}

net::Response HandleFds(const Context& context, const net::Request& request) {
  Outcome outcome = Handle(context, request);
  if (auto* fault = std::get_if<Fault>(&outcome)) return JsonFault(*fault);
  return std::move(std::get<net::Response>(outcome));
}

bool IsFdsUpload(const net::Request& head) {
  const auto has = [&head](const char* name) { return head.query.contains(name); };
  return head.method == "PUT" && !has("uploads") && (!has("uploadId") || has("partNumber")) &&
         !SplitTarget(head.target).key.empty();
}

std::unique_ptr<net::BodySink> MakeFdsUpload(Context context, const net::Request& head) {
  return std::make_unique<Upload>(std::move(context), head);
}

}  // namespace cml::api::objects
