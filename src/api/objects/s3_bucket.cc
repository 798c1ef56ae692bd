// Operations on buckets.
#include <algorithm>

#include "api/objects/s3_call.h"
#include "base/strings.h"
#include "crypto/digest.h"

namespace cml::api::objects {
namespace {

constexpr std::size_t kMostKeys = 1000;  // of a page, and of one RemoveObjects

struct ListAsk {
  objectstore::ListRequest request;
  bool url_encoded = false;
  bool version_1 = false;

  std::string Text(std::string_view s) const {
    return url_encoded ? net::PercentEncode(s, "/") : std::string(s);
  }
};

Fault Wrong(std::string_view parameter, std::string_view value, std::string_view rule) {
  return {FaultCode::kInvalidArgument,
          std::string(parameter) + " " + Quote(value) + ": " + std::string(rule)};
}

std::variant<ListAsk, Fault> ReadListAsk(const S3Call& call) {
  ListAsk ask;
  ask.version_1 = !call.Has("list-type");
  if (!ask.version_1 && call.Query("list-type") != "2") {
    return Wrong("list-type", call.Query("list-type"), "only 2 is known");
  }
  const std::string_view encoding = call.Query("encoding-type");
  if (!encoding.empty() && encoding != "url") return Wrong("encoding-type", encoding, "only url");
  ask.url_encoded = encoding == "url";
  ask.request.prefix = call.Query("prefix");
  ask.request.delimiter = call.Query("delimiter");
  if (!ask.request.delimiter.empty() && ask.request.delimiter != "/") {
    return Fault{FaultCode::kNotImplemented, "the only delimiter available is \"/\""};
  }
  if (call.Has("max-keys")) {
    const auto most = ParseUnsigned(call.Query("max-keys"));
    if (!most) return Wrong("max-keys", call.Query("max-keys"), "a number from 0 to 1000");
    ask.request.most = std::min<std::size_t>(*most, kMostKeys);
  }
  ask.request.start_after = call.Query(ask.version_1 ? "marker" : "start-after");
  // A marker that is a common prefix stands behind all that it rolls up; no key has the byte 0xff.
  const bool rolled = ask.version_1 && !ask.request.delimiter.empty() &&
                      ask.request.start_after.ends_with(ask.request.delimiter);
  if (rolled) ask.request.start_after.push_back('\xff');
  if (call.Has("continuation-token") && !ask.version_1) {
    auto token = crypto::FromBase64(call.Query("continuation-token"));
    if (!token.ok())
      return Wrong("continuation-token", call.Query("continuation-token"), "not ours");
    ask.request.start_after = std::move(token).value();
  }
  return ask;
}

std::string LastName(const objectstore::ListPage& page) {
  std::string last;
  if (!page.objects.empty()) last = page.objects.back().key;
  if (!page.common_prefixes.empty()) last = std::max(last, page.common_prefixes.back());
  return last;
}

void AddObject(const ListAsk& ask, const objectstore::ObjectInfo& info, XmlWriter& xml) {
  xml.Open("Contents").Add("Key", ask.Text(info.key)).Add("LastModified", XmlTime(info.modified));
  // Of a file that a job wrote and nobody has read, the digest is not known yet.
  if (!info.etag.empty()) xml.Add("ETag", "\"" + info.etag + "\"");
  xml.Add("Size", std::to_string(info.size));
  xml.Add("StorageClass", "STANDARD").Close();
}

}  // namespace

S3Outcome ListBuckets(const S3Call& call) {
  auto buckets = call.store().Buckets(call.org());
  if (!buckets.ok()) return FromStore(buckets.error());
  XmlWriter xml("ListAllMyBucketsResult");
  xml.Open("Owner").Add("ID", call.org().str()).Add("DisplayName", call.org().str()).Close();
  xml.Open("Buckets");
  for (const auto& bucket : buckets.value()) {
    xml.Open("Bucket").Add("Name", bucket.name);
    xml.Add("CreationDate", XmlTime(bucket.created)).Close();
  }
  return XmlAnswer(xml);
}

S3Outcome MakeBucket(const S3Call& call) {
  auto made = call.store().MakeBucket(call.org(), call.path.bucket);
  if (!made.ok()) return FromStore(made.error(), {.wrong = FaultCode::kInvalidBucketName});
  net::Response response;
  response.headers.Add("Location", "/" + call.path.bucket);
  return response;
}

S3Outcome HeadBucket(const S3Call& call) {
  auto bucket = call.store().Bucket(call.org(), call.path.bucket);
  if (!bucket.ok()) {
    return FromStore(bucket.error(), {FaultCode::kNoSuchBucket, FaultCode::kInvalidBucketName});
  }
  net::Response response;
  response.headers.Add("x-amz-bucket-region", "us-east-1");
  return response;
}

S3Outcome RemoveBucket(const S3Call& call) {
  auto removed = call.store().RemoveBucket(call.org(), call.path.bucket);
  if (!removed.ok()) {
    return FromStore(removed.error(), {.conflict = FaultCode::kBucketNotEmpty});
  }
  net::Response response;
  response.status = 204;
  return response;
}

// There is one place only; an empty answer means S3's first region to every client.
S3Outcome BucketLocation(const S3Call& call) {
  auto bucket = call.store().Bucket(call.org(), call.path.bucket);
  if (!bucket.ok()) return FromStore(bucket.error());
  XmlWriter xml("LocationConstraint");
  return XmlAnswer(xml);
}

S3Outcome ListObjects(const S3Call& call) {
  auto asked = ReadListAsk(call);
  if (auto* fault = std::get_if<Fault>(&asked)) return *fault;
  const ListAsk& ask = std::get<ListAsk>(asked);
  objectstore::ListPage page;
  if (ask.request.most > 0) {
    auto listed = call.store().List(call.org(), call.path.bucket, ask.request);
    if (!listed.ok()) return FromStore(listed.error());
    page = std::move(listed).value();
  } else if (auto bucket = call.store().Bucket(call.org(), call.path.bucket); !bucket.ok()) {
    return FromStore(bucket.error());
  }
  XmlWriter xml("ListBucketResult");
  xml.Add("Name", call.path.bucket).Add("Prefix", ask.Text(ask.request.prefix));
  if (!ask.request.delimiter.empty()) xml.Add("Delimiter", ask.Text(ask.request.delimiter));
  xml.Add("MaxKeys", std::to_string(ask.request.most));
  if (ask.url_encoded) xml.Add("EncodingType", "url");
  if (ask.version_1) {
    xml.Add("Marker", ask.Text(call.Query("marker")));
    if (page.truncated) xml.Add("NextMarker", ask.Text(LastName(page)));
  } else {
    xml.Add("KeyCount", std::to_string(page.objects.size() + page.common_prefixes.size()));
    if (call.Has("start-after")) xml.Add("StartAfter", ask.Text(call.Query("start-after")));
    if (call.Has("continuation-token")) {
      xml.Add("ContinuationToken", call.Query("continuation-token"));
    }
    if (page.truncated) xml.Add("NextContinuationToken", crypto::ToBase64(page.next));
  }
  xml.Add("IsTruncated", page.truncated ? "true" : "false");
  for (const auto& object : page.objects) AddObject(ask, object, xml);
  for (const auto& prefix : page.common_prefixes) {
    xml.Open("CommonPrefixes").Add("Prefix", ask.Text(prefix)).Close();
  }
  return XmlAnswer(xml);
}

S3Outcome RemoveObjects(const S3Call& call) {
  auto document = ParseXml(call.request.body);
  if (!document.ok() || document.value().name != "Delete") {
    return Fault{FaultCode::kMalformedXml,
                 document.ok() ? "a Delete element was expected" : document.error().message()};
  }
  const bool quiet = document.value().ChildText("Quiet") == "true";
  std::vector<std::string> keys;
  for (const XmlElement& child : document.value().children) {
    if (child.name != "Object") continue;
    keys.emplace_back(child.ChildText("Key"));
    if (keys.back().empty() || keys.size() > kMostKeys) {
      return Fault{FaultCode::kMalformedXml, "from 1 to 1000 objects, each with a key"};
    }
  }
  if (keys.empty()) return Fault{FaultCode::kMalformedXml, "from 1 to 1000 objects"};
  if (auto b = call.store().Bucket(call.org(), call.path.bucket); !b.ok()) {
    return FromStore(b.error());
  }
  XmlWriter xml("DeleteResult");
  for (const std::string& key : keys) {
    auto removed = call.store().Remove(call.org(), call.path.bucket, key);
    if (!removed.ok()) {
      const Fault fault = FromStore(removed.error());
      xml.Open("Error").Add("Key", key).Add("Code", NameOf(fault.code));
      xml.Add("Message", fault.message).Close();
    } else if (!quiet) {
      xml.Open("Deleted").Add("Key", key).Close();
    }
  }
  return XmlAnswer(xml);
}

}  // namespace cml::api::objects
