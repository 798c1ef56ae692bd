// Operations on objects, but for the uploads that come with a body (s3.cc).
#include <algorithm>
#include <array>

#include "api/objects/download.h"
#include "api/objects/s3_call.h"
#include "base/strings.h"

namespace cml::api::objects {
namespace {

constexpr std::size_t kCopyPiece = 1 << 20;

// Query parameters that replace a header of the answer, for signed requests only.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOverrides = {
    {{"response-cache-control", "Cache-Control"},
     {"response-content-disposition", "Content-Disposition"},
     {"response-content-encoding", "Content-Encoding"},
     {"response-content-language", "Content-Language"},
     {"response-content-type", "Content-Type"}}};

MaybeFault Override(const S3Call& call, net::Headers& headers) {
  for (const auto& [parameter, header] : kOverrides) {
    const std::string_view value = call.Query(std::string(parameter));
    if (value.empty()) continue;
    for (const char c : value) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        return Fault{FaultCode::kInvalidArgument,
                     std::string(parameter) + " must not contain control characters"};
      }
    }
    headers.Set(std::string(header), std::string(value));
  }
  return std::nullopt;
}

S3Outcome Send(const S3Call& call, const objectstore::ObjectInfo& info,
               std::unique_ptr<objectstore::ObjectReader> reader) {
  net::Response response;
  if (auto fault = Answer({call.request, info, "x-amz-meta-"}, std::move(reader), response)) {
    net::Response refused = XmlFault(*fault, call.request);
    for (const auto& [name, value] : response.headers.all()) refused.headers.Add(name, value);
    return refused;
  }
  if (auto fault = Override(call, response.headers)) return *fault;
  return response;
}

// "/bucket/key" percent-encoded, the first slash optional.
std::variant<ObjectPath, Fault> CopySource(const S3Call& call) {
  std::string source(call.request.headers.Get("x-amz-copy-source"));
  if (!source.starts_with('/')) source = "/" + source;
  const std::size_t question = source.find('?');
  if (question != std::string::npos && source.substr(question) != "?versionId=null") {
    return Fault{FaultCode::kNotImplemented, "versions of objects are not available"};
  }
  ObjectPath path = SplitTarget(source);
  if (path.bucket.empty() || path.key.empty()) {
    return Fault{FaultCode::kInvalidArgument, "x-amz-copy-source must be /bucket/key"};
  }
  return path;
}

// The conditions of a copy have names of their own.
net::Headers SourceConditions(const net::Headers& headers) {
  constexpr std::string_view kPrefix = "x-amz-copy-source-if-";
  net::Headers conditions;
  for (const auto& [name, value] : headers.all()) {
    const std::string lower = ToLower(name);
    if (lower.starts_with(kPrefix)) {
      conditions.Add("If-" + lower.substr(kPrefix.size()), value);
    }
  }
  return conditions;
}

}  // namespace

S3Outcome GetObject(const S3Call& call) {
  auto reader = call.store().Open(call.org(), call.path.bucket, call.path.key);
  if (!reader.ok()) return ObjectFault(call, call.path.bucket, reader.error());
  auto owned = std::move(reader).value();
  const objectstore::ObjectInfo info = owned->info();
  return Send(call, info, std::move(owned));
}

S3Outcome HeadObject(const S3Call& call) {
  auto info = call.store().Stat(call.org(), call.path.bucket, call.path.key);
  if (!info.ok()) return ObjectFault(call, call.path.bucket, info.error());
  return Send(call, info.value(), nullptr);
}

S3Outcome RemoveObject(const S3Call& call) {
  auto removed = call.store().Remove(call.org(), call.path.bucket, call.path.key);
  if (!removed.ok()) return FromStore(removed.error());
  net::Response response;
  response.status = 204;
  return response;
}

std::variant<std::unique_ptr<objectstore::ObjectReader>, Fault> OpenCopySource(const S3Call& call) {
  auto source = CopySource(call);
  if (auto* fault = std::get_if<Fault>(&source)) return *fault;
  const ObjectPath& from = std::get<ObjectPath>(source);
  auto reader = call.store().Open(call.org(), from.bucket, from.key);
  if (!reader.ok()) return ObjectFault(call, from.bucket, reader.error());
  const net::Headers conditions = SourceConditions(call.request.headers);
  if (CheckPreconditions(conditions, reader.value()->info()) != Precondition::kPassed) {
    return Fault{FaultCode::kPreconditionFailed, "the source does not meet the condition"};
  }
  return std::move(reader).value();
}

std::variant<objectstore::ObjectInfo, Fault> CopyInto(objectstore::ObjectReader& source,
                                                      std::string_view range_header,
                                                      objectstore::ObjectWriter& writer) {
  ByteRange range;
  const RangeKind kind = ParseRange(range_header, source.info().size, range);
  if (kind == RangeKind::kUnsatisfiable || (kind == RangeKind::kWhole && !range_header.empty())) {
    return Fault{FaultCode::kInvalidArgument,
                 "x-amz-copy-source-range must be bytes=FIRST-LAST within the source"};
  }
  while (range.length > 0) {
    const auto ask = static_cast<std::size_t>(std::min<std::uint64_t>(range.length, kCopyPiece));
    auto bytes = source.Read(range.first, ask);
    if (!bytes.ok()) return FromStore(bytes.error());
    if (bytes.value().empty()) {
      return Fault{FaultCode::kInternalError, "the source became shorter while it was copied"};
    }
    if (auto s = writer.Write(bytes.value()); !s.ok()) return FromStore(s.error());
    range.first += bytes.value().size();
    range.length -= bytes.value().size();
  }
  auto info = writer.Commit();
  if (!info.ok()) return FromStore(info.error());
  return std::move(info).value();
}

S3Outcome CopyObject(const S3Call& call) {
  auto opened = OpenCopySource(call);
  if (auto* fault = std::get_if<Fault>(&opened)) return *fault;
  auto& source = *std::get<std::unique_ptr<objectstore::ObjectReader>>(opened);
  objectstore::PutOptions options{source.info().content_type, source.info().metadata};
  const std::string_view directive = call.request.headers.Get("x-amz-metadata-directive");
  if (directive == "REPLACE") {
    options = {};
    if (auto f = ReadPutOptions(call.request.headers, "x-amz-meta-", options)) return *f;
  } else if (!directive.empty() && directive != "COPY") {
    return Fault{FaultCode::kInvalidArgument, "x-amz-metadata-directive is COPY or REPLACE"};
  }
  if (source.info().size > kMostUpload) {
    return Fault{FaultCode::kInvalidRequest, "more than 5 GiB are copied in parts only"};
  }
  auto writer = call.store().Put(call.org(), call.path.bucket, call.path.key, std::move(options));
  if (!writer.ok()) return FromStore(writer.error());
  auto copied = CopyInto(source, {}, *writer.value());
  if (auto* fault = std::get_if<Fault>(&copied)) return *fault;
  const auto& info = std::get<objectstore::ObjectInfo>(copied);
  XmlWriter xml("CopyObjectResult");
  xml.Add("LastModified", XmlTime(info.modified)).Add("ETag", "\"" + info.etag + "\"");
  return XmlAnswer(xml);
}

// What would be dropped silently is refused.
MaybeFault CheckPutHeaders(const net::Request& request) {
  constexpr std::array<std::string_view, 6> kRefused = {
      "x-amz-grant-",  "x-amz-server-side-encryption",    "x-amz-object-lock-",
      "x-amz-tagging", "x-amz-website-redirect-location", "x-amz-write-offset-bytes"};
  for (const auto& [name, value] : request.headers.all()) {
    const std::string lower = ToLower(name);
    const bool refused =
        std::any_of(kRefused.begin(), kRefused.end(),
                    [&lower](std::string_view prefix) { return lower.starts_with(prefix); }) ||
        lower == "if-none-match" || lower == "if-match" ||
        (lower == "x-amz-acl" && value != "private") ||
        (lower == "x-amz-storage-class" && value != "STANDARD");
    if (refused) {
      return Fault{FaultCode::kNotImplemented, "the header " + Quote(lower) + " is not available"};
    }
  }
  return std::nullopt;
}

}  // namespace cml::api::objects
