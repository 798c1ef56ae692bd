// Multipart uploads.
#include <map>

#include "api/objects/s3_call.h"
#include "base/strings.h"

namespace cml::api::objects {
namespace {

constexpr std::int64_t kMostParts = 10'000;
constexpr std::uint64_t kLeastPart = 5ULL << 20;  // of all but the last

std::string UploadId(const S3Call& call) { return std::string(call.Query("uploadId")); }

Fault UploadFault(const Error& error) {
  return FromStore(error, {.missing = FaultCode::kNoSuchUpload});
}

// The parts of the request, in its order.
std::variant<std::vector<objectstore::PartInfo>, Fault> ReadParts(std::string_view body) {
  auto document = ParseXml(body);
  if (!document.ok() || document.value().name != "CompleteMultipartUpload") {
    return Fault{FaultCode::kMalformedXml, document.ok()
                                               ? "a CompleteMultipartUpload element was expected"
                                               : document.error().message()};
  }
  std::vector<objectstore::PartInfo> parts;
  for (const XmlElement& child : document.value().children) {
    if (child.name != "Part") continue;
    const auto number = ParseInt(child.ChildText("PartNumber"));
    std::string_view etag = Trim(child.ChildText("ETag"));
    if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"')) {
      etag = etag.substr(1, etag.size() - 2);
    }
    if (!number || *number < 1 || *number > kMostParts || etag.empty()) {
      return Fault{FaultCode::kMalformedXml,
                   "a part needs a PartNumber from 1 to 10000 and an ETag"};
    }
    if (!parts.empty() && parts.back().number >= *number) {
      return Fault{FaultCode::kInvalidPartOrder, "the parts must be in ascending order"};
    }
    parts.push_back({static_cast<int>(*number), 0, std::string(etag)});
  }
  if (parts.empty()) return Fault{FaultCode::kMalformedXml, "at least one part is needed"};
  return parts;
}

MaybeFault CompareParts(const std::vector<objectstore::PartInfo>& asked,
                        const std::vector<objectstore::PartInfo>& stored) {
  std::map<int, const objectstore::PartInfo*> by_number;
  for (const auto& part : stored) by_number[part.number] = &part;
  for (const auto& part : asked) {
    const auto at = by_number.find(part.number);
    if (at == by_number.end() || at->second->etag != part.etag) {
      return Fault{FaultCode::kInvalidPart, "part " + std::to_string(part.number) +
                                                " was not uploaded, or has another ETag"};
    }
    if (at->second->size < kLeastPart && &part != &asked.back()) {
      return Fault{FaultCode::kEntityTooSmall, "part " + std::to_string(part.number) + " has " +
                                                   std::to_string(at->second->size) +
                                                   " bytes; all but the last need 5 MiB"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::variant<int, Fault> PartNumber(const S3Call& call) {
  const auto number = ParseInt(call.Query("partNumber"));
  if (!number || *number < 1 || *number > kMostParts) {
    return Fault{FaultCode::kInvalidArgument, "partNumber must be a number from 1 to 10000"};
  }
  return static_cast<int>(*number);
}

S3Outcome BeginUpload(const S3Call& call) {
  if (auto fault = CheckPutHeaders(call.request)) return *fault;
  objectstore::PutOptions options;
  if (auto f = ReadPutOptions(call.request.headers, "x-amz-meta-", options)) return *f;
  auto upload =
      call.store().BeginUpload(call.org(), call.path.bucket, call.path.key, std::move(options));
  if (!upload.ok()) return FromStore(upload.error());
  XmlWriter xml("InitiateMultipartUploadResult");
  xml.Add("Bucket", call.path.bucket).Add("Key", call.path.key).Add("UploadId", upload.value());
  return XmlAnswer(xml);
}

S3Outcome CopyPart(const S3Call& call) {
  const auto number = PartNumber(call);
  if (auto* fault = std::get_if<Fault>(&number)) return *fault;
  auto opened = OpenCopySource(call);
  if (auto* fault = std::get_if<Fault>(&opened)) return *fault;
  auto& source = *std::get<std::unique_ptr<objectstore::ObjectReader>>(opened);
  auto writer =
      call.store().PutPart(call.org(), call.path.bucket, UploadId(call), std::get<int>(number));
  if (!writer.ok()) return UploadFault(writer.error());
  auto copied =
      CopyInto(source, call.request.headers.Get("x-amz-copy-source-range"), *writer.value());
  if (auto* fault = std::get_if<Fault>(&copied)) return *fault;
  const auto& info = std::get<objectstore::ObjectInfo>(copied);
  XmlWriter xml("CopyPartResult");
  xml.Add("LastModified", XmlTime(call.context.clock.Now())).Add("ETag", "\"" + info.etag + "\"");
  return XmlAnswer(xml);
}

S3Outcome ListParts(const S3Call& call) {
  auto parts = call.store().Parts(call.org(), call.path.bucket, UploadId(call));
  if (!parts.ok()) return UploadFault(parts.error());
  std::int64_t after = 0, most = 1000;
  for (const auto& [name, value] :
       {std::pair("part-number-marker", &after), std::pair("max-parts", &most)}) {
    if (!call.Has(name)) continue;
    const auto number = ParseInt(call.Query(name));
    if (!number || *number < 0) {
      return Fault{FaultCode::kInvalidArgument, std::string(name) + " must be a number"};
    }
    *value = *number;
  }
  XmlWriter xml("ListPartsResult");
  xml.Add("Bucket", call.path.bucket).Add("Key", call.path.key).Add("UploadId", UploadId(call));
  xml.Add("PartNumberMarker", std::to_string(after)).Add("MaxParts", std::to_string(most));
  bool truncated = false;
  std::int64_t shown = 0, last = after;
  for (const auto& part : parts.value()) {
    if (part.number <= after) continue;
    truncated = shown == most;
    if (truncated) break;
    ++shown;
    last = part.number;
    xml.Open("Part").Add("PartNumber", std::to_string(part.number));
    xml.Add("ETag", "\"" + part.etag + "\"").Add("Size", std::to_string(part.size)).Close();
  }
  xml.Add("NextPartNumberMarker", std::to_string(last));
  xml.Add("IsTruncated", truncated ? "true" : "false");
  return XmlAnswer(xml);
}

S3Outcome CompleteUpload(const S3Call& call) {
  auto asked = ReadParts(call.request.body);
  if (auto* fault = std::get_if<Fault>(&asked)) return *fault;
  const auto& parts = std::get<std::vector<objectstore::PartInfo>>(asked);
  auto stored = call.store().Parts(call.org(), call.path.bucket, UploadId(call));
  if (!stored.ok()) return UploadFault(stored.error());
  if (auto fault = CompareParts(parts, stored.value())) return *fault;
  auto info = call.store().CompleteUpload(call.org(), call.path.bucket, UploadId(call), parts);
  if (!info.ok()) {
    return FromStore(info.error(), {FaultCode::kNoSuchUpload, FaultCode::kInvalidPart});
  }
  XmlWriter xml("CompleteMultipartUploadResult");
  xml.Add("Location", "/" + call.path.bucket + "/" + net::PercentEncode(call.path.key, "/"));
  xml.Add("Bucket", call.path.bucket).Add("Key", call.path.key);
  xml.Add("ETag", "\"" + info.value().etag + "\"");
  return XmlAnswer(xml);
}

S3Outcome AbortUpload(const S3Call& call) {
  auto aborted = call.store().AbortUpload(call.org(), call.path.bucket, UploadId(call));
  if (!aborted.ok()) return UploadFault(aborted.error());
  net::Response response;
  response.status = 204;
  return response;
}

}  // namespace cml::api::objects
