#include "cli/s3.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/strings.h"
#include "cli/exit_code.h"
#include "cli/rest.h"
#include "cli/text.h"
#include "cli/xml.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::cli {
namespace {

constexpr const char* kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
// Any will do for a store with one region; this is what clients take when none is set.
constexpr const char* kRegion = "us-east-1";

std::string AmzTime(SysTime now) {  // 20261124T080443Z
  std::string t = FormatRfc3339(now);
  std::erase_if(t, [](char c) { return c == '-' || c == ':'; });
  return t;
}

std::string Unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    return std::string(etag.substr(1, etag.size() - 2));
  }
  return std::string(etag);
}

std::string HostOf(const std::string& url) {
  const std::size_t start = url.find("://") + 3;
  return url.substr(start, url.find('/', start) - start);
}

// The path before the buckets, where the endpoint has one.
std::string BasePathOf(const std::string& url) {
  const std::size_t slash = url.find('/', url.find("://") + 3);
  return slash == std::string::npos ? "" : url.substr(slash);
}

Result<std::string> HashOf(const FilePart& part) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(part.file, O_RDONLY | O_CLOEXEC));
  crypto::Digester digest(crypto::Hash::kSha256);
  std::string buffer(1U << 20, '\0');
  std::uint64_t at = part.offset;
  const std::uint64_t end = part.offset + part.length;
  while (at < end) {
    const std::size_t want =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - at));
    const ssize_t n = ::pread(fd.get(), buffer.data(), want, static_cast<off_t>(at));
    if (n < 0) return ErrnoError(errno, "read", part.file);
    if (n == 0)
      return Error(Code::kInternal, part.file.string() + " became shorter while it was sent");
    digest.Update(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
    at += static_cast<std::uint64_t>(n);
  }
  return crypto::ToHex(digest.Finish());
}

Result<XmlElement> ParseAnswer(const net::ClientResponse& response) {
  auto parsed = ParseXml(response.body);
  if (parsed.ok()) return parsed;
  return Error(Code::kInternal,
               "the object store's answer cannot be read: " + parsed.error().message());
}

}  // namespace

Result<net::ClientRequest> S3::Prepare(const Target& target, std::string_view payload_hash) const {
  const std::string endpoint = settings_.fds_endpoint();
  if (endpoint.empty()) {
    return Error(Code::kInvalidArgument,
                 "no server is configured\nset it up once: cloudml config init");
  }
  const Secret secret = settings_.secret_key();
  if (settings_.access_key().empty() || secret.empty()) {
    return Error(Code::kInvalidArgument,
                 "no keys are configured\nset them up once: cloudml config init");
  }
  net::Request signing;
  signing.method = target.method;
  signing.path = BasePathOf(endpoint) + "/";
  if (!target.bucket.empty()) signing.path += net::PercentEncode(target.bucket);
  if (!target.key.empty()) signing.path += "/" + net::PercentEncode(target.key, "/");
  std::string query;
  for (const auto& [name, value] : target.query) {
    query +=
        (query.empty() ? "?" : "&") + net::PercentEncode(name) + "=" + net::PercentEncode(value);
  }
  signing.target = signing.path + query;
  signing.query = target.query;
  signing.headers.Set("Host", HostOf(endpoint));
  const std::string time = AmzTime(clock_.Now());
  net::SignSigV4(secret, {settings_.access_key(), time.substr(0, 8), kRegion, "s3"}, time,
                 payload_hash, signing);
  net::ClientRequest request;
  request.tls = settings_.tls();
  request.method = target.method;
  request.url = endpoint.substr(0, endpoint.size() - BasePathOf(endpoint).size()) + signing.target;
  for (const auto& [name, value] : signing.headers.all()) {
    if (!EqualsIgnoreCase(name, "Host")) request.headers.Add(name, value);
  }
  return request;
}

Error S3::AnswerError(const Target& target, int status, std::string_view body) const {
  const std::string what = target.bucket.empty() ? "the list of buckets"
                           : target.key.empty()  ? "bucket " + target.bucket
                                                 : ObjectUri{target.bucket, target.key}.str();
  std::string message;
  if (const auto xml = ParseXml(body); xml.ok()) {
    message = xml.value().Child("Message");
    if (message.empty()) message = xml.value().Child("Code");
  }
  if (message.empty() && status == 404) message = "there is none";
  if (message.empty()) message = fmt::format("{} {}", status, net::ReasonPhrase(status));
  const std::string& named = target.key.empty() ? target.bucket : target.key;
  const bool said = !named.empty() && message.find("\"" + named + "\"") != std::string::npos;
  std::string text = said ? message : what + ": " + message;
  if (status == 404 && !target.bucket.empty()) {
    text += target.key.empty() ? "\nsee which there are: cloudml fs ls"
                               : "\nsee what there is: cloudml fs ls fds://" + target.bucket + "/";
  }
  if (status == 401 || status == 403) {
    text += fmt::format("\nobject store {} with key {}; see what is used: cloudml config show",
                        settings_.fds_endpoint(), settings_.access_key());
  }
  return {CodeOfStatus(status), text};
}

Result<net::ClientResponse> S3::Send(const Target& target, const net::ClientRequest& request) {
  auto sent = http_.Send(request);
  if (!sent.ok()) {
    return Error(sent.error().code(),
                 fmt::format("cannot reach the object store at {}: {}", settings_.fds_endpoint(),
                             sent.error().message() + TrustHint(sent.error())));
  }
  net::ClientResponse response = std::move(sent).value();
  if (response.status >= 400) return AnswerError(target, response.status, response.body);
  return response;
}

Result<net::ClientResponse> S3::Call(const Target& target, const std::string& body) {
  const std::string hash =
      body.empty() ? kEmptyHash : crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, body));
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare(target, hash));
  request.body = body;
  request.total_time = std::chrono::minutes(5);
  return Send(target, request);
}

Result<net::ClientResponse> S3::SendPart(const Target& target, const FilePart& part) {
  if (part.length == 0) return Call(target);
  CML_ASSIGN_OR_RETURN(const std::string hash, HashOf(part));
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare(target, hash));
  request.upload = part.file;
  request.upload_offset = part.offset;
  request.upload_length = part.length;
  if (part.on_progress) {
    request.on_upload = [&part](std::uint64_t done, std::uint64_t) { part.on_progress(done); };
  }
  return Send(target, request);
}

Result<std::vector<Bucket>> S3::Buckets() {
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response, Call({"GET", "", "", {}}));
  CML_ASSIGN_OR_RETURN(const XmlElement root, ParseAnswer(response));
  std::vector<Bucket> buckets;
  for (const XmlElement* list : root.All("Buckets")) {
    for (const XmlElement* b : list->All("Bucket")) {
      buckets.push_back({b->Child("Name"), b->Child("CreationDate")});
    }
  }
  return buckets;
}

Status S3::HeadBucket(const std::string& bucket) {
  CML_RETURN_IF_ERROR(Call({"HEAD", bucket, "", {}}));
  return Ok{};
}

Status S3::MakeBucket(const std::string& bucket) {
  const auto made = Call({"PUT", bucket, "", {}});
  if (made.ok() || made.error().code() != Code::kAlreadyExists) {
    if (!made.ok()) return made.error();
    return Ok{};
  }
  // Ours or somebody else's?
  return HeadBucket(bucket).ok() ? Status(Ok{}) : Status(made.error());
}

Status S3::RemoveBucket(const std::string& bucket) {
  CML_RETURN_IF_ERROR(Call({"DELETE", bucket, "", {}}));
  return Ok{};
}

Result<ObjectPage> S3::List(const ListQuery& query) {
  Query q{{"list-type", "2"}, {"prefix", query.prefix}};
  if (!query.delimiter.empty()) q["delimiter"] = query.delimiter;
  if (!query.token.empty()) q["continuation-token"] = query.token;
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response, Call({"GET", query.bucket, "", q}));
  CML_ASSIGN_OR_RETURN(const XmlElement root, ParseAnswer(response));
  const auto decoded = [&](const std::string& key) {
    return root.Child("EncodingType") == "url" ? net::PercentDecode(key) : key;
  };
  ObjectPage page;
  for (const XmlElement* o : root.All("Contents")) {
    page.objects.push_back({decoded(o->Child("Key")), ParseUnsigned(o->Child("Size")).value_or(0),
                            Unquoted(o->Child("ETag")), o->Child("LastModified")});
  }
  for (const XmlElement* p : root.All("CommonPrefixes"))
    page.folders.push_back(decoded(p->Child("Prefix")));
  if (root.Child("IsTruncated") == "true") page.next = root.Child("NextContinuationToken");
  return page;
}

Result<ObjectEntry> S3::Head(const std::string& bucket, const std::string& key) {
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response, Call({"HEAD", bucket, key, {}}));
  return ObjectEntry{key, ParseUnsigned(response.headers.Get("Content-Length")).value_or(0),
                     Unquoted(response.headers.Get("ETag")),
                     std::string(response.headers.Get("Last-Modified"))};
}

Status S3::Remove(const std::string& bucket, const std::string& key) {
  CML_RETURN_IF_ERROR(Call({"DELETE", bucket, key, {}}));
  return Ok{};
}

Result<S3::GetEnd> S3::Get(const Range& range,
                           const std::function<bool(std::string_view)>& on_bytes) {
  const Target target{"GET", range.bucket, range.key, {}};
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare(target, kEmptyHash));
  if (range.from > 0) request.headers.Set("Range", fmt::format("bytes={}-", range.from));
  if (!range.etag.empty()) request.headers.Set("If-Match", "\"" + range.etag + "\"");
  request.on_body = on_bytes;
  auto sent = http_.Send(request);
  if (!sent.ok()) {
    if (sent.error().code() == Code::kUnavailable) return GetEnd::kCut;
    return std::move(sent).error();
  }
  const net::ClientResponse& response = sent.value();
  if (response.status >= 400) return AnswerError(target, response.status, "");
  if (range.from > 0 && response.status != 206) {
    return Error(Code::kFailedPrecondition, "the object store sends no ranges");
  }
  if (const std::string etag = Unquoted(response.headers.Get("ETag"));
      !range.etag.empty() && !etag.empty() && etag != range.etag) {
    return Error(Code::kFailedPrecondition, "the object was replaced meanwhile; copy it again");
  }
  return GetEnd::kWhole;
}

Result<std::string> S3::Put(const std::string& bucket, const std::string& key,
                            const FilePart& part) {
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response,
                       SendPart({"PUT", bucket, key, {}}, part));
  return Unquoted(response.headers.Get("ETag"));
}

Result<std::string> S3::BeginUpload(const std::string& bucket, const std::string& key) {
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response,
                       Call({"POST", bucket, key, {{"uploads", ""}}}));
  CML_ASSIGN_OR_RETURN(const XmlElement root, ParseAnswer(response));
  const std::string id = root.Child("UploadId");
  if (id.empty()) return Error(Code::kInternal, "the object store gave no upload id");
  return id;
}

Result<S3::UploadedPart> S3::PutPart(const UploadId& upload, int number, const FilePart& part) {
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response,
                       SendPart({"PUT",
                                 upload.bucket,
                                 upload.key,
                                 {{"partNumber", std::to_string(number)}, {"uploadId", upload.id}}},
                                part));
  return UploadedPart{number, part.length, Unquoted(response.headers.Get("ETag"))};
}

Result<std::vector<S3::UploadedPart>> S3::Parts(const UploadId& upload) {
  std::vector<UploadedPart> parts;
  std::string marker;
  while (true) {
    Query query{{"uploadId", upload.id}};
    if (!marker.empty()) query["part-number-marker"] = marker;
    CML_ASSIGN_OR_RETURN(const net::ClientResponse response,
                         Call({"GET", upload.bucket, upload.key, query}));
    CML_ASSIGN_OR_RETURN(const XmlElement root, ParseAnswer(response));
    for (const XmlElement* p : root.All("Part")) {
      parts.push_back({static_cast<int>(ParseInt(p->Child("PartNumber")).value_or(0)),
                       ParseUnsigned(p->Child("Size")).value_or(0), Unquoted(p->Child("ETag"))});
    }
    const std::string next = root.Child("NextPartNumberMarker");
    if (root.Child("IsTruncated") != "true" || next == marker) return parts;
    marker = next;
  }
}

Status S3::CompleteUpload(const UploadId& upload, const std::vector<UploadedPart>& parts) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const UploadedPart& p : parts) {
    body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"{}\"</ETag></Part>", p.number,
                        EscapeXml(p.etag));
  }
  body += "</CompleteMultipartUpload>";
  const Target target{"POST", upload.bucket, upload.key, {{"uploadId", upload.id}}};
  CML_ASSIGN_OR_RETURN(const net::ClientResponse response, Call(target, body));
  // This call may fail with a status of 200 (S3 API reference).
  if (const auto xml = ParseXml(response.body); xml.ok() && xml.value().name == "Error") {
    return AnswerError(target, 500, response.body);
  }
  return Ok{};
}

Status S3::AbortUpload(const UploadId& upload) {
  CML_RETURN_IF_ERROR(Call({"DELETE", upload.bucket, upload.key, {{"uploadId", upload.id}}}));
  return Ok{};
}

bool IsObjectUri(std::string_view text) {
  return text.starts_with("fds://") || text.starts_with("s3://");
}

Result<ObjectUri> ParseObjectUri(std::string_view text) {
  if (!IsObjectUri(text)) {
    return Error(Code::kInvalidArgument,
                 Quote(text) + ": an address like fds://bucket/object is wanted");
  }
  const std::string_view rest = text.substr(text.find("://") + 3);
  const std::size_t slash = rest.find('/');
  ObjectUri uri{std::string(rest.substr(0, slash)),
                slash == std::string_view::npos ? "" : std::string(rest.substr(slash + 1))};
  if (uri.bucket.empty()) {
    return Error(Code::kInvalidArgument,
                 Quote(text) + ": the bucket is missing; for instance fds://default/data.csv");
  }
  return uri;
}

std::string DefaultBucket(const Settings& settings) {
  const std::string configured = settings.default_bucket();
  return configured.empty() ? "default" : configured;
}

}  // namespace cml::cli
