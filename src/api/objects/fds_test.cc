#include "api/objects/fds.h"

#include <gtest/gtest.h>

#include "api/objects/testing/front_fixture.h"
#include "codec/document.h"

namespace cml::api::objects {
namespace {

using codec::Document;

class FdsTest : public FrontTest {
 protected:
  FdsTest() { EXPECT_EQ(Fds("PUT", "/bkt").status, 200); }

  Answered Fds(const std::string& method, const std::string& target, const std::string& body = "",
               net::Headers headers = {}, const std::string& secret = "secret1") {
    if (!headers.Has("Date")) headers.Add("Date", FormatHttpDate(clock_.now));
    net::Request r = Make(method, target, std::move(headers));
    r.headers.Add("Authorization", "Galaxy-V2 AK1:" + net::GalaxyV2Signature(Secret(secret), method,
                                                                             target, r.headers));
    return Carry(std::move(r), body);
  }
};

TEST_F(FdsTest, WhatTheClientDoesBeforeASubmit) {
  EXPECT_EQ(Fds("HEAD", "/bkt").status, 200);
  EXPECT_EQ(Fds("HEAD", "/none").status, 404);
  EXPECT_EQ(Fds("HEAD", "/bkt/user_packages/t.tar.gz").status, 404);
  const Answered put = Fds("PUT", "/bkt/user_packages/t.tar.gz", "package");
  ASSERT_EQ(put.status, 200);
  const Document d = Document::Parse(put.body).value();
  EXPECT_EQ(d.Get("bucketName").Str(), "bkt");
  EXPECT_EQ(d.Get("objectName").Str(), "user_packages/t.tar.gz");
  EXPECT_EQ(d.Get("accessKeyId").Str(), "AK1");
  EXPECT_TRUE(d.Has("signature"));
  EXPECT_TRUE(d.Has("expires"));
  EXPECT_EQ(Fds("HEAD", "/bkt/user_packages/t.tar.gz").length, 7U);
  const Answered got = Fds("GET", "/bkt/user_packages/t.tar.gz");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "package");
  net::Headers range;
  range.Add("Range", "bytes=4-");
  const Answered part = Fds("GET", "/bkt/user_packages/t.tar.gz", "", range);
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "age");
}

TEST_F(FdsTest, Multipart) {
  const Answered begun = Fds("PUT", "/bkt/big?uploads=true");
  ASSERT_EQ(begun.status, 200);
  const std::string id = Document::Parse(begun.body).value().Get("uploadId").Str();
  ASSERT_FALSE(id.empty());
  const std::string five(5 << 20, 'x');
  Document list = Document::Array();
  for (const auto& [number, body] : {std::pair(1, five), std::pair(2, std::string("tail"))}) {
    const Answered part =
        Fds("PUT", "/bkt/big?uploadId=" + id + "&partNumber=" + std::to_string(number), body);
    ASSERT_EQ(part.status, 200) << part.body;
    const Document d = Document::Parse(part.body).value();
    EXPECT_EQ(d.Get("partNumber").Int(), number);
    EXPECT_EQ(d.Get("partSize").Int(), static_cast<std::int64_t>(body.size()));
    list.Append(d);
  }
  Document all;
  all.Set("uploadPartResultList", list);
  EXPECT_EQ(Fds("PUT", "/bkt/big?uploadId=" + id, all.Dump()).status, 200);
  EXPECT_EQ(Fds("GET", "/bkt/big").body, five + "tail");
  EXPECT_EQ(Fds("PUT", "/bkt/big?uploadId=" + id, all.Dump()).status, 404);
}

TEST_F(FdsTest, MetadataAndMd5) {
  net::Headers headers;
  headers.Add("x-xiaomi-meta-a", "1");
  headers.Add("Content-MD5", "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(Fds("PUT", "/bkt/o", "hello", headers).status, 200);
  EXPECT_EQ(Fds("GET", "/bkt/o").headers.Get("x-xiaomi-meta-a"), "1");
  EXPECT_EQ(Fds("PUT", "/bkt/o2", "hellO", headers).status, 400);
  EXPECT_EQ(Fds("HEAD", "/bkt/o2").status, 404);
  EXPECT_EQ(S3("GET", "/bkt/o").body, "hello");  // one store, two doors
}

TEST_F(FdsTest, SignaturesAndTheClock) {
  EXPECT_EQ(Fds("GET", "/bkt/o", "", {}, "wrong").status, 403);
  EXPECT_EQ(Fds("PUT", "/bkt/o", "x", {}, "wrong").status, 403);
  EXPECT_EQ(Fds("PUT", "/bkt/o", "", {}, "wrong").status, 403);
  for (const char* bad : {"Galaxy-V2 ", "Galaxy-V2 AK1", "Galaxy-V2 :x", "Galaxy-V2 NOBODY:x"}) {
    net::Request r = Make("GET", "/bkt/o");
    r.headers.Add("Date", FormatHttpDate(clock_.now));
    r.headers.Add("Authorization", bad);
    EXPECT_EQ(Carry(std::move(r), "").status, 403) << bad;
  }
  net::Headers old, odd;
  old.Add("Date", FormatHttpDate(clock_.now - std::chrono::minutes(16)));
  odd.Add("Date", "yesterday");
  EXPECT_EQ(Fds("GET", "/bkt/o", "", old).status, 403);
  EXPECT_EQ(Fds("GET", "/bkt/o", "", odd).status, 403);
}

TEST_F(FdsTest, WhatIsNotAvailableSaysSo) {
  EXPECT_EQ(Fds("GET", "/bkt?acl").status, 501);
  EXPECT_EQ(Fds("GET", "/").status, 501);
  EXPECT_EQ(Fds("GET", "/bkt").status, 501);
  EXPECT_EQ(Fds("POST", "/bkt/o").status, 405);
  EXPECT_EQ(Fds("DELETE", "/bkt/o").status, 200);
}

}  // namespace
}  // namespace cml::api::objects
