#include "codec/identity_json.h"

#include <gtest/gtest.h>

#include "codec/document.h"

namespace cml::codec {
namespace {

const SysTime kNow{std::chrono::seconds{1'800'000'000}};

Document Parsed(const std::string& text) {
  auto parsed = Document::Parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed.ok() ? std::move(parsed).value() : Document();
}

TEST(IdentityJsonTest, AbsentNullAndEmptyAreThreeThings) {
  const auto fields = DecodeOrg(R"({"org_name": null, "org_mail": "", "other": [1]})").value();
  EXPECT_FALSE(fields.name);
  EXPECT_EQ(fields.mail, "");
  EXPECT_FALSE(fields.description);
  EXPECT_TRUE(DecodeOrg("").ok());
  EXPECT_EQ(DecodeOrg(R"({"org_name": {}})").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(DecodeOrg("[]").error().code(), Code::kInvalidArgument);
}

TEST(IdentityJsonTest, TheStateOfAKeyIsOfTheMoment) {
  ApiKey key;
  EXPECT_EQ(StateOf(key, kNow), "active");
  key.expires = kNow;
  EXPECT_EQ(StateOf(key, kNow), "expired");
  EXPECT_EQ(StateOf(key, kNow - std::chrono::seconds{1}), "active");
  key.disabled = true;
  EXPECT_EQ(StateOf(key, kNow), "disabled");
}

TEST(IdentityJsonTest, ASecretIsWrittenOnceAndByOneFunction) {
  NamedKey key;
  key.key.access_key = AccessKey{"AK1"};
  key.key.sealed_secret = "sealed-text";
  for (const std::string& text : {EncodeKey(key, kNow), EncodeKeys({key}, kNow)}) {
    EXPECT_EQ(text.find("sealed-text"), std::string::npos);
    EXPECT_EQ(text.find("secret"), std::string::npos);
  }
  const Document made = Parsed(EncodeNewKey(key, "the-secret", kNow));
  EXPECT_EQ(made.Get("secret_key").Str(), "the-secret");
  EXPECT_EQ(made.Get("expires").Str("?"), "");
  EXPECT_EQ(made.Get("last_used").Str("?"), "");
}

TEST(IdentityJsonTest, TheFieldsOfAKey) {
  const auto fields = DecodeKey(R"({"role": "viewer", "disabled": true, "expires": "2027-01-31T00:00:00Z"})").value();
  EXPECT_EQ(fields.role, KeyRole::kViewer);
  EXPECT_EQ(fields.disabled, true);
  EXPECT_EQ(FormatRfc3339(*fields.expires), "2027-01-31T00:00:00Z");
  EXPECT_EQ(DecodeKey(R"({"expires": ""})").value().expires, SysTime{});
  EXPECT_FALSE(DecodeKey("").value().role);
  for (const char* bad : {R"({"role": "root"})", R"({"expires": "tomorrow"})", R"({"expires": "2027-01-31T00:00:00"})",
                          R"({"expires_in": -1})", R"({"overlap": 1e30})", R"({"disabled": "perhaps"})",
                          R"({"expires": "", "expires_in": 5})"}) {
    EXPECT_EQ(DecodeKey(bad).error().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(IdentityJsonTest, AUserComesBackFromItsDocument) {
  const User user{"ann@x", "a@b", kNow, "AK1"};
  const User back = UserFromDocument(ToDocument(user)).value();
  EXPECT_EQ(back.name, user.name);
  EXPECT_EQ(back.mail, user.mail);
  EXPECT_EQ(back.created, user.created);
  EXPECT_EQ(back.created_by, user.created_by);
  EXPECT_EQ(UserFromDocument("nonsense").error().code(), Code::kDataLoss);
}

// cloud_ml v1, 11.8: exactly these keys, and strings.
TEST(IdentityJsonTest, NamespacesHaveTheKeysOfTheContract) {
  Org org;
  org.name = "vision";
  org.mail = "a@b";
  EXPECT_EQ(EncodeNamespace(org), R"({"data":{"name":"vision","owner_email":"a@b","description":""}})");
  NamespaceQuota quota{"vision", {}, {2500, 3LL << 29, 1, 0, 0}};
  quota.total.millicores = 8000;
  quota.total.memory_bytes = 16LL << 30;
  EXPECT_EQ(EncodeNamespaceQuota(quota),
            R"({"data":{"name":"vision","cpu":"8","cpu_used":"2.5","memory":"16","memory_used":"1.5","gpu":"-1","gpu_used":"1"}})");
  EXPECT_EQ(EncodeNamespaceUsers({{"vision", "u1"}}), R"({"data":[{"namespace":"vision","user_id":"u1"}]})");
  EXPECT_EQ(DecodeNamespaceQuota(R"({"name": "v", "cpu": null, "memory": "4"})").value().memory, 4);
  EXPECT_FALSE(DecodeNamespaceQuota(R"({"name": "v", "cpu": -1})").ok());
  EXPECT_FALSE(DecodeNamespace(R"({"owner_email": "a@b"})").ok());
}

}  // namespace
}  // namespace cml::codec
