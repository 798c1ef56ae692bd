#include "api/objects/s3.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/objects/testing/front_fixture.h"
#include "api/objects/xml.h"
#include "crypto/crc.h"

namespace cml::api::objects {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

net::Headers With(std::initializer_list<std::pair<std::string, std::string>> fields) {
  net::Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

class S3Test : public FrontTest {
 protected:
  S3Test() {
    EXPECT_EQ(S3("PUT", "/bkt").status, 200);
    EXPECT_EQ(S3("PUT", "/bkt/a", "hello world",
                 With({{"Content-Type", "text/plain"},
                       {"x-amz-meta-colour", "red"},
                       {"Content-Encoding", "gzip"}}))
                  .status,
              200);
  }
};

TEST_F(S3Test, Buckets) {
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt")), "BucketAlreadyOwnedByYou");
  EXPECT_EQ(CodeOf(S3("PUT", "/B")), "InvalidBucketName");
  EXPECT_EQ(S3("HEAD", "/bkt").status, 200);
  EXPECT_EQ(S3("HEAD", "/none").status, 404);
  EXPECT_THAT(S3("GET", "/").body, HasSubstr("<Bucket><Name>bkt</Name><CreationDate>2026-11-24T"));
  EXPECT_THAT(S3("GET", "/bkt?location").body, HasSubstr("LocationConstraint"));
  EXPECT_EQ(CodeOf(S3("DELETE", "/bkt")), "BucketNotEmpty");
  EXPECT_EQ(S3("DELETE", "/bkt/a").status, 204);
  EXPECT_EQ(S3("DELETE", "/bkt").status, 204);
  EXPECT_EQ(CodeOf(S3("DELETE", "/bkt")), "NoSuchBucket");
}

TEST_F(S3Test, ObjectComesBackWithItsHeaders) {
  const Answered got = S3("GET", "/bkt/a");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "hello world");
  EXPECT_EQ(got.headers.Get("ETag"), "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
  EXPECT_EQ(got.headers.Get("Content-Type"), "text/plain");
  EXPECT_EQ(got.headers.Get("Content-Encoding"), "gzip");
  EXPECT_EQ(got.headers.Get("x-amz-meta-colour"), "red");
  EXPECT_EQ(got.headers.Get("Last-Modified"), "Tue, 24 Nov 2026 08:15:00 GMT");
  const Answered head = S3("HEAD", "/bkt/a");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.length, 11U);
  EXPECT_EQ(head.body, "");
  EXPECT_THAT(S3("GET", "/bkt/none").body, HasSubstr("<Error><Code>NoSuchKey</Code>"));
  EXPECT_EQ(CodeOf(S3("GET", "/none/a")), "NoSuchBucket");
  EXPECT_EQ(S3("HEAD", "/bkt/none").status, 404);
}

TEST_F(S3Test, Ranges) {
  const auto range = [this](const std::string& r) {
    return S3("GET", "/bkt/a", "", With({{"Range", r}}));
  };
  Answered got = range("bytes=0-4");
  EXPECT_EQ(got.status, 206);
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.headers.Get("Content-Range"), "bytes 0-4/11");
  EXPECT_EQ(range("bytes=6-").body, "world");
  EXPECT_EQ(range("bytes=-3").body, "rld");
  EXPECT_EQ(range("bytes=-99").body, "hello world");
  EXPECT_EQ(range("bytes=8-99").body, "rld");
  EXPECT_EQ(range("bytes=3-1").status, 200);
  EXPECT_EQ(range("lines=0-4").status, 200);
  EXPECT_EQ(range("bytes=0-1,3-4").status, 200);
  got = range("bytes=11-");
  EXPECT_EQ(CodeOf(got), "InvalidRange");
  EXPECT_EQ(got.status, 416);
  EXPECT_EQ(got.headers.Get("Content-Range"), "bytes */11");
  EXPECT_EQ(CodeOf(range("bytes=-0")), "InvalidRange");
  EXPECT_EQ(S3("HEAD", "/bkt/a", "", With({{"Range", "bytes=0-4"}})).length, 5U);
}

TEST_F(S3Test, Conditions) {
  const auto get = [this](const std::string& name, const std::string& value) {
    return S3("GET", "/bkt/a", "", With({{name, value}})).status;
  };
  const std::string tag = "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"";
  EXPECT_EQ(get("If-Match", tag), 200);
  EXPECT_EQ(get("If-Match", "\"other\", " + tag), 200);
  EXPECT_EQ(get("If-Match", "\"other\""), 412);
  EXPECT_EQ(get("If-None-Match", tag), 304);
  EXPECT_EQ(get("If-None-Match", "*"), 304);
  EXPECT_EQ(get("If-None-Match", "\"other\""), 200);
  EXPECT_EQ(get("If-Modified-Since", "Tue, 24 Nov 2026 08:15:00 GMT"), 304);
  EXPECT_EQ(get("If-Modified-Since", "Tue, 24 Nov 2026 08:14:59 GMT"), 200);
  EXPECT_EQ(get("If-Modified-Since", "yesterday"), 200);
  EXPECT_EQ(get("If-Unmodified-Since", "Tue, 24 Nov 2026 08:14:59 GMT"), 412);
}

TEST_F(S3Test, KeysAreTakenAsTheyAre) {
  for (const std::string key : {"a%20b", "%C3%BC", "x%2By", "d/e/f", "100%25"}) {
    EXPECT_EQ(S3("PUT", "/bkt/" + key, key).status, 200) << key;
    EXPECT_EQ(S3("GET", "/bkt/" + key).body, key);
  }
  EXPECT_THAT(S3("GET", "/bkt?list-type=2").body, HasSubstr("<Key>x+y</Key>"));
}

TEST_F(S3Test, OrganisationsDoNotSeeEachOther) {
  EXPECT_EQ(CodeOf(S3As("AK2", "secret2", Make("GET", "/bkt/a"))), "NoSuchBucket");
  EXPECT_EQ(S3As("AK2", "secret2", Make("PUT", "/bkt")).status, 200);
  EXPECT_EQ(CodeOf(S3As("AK2", "secret2", Make("GET", "/bkt/a"))), "NoSuchKey");
}

TEST_F(S3Test, ReadOnlyKeys) {
  EXPECT_EQ(S3As("VIEW", "view", Make("GET", "/bkt/a")).status, 200);
  for (const auto& [method, target] :
       {std::pair("PUT", "/bkt/b"), std::pair("DELETE", "/bkt/a"), std::pair("PUT", "/new"),
        std::pair("POST", "/bkt?delete")}) {
    EXPECT_EQ(CodeOf(S3As("VIEW", "view", Make(method, target))), "AccessDenied") << method;
  }
}

TEST_F(S3Test, Signatures) {
  EXPECT_EQ(CodeOf(S3As("AK1", "wrong", Make("GET", "/bkt/a"))), "SignatureDoesNotMatch");
  EXPECT_EQ(CodeOf(S3As("NOBODY", "wrong", Make("GET", "/bkt/a"))), "SignatureDoesNotMatch");
  EXPECT_EQ(CodeOf(S3As("LATER", "wrong", Make("GET", "/bkt/a"))), "ServiceUnavailable");
  EXPECT_EQ(CodeOf(Carry(Make("GET", "/bkt/a"), "")), "AccessDenied");
  EXPECT_EQ(CodeOf(Carry(Make("PUT", "/bkt/a"), "x")), "AccessDenied");
  net::Request other = Make("GET", "/bkt/a");
  net::SignSigV4(Secret("secret1"), {"AK1", "20261124", "eu", "cloudml"}, Now(), "UNSIGNED-PAYLOAD",
                 other);
  EXPECT_EQ(CodeOf(Carry(other, "")), "SignatureDoesNotMatch");
  net::Request request = Make("PUT", "/bkt/b");
  net::SignSigV4(Secret("secret1"), Scope(), Now(), "UNSIGNED-PAYLOAD", request);
  EXPECT_EQ(Carry(request, "x").status, 200);
  clock_.now += std::chrono::minutes(16);
  EXPECT_EQ(CodeOf(Carry(request, "x")), "RequestTimeTooSkewed");
  clock_.now -= std::chrono::minutes(32);
  EXPECT_EQ(CodeOf(Carry(request, "x")), "RequestTimeTooSkewed");
}

TEST_F(S3Test, DigestsOfTheBody) {
  EXPECT_EQ(
      CodeOf(S3("PUT", "/bkt/b", "hello", With({{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}}))),
      "200");
  EXPECT_EQ(
      CodeOf(S3("PUT", "/bkt/c", "hellO", With({{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}}))),
      "BadDigest");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/c", "hello", With({{"Content-MD5", "XUFAKrx"}}))),
            "InvalidDigest");
  const std::string crc = "NhCmhg==";  // of "hello"
  const Answered put = S3("PUT", "/bkt/b", "hello", With({{"x-amz-checksum-crc32", crc}}));
  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(put.headers.Get("x-amz-checksum-crc32"), crc);
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/c", "hellO", With({{"x-amz-checksum-crc32", crc}}))),
            "BadDigest");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/c", "hello", With({{"x-amz-checksum-crc32", "AA"}}))),
            "InvalidRequest");
  net::Request request = Make("PUT", "/bkt/c");
  net::SignSigV4(Secret("secret1"), Scope(), Now(),
                 crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, "other")), request);
  EXPECT_EQ(CodeOf(Carry(request, "hello")), "XAmzContentSHA256Mismatch");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/c", "hello", With({{"Content-Length", "6"}}))),
            "IncompleteBody");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/c", "hello", With({{"Content-Length", "5368709121"}}))),
            "EntityTooLarge");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/c")), "NoSuchKey");  // nothing of all that was kept
}

TEST_F(S3Test, AnEmptyObjectIsAnObject) {
  EXPECT_EQ(S3("PUT", "/bkt/e").status, 200);
  const Answered got = S3("GET", "/bkt/e");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.length, 0U);
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/e", "", With({{"Range", "bytes=0-"}}))), "InvalidRange");
}

TEST_F(S3Test, FullDisk) {
  store_.SetFull(true);
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/b", "hello")), "ServiceUnavailable");
  store_.SetFull(false);
  EXPECT_EQ(S3("PUT", "/bkt/b", "hello").status, 200);
}

TEST_F(S3Test, NothingIsIgnoredSilently) {
  EXPECT_EQ(CodeOf(S3("GET", "/bkt?policy")), "NotImplemented");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/a?tagging")), "NotImplemented");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/a?acl", "x")), "NotImplemented");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/a?versionId=7")), "NotImplemented");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/a", "x", With({{"x-amz-server-side-encryption", "aws:kms"}}))),
            "NotImplemented");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/a", "x", With({{"If-None-Match", "*"}}))), "NotImplemented");
  EXPECT_EQ(CodeOf(S3("PATCH", "/bkt/a")), "MethodNotAllowed");
  EXPECT_EQ(CodeOf(S3("POST", "/")), "MethodNotAllowed");
  EXPECT_EQ(S3("GET", "/bkt/a").body, "hello world");
}

TEST_F(S3Test, Listing) {
  for (const char* key : {"b/1", "b/2", "c", "d%20e%26"})
    S3("PUT", std::string("/bkt/") + key, "x");
  Answered got = S3("GET", "/bkt?list-type=2&delimiter=%2F");
  EXPECT_THAT(got.body, HasSubstr("<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>"));
  EXPECT_THAT(got.body, HasSubstr("<KeyCount>4</KeyCount>"));
  EXPECT_THAT(got.body, HasSubstr("<Key>d e&amp;</Key>"));
  EXPECT_THAT(got.body, HasSubstr("<Size>11</Size>"));
  EXPECT_THAT(got.body, HasSubstr("&quot;5eb63bbbe01eeed093cb22bb8f5acdc3&quot;"));
  got = S3("GET", "/bkt?list-type=2&prefix=b%2F&max-keys=1");
  EXPECT_THAT(got.body, HasSubstr("<IsTruncated>true</IsTruncated>"));
  EXPECT_THAT(got.body, HasSubstr("<Key>b/1</Key>"));
  const std::string token =
      std::string(ParseXml(got.body).value().ChildText("NextContinuationToken"));
  got = S3("GET", "/bkt?list-type=2&prefix=b%2F&continuation-token=" + net::PercentEncode(token));
  EXPECT_THAT(got.body, HasSubstr("<Key>b/2</Key>"));
  EXPECT_THAT(got.body, Not(HasSubstr("<Key>b/1</Key>")));
  EXPECT_THAT(got.body, HasSubstr("<IsTruncated>false</IsTruncated>"));
  EXPECT_THAT(S3("GET", "/bkt?list-type=2&encoding-type=url&start-after=c").body,
              HasSubstr("<Key>d%20e%26</Key>"));
  EXPECT_THAT(S3("GET", "/bkt?list-type=2&max-keys=0").body, HasSubstr("<KeyCount>0</KeyCount>"));
  got = S3("GET", "/bkt?max-keys=2&marker=a");  // version 1
  EXPECT_THAT(got.body, HasSubstr("<NextMarker>b/2</NextMarker>"));
  // a common prefix as marker stands behind what it rolls up
  got = S3("GET", "/bkt?max-keys=2&delimiter=%2F");
  EXPECT_THAT(got.body, HasSubstr("<NextMarker>b/</NextMarker>"));
  got = S3("GET", "/bkt?max-keys=2&delimiter=%2F&marker=b%2F");
  EXPECT_THAT(got.body, HasSubstr("<Key>c</Key>"));
  EXPECT_THAT(got.body, Not(HasSubstr("<Prefix>b/</Prefix>")));
  EXPECT_EQ(CodeOf(S3("GET", "/none?list-type=2")), "NoSuchBucket");
  EXPECT_EQ(CodeOf(S3("GET", "/none?list-type=2&max-keys=0")), "NoSuchBucket");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt?list-type=2&max-keys=-1")), "InvalidArgument");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt?list-type=3")), "InvalidArgument");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt?list-type=2&continuation-token=!")), "InvalidArgument");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt?list-type=2&delimiter=x")), "NotImplemented");
}

TEST_F(S3Test, DeleteMany) {
  S3("PUT", "/bkt/b", "x");
  const std::string body =
      "<?xml version=\"1.0\"?><Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Object><Key>a</Key></Object><Object><Key>none</Key></Object></Delete>";
  const Answered got = S3("POST", "/bkt?delete", body);
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(got.body, HasSubstr("<Deleted><Key>a</Key></Deleted><Deleted><Key>none</Key>"));
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/a")), "NoSuchKey");
  const Answered quiet = S3("POST", "/bkt?delete",
                            "<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>");
  EXPECT_THAT(quiet.body, Not(HasSubstr("<Deleted>")));
  EXPECT_EQ(
      CodeOf(S3("POST", "/bkt?delete", body, With({{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}}))),
      "BadDigest");
  EXPECT_EQ(CodeOf(S3("POST", "/bkt?delete", body, With({{"x-amz-checksum-crc32", "AAAAAA=="}}))),
            "BadDigest");
  for (const char* bad : {"", "<Delete/>", "<Delete><Object/></Delete>", "<Other/>", "<Delete>",
                          "<!DOCTYPE x><Delete/>"}) {
    EXPECT_EQ(CodeOf(S3("POST", "/bkt?delete", bad)), "MalformedXML") << bad;
  }
}

TEST_F(S3Test, Copy) {
  const auto copy = [this](const std::string& to, net::Headers headers) {
    headers.Add("x-amz-copy-source", "/bkt/a");
    return S3("PUT", to, "", std::move(headers));
  };
  const Answered got = copy("/bkt/b", {});
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(got.body, HasSubstr("<ETag>&quot;5eb63bbbe01eeed093cb22bb8f5acdc3&quot;</ETag>"));
  EXPECT_EQ(S3("GET", "/bkt/b").headers.Get("x-amz-meta-colour"), "red");
  EXPECT_EQ(
      copy("/bkt/b", With({{"x-amz-metadata-directive", "REPLACE"}, {"x-amz-meta-size", "big"}}))
          .status,
      200);
  EXPECT_EQ(S3("GET", "/bkt/b").headers.Get("x-amz-meta-size"), "big");
  EXPECT_FALSE(S3("GET", "/bkt/b").headers.Has("x-amz-meta-colour"));
  EXPECT_EQ(CodeOf(copy("/none/b", {})), "NoSuchBucket");
  EXPECT_EQ(CodeOf(copy("/bkt/b", With({{"x-amz-copy-source-if-match", "\"x\""}}))),
            "PreconditionFailed");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/b", "", With({{"x-amz-copy-source", "bkt/none"}}))),
            "NoSuchKey");
  EXPECT_EQ(CodeOf(S3("PUT", "/bkt/b", "", With({{"x-amz-copy-source", "none/a"}}))),
            "NoSuchBucket");
}

TEST_F(S3Test, Multipart) {
  const Answered begun = S3("POST", "/bkt/big?uploads", "", With({{"x-amz-meta-a", "1"}}));
  ASSERT_EQ(begun.status, 200);
  const std::string id(ParseXml(begun.body).value().ChildText("UploadId"));
  const std::string at = "/bkt/big?uploadId=" + id;
  const std::string five(5 << 20, 'x');
  const auto put = [&](int number, const std::string& body) {
    net::Request r = Make("PUT", at + "&partNumber=" + std::to_string(number));
    net::SignSigV4(Secret("secret1"), Scope(), Now(), "UNSIGNED-PAYLOAD", r);
    return Carry(std::move(r), body, 1 << 20);
  };
  const std::string tag1(put(1, five).headers.Get("ETag"));
  const std::string tag2(put(2, "tail").headers.Get("ETag"));
  EXPECT_EQ(CodeOf(put(0, "x")), "InvalidArgument");
  EXPECT_EQ(CodeOf(put(10001, "x")), "InvalidArgument");
  EXPECT_THAT(S3("GET", at).body, HasSubstr("<Part><PartNumber>1</PartNumber>"));
  const auto part = [](int number, const std::string& tag) {
    return "<Part><ETag>" + tag + "</ETag><PartNumber>" + std::to_string(number) +
           "</PartNumber></Part>";
  };
  const auto complete = [&](const std::string& parts) {
    return S3("POST", at, "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>");
  };
  EXPECT_EQ(CodeOf(complete(part(2, tag2) + part(1, tag1))), "InvalidPartOrder");
  EXPECT_EQ(CodeOf(complete(part(1, tag2))), "InvalidPart");
  EXPECT_EQ(CodeOf(complete(part(1, tag1) + part(3, tag2))), "InvalidPart");
  EXPECT_EQ(CodeOf(complete("")), "MalformedXML");
  put(3, "more");
  EXPECT_EQ(CodeOf(complete(part(1, tag1) + part(2, tag2) + part(3, tag2))), "EntityTooSmall");
  const Answered done = complete(part(1, tag1) + part(2, tag2));
  EXPECT_EQ(done.status, 200);
  EXPECT_THAT(done.body, HasSubstr("-2&quot;</ETag>"));
  const Answered got = S3("GET", "/bkt/big");
  EXPECT_EQ(got.body, five + "tail");
  EXPECT_EQ(got.headers.Get("x-amz-meta-a"), "1");
  EXPECT_EQ(CodeOf(complete(part(1, tag1))), "NoSuchUpload");
  EXPECT_EQ(CodeOf(S3("DELETE", at)), "NoSuchUpload");
}

TEST_F(S3Test, SmallPartsAndAbort) {
  const std::string id(ParseXml(S3("POST", "/bkt/big?uploads").body).value().ChildText("UploadId"));
  const std::string at = "/bkt/big?uploadId=" + id;
  const std::string tag(S3("PUT", at + "&partNumber=1", "x").headers.Get("ETag"));
  net::Headers source =
      With({{"x-amz-copy-source", "/bkt/a"}, {"x-amz-copy-source-range", "bytes=0-4"}});
  const Answered copied = S3("PUT", at + "&partNumber=2", "", source);
  const std::string tag2(ParseXml(copied.body).value().ChildText("ETag"));
  EXPECT_EQ(tag2, "\"5d41402abc4b2a76b9719d911017c592\"");  // of "hello"
  EXPECT_EQ(CodeOf(S3("POST", at,
                      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + tag +
                          "</ETag></Part><Part><PartNumber>2</PartNumber><ETag>" + tag2 +
                          "</ETag></Part></CompleteMultipartUpload>")),
            "EntityTooSmall");
  EXPECT_EQ(S3("DELETE", at).status, 204);
  EXPECT_EQ(CodeOf(S3("PUT", at + "&partNumber=1", "x")), "NoSuchUpload");
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/big")), "NoSuchKey");
}

TEST_F(S3Test, Presigned) {
  const auto presign = [](const std::string& method, std::string target, int expires) {
    target += (target.find('?') == std::string::npos ? "?" : "&");
    target +=
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK1%2F20261124%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20261124T081500Z&X-Amz-SignedHeaders=host&X-Amz-Expires=" +
        std::to_string(expires);
    const auto claim =
        ParseSigV4(Make(method, target + "&X-Amz-Signature=" + std::string(64, '0')));
    return target + "&X-Amz-Signature=" +
           SigV4Signature(Secret("secret1"), Make(method, target), claim.value(),
                          "UNSIGNED-PAYLOAD");
  };
  EXPECT_EQ(Carry(Make("PUT", presign("PUT", "/bkt/p", 60)), "data").status, 200);
  const std::string url = presign("GET", "/bkt/p?response-content-type=text%2Fcsv", 60);
  Answered got = Carry(Make("GET", url), "");
  EXPECT_EQ(got.body, "data");
  EXPECT_EQ(got.headers.Get("Content-Type"), "text/csv");
  EXPECT_EQ(CodeOf(Carry(Make("DELETE", url), "")), "SignatureDoesNotMatch");
  EXPECT_EQ(
      CodeOf(Carry(Make("GET", presign("GET", "/bkt/p?response-content-type=a%0D%0Ab", 60)), "")),
      "InvalidArgument");
  clock_.now += std::chrono::seconds(61);
  got = Carry(Make("GET", url), "");
  EXPECT_EQ(CodeOf(got), "AccessDenied");
  EXPECT_THAT(got.body, HasSubstr("expired"));
}

// ---- aws-chunked bodies

class ChunkedTest : public S3Test {
 protected:
  static std::string Hex(std::string_view text) {
    return crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, text));
  }
  net::Request Head(const std::string& kind, std::size_t length, net::Headers headers = {}) {
    headers.Add("x-amz-decoded-content-length", std::to_string(length));
    headers.Add("Content-Encoding", "aws-chunked");
    net::Request r = Make("PUT", "/bkt/c", std::move(headers));
    net::SignSigV4(Secret("secret1"), Scope(), Now(), kind, r);
    return r;
  }
  // `chunks` with signatures; the last one must be empty.
  std::string SignedBody(const net::Request& head, const std::vector<std::string>& chunks,
                         const std::string& trailer = "") {
    const auto claim = net::ParseSigV4(head).value();
    const std::string key = net::SigV4SigningKey(Secret("secret1"), claim.scope);
    std::string previous = claim.signature, body;
    for (const std::string& chunk : chunks) {
      previous = net::SigV4ChunkSignature(key, claim, previous, Hex(chunk));
      std::array<char, 32> size{};
      std::snprintf(size.data(), size.size(), "%zx", chunk.size());
      body += std::string(size.data()) + ";chunk-signature=" + previous + "\r\n";
      if (!chunk.empty()) body += chunk + "\r\n";
    }
    if (!trailer.empty()) {
      body += trailer + "\r\nx-amz-trailer-signature:" +
              net::SigV4TrailerSignature(key, claim, previous, Hex(trailer + "\n")) + "\r\n";
    }
    return body + "\r\n";
  }
};

TEST_F(ChunkedTest, SignedChunks) {
  const net::Request head = Head("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 11);
  const std::string body = SignedBody(head, {"hello ", "world", ""});
  for (const std::size_t piece : {1U, 3U, 1000U}) {
    EXPECT_EQ(CodeOf(Carry(head, body, piece)), "200") << piece;
  }
  EXPECT_EQ(S3("GET", "/bkt/c").body, "hello world");
  EXPECT_FALSE(S3("GET", "/bkt/c").headers.Has("Content-Encoding"));  // that was framing
  S3("DELETE", "/bkt/c");
  std::string altered = body;
  altered[altered.find("hello")] = 'H';
  EXPECT_EQ(CodeOf(Carry(head, altered)), "SignatureDoesNotMatch");
  EXPECT_EQ(CodeOf(Carry(head, SignedBody(head, {"world", ""}))), "IncompleteBody");
  EXPECT_EQ(CodeOf(Carry(head, body.substr(0, body.size() - 3))), "IncompleteBody");
  EXPECT_EQ(CodeOf(Carry(head, body + "x")), "IncompleteBody");
  EXPECT_EQ(CodeOf(Carry(head, "b\r\nhello world\r\n0\r\n\r\n")), "IncompleteBody");  // unsigned
  EXPECT_EQ(CodeOf(S3("GET", "/bkt/c")), "NoSuchKey");
}

TEST_F(ChunkedTest, UnsignedWithTrailer) {
  const net::Headers announce = With({{"x-amz-trailer", "x-amz-checksum-crc32"}});
  const net::Request head = Head("STREAMING-UNSIGNED-PAYLOAD-TRAILER", 5, announce);
  const std::string body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
  for (const std::size_t piece : {1U, 2U, 1000U}) {
    EXPECT_EQ(CodeOf(Carry(head, body, piece)), "200") << piece;
  }
  EXPECT_EQ(S3("GET", "/bkt/c").body, "hello");
  EXPECT_EQ(CodeOf(Carry(head, "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")),
            "BadDigest");
  EXPECT_EQ(CodeOf(Carry(head, "5\r\nhello\r\n0\r\n\r\n")), "IncompleteBody");  // no trailer
  for (const char* bad : {"5\nhello\r\n0\r\n\r\n", "x\r\n", "5\r\nhelloo\r\n0\r\n\r\n", "\r\n",
                          "-5\r\nhello\r\n", "ffffffffff\r\n", "5\r\nhello\r\n0\r\nbad\r\n\r\n"}) {
    EXPECT_EQ(CodeOf(Carry(head, bad)), "IncompleteBody") << bad;
  }
  EXPECT_EQ(CodeOf(Carry(head, std::string(5000, '5'))), "IncompleteBody");
}

TEST_F(ChunkedTest, SignedTrailer) {
  const net::Headers announce = With({{"x-amz-trailer", "x-amz-checksum-crc32"}});
  const net::Request head = Head("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", 5, announce);
  const std::string body = SignedBody(head, {"hello", ""}, "x-amz-checksum-crc32:NhCmhg==");
  EXPECT_EQ(CodeOf(Carry(head, body)), "200");
  std::string altered = body;
  altered.replace(altered.find("NhCmhg"), 6, "NhCmhh");
  EXPECT_EQ(CodeOf(Carry(head, altered)), "SignatureDoesNotMatch");
  std::string unsigned_trailer = SignedBody(head, {"hello", ""});
  unsigned_trailer.insert(unsigned_trailer.size() - 2, "x-amz-checksum-crc32:NhCmhg==\r\n");
  EXPECT_EQ(CodeOf(Carry(head, unsigned_trailer)), "SignatureDoesNotMatch");
}

TEST_F(ChunkedTest, ClaimsThatCannotBe) {
  EXPECT_EQ(CodeOf(Carry(Head("STREAMING-SOMETHING", 5), "x")), "NotImplemented");
  EXPECT_EQ(CodeOf(Carry(Head("abc", 5), "x")), "InvalidArgument");
  EXPECT_EQ(CodeOf(Carry(
                Head("STREAMING-UNSIGNED-PAYLOAD-TRAILER", 5, With({{"x-amz-trailer", "x-other"}})),
                "x")),
            "InvalidRequest");
}

}  // namespace
}  // namespace cml::api::objects
