#include "api/auth/authenticator.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "store/testing/memory_store.h"

namespace cml::api {
namespace {

using namespace std::chrono_literals;

class FixedClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::seconds{1474203860}};
};

// Reverses the text: enough to see that the sealed form is what is kept.
class TestBox final : public service::SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view) const override { return {plain.rbegin(), plain.rend()}; }
  Result<Secret> Open(std::string_view sealed, std::string_view) const override {
    return Secret(std::string(sealed.rbegin(), sealed.rend()));
  }
};

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    const auto org = store_.CreateOrg(Org{{}, "default", clock_.now, 0});
    key_.access_key = AccessKey{"ak"};
    key_.org = org.value().id;
    key_.role = KeyRole::kMember;
    key_.sealed_secret = box_.Seal("sk", "ak");
    EXPECT_TRUE(store_.PutKey(key_).ok());
  }
  net::Request Galaxy(std::string path, std::string body, std::string signature) {
    net::Request rq;
    rq.method = "GET";
    rq.target = path;
    rq.path = net::NormalisePath(path);
    rq.body = std::move(body);
    rq.headers.Add("X-Xiaomi-Timestamp", "1474203860");
    rq.headers.Add("X-Xiaomi-Content-MD5", crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, rq.body)));
    rq.headers.Add("X-Xiaomi-Secret-Key-Id", "ak");
    rq.headers.Add("Authorization", "Galaxy V3 " + signature);
    return rq;
  }
  net::Request SigV4(std::string method, std::string timestamp = "20160918T130420Z") {
    net::Request rq;
    rq.method = std::move(method);
    rq.target = rq.path = "/cloud_ml/v1/train";
    rq.headers.Add("Host", "localhost");
    net::SignSigV4(Secret{std::string("sk")}, {"ak", timestamp.substr(0, 8), "here", "cloudml"}, timestamp,
                   crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, "")), rq);
    return rq;
  }
  Code CodeOf(const net::Request& rq) {
    const auto r = auth_.Authenticate(rq);
    return r.ok() ? Code::kInternal : r.error().code();
  }

  FixedClock clock_;
  TestBox box_;
  store::testing::MemoryStore store_;
  ApiKey key_;
  service::Orgs orgs_{store_, box_, clock_};
  Authenticator auth_{orgs_, clock_, clock_.now - 1h};
};

// The vectors of cloud_ml v1, section 2.
TEST_F(AuthenticatorTest, AcceptsTheVectorsOfTheContract) {
  const auto who = auth_.Authenticate(Galaxy("/cloud_ml/v1/train", "", "niUtnoeUliQty3xCB9n3h3LBRqQ="));
  ASSERT_TRUE(who.ok()) << who.error().message();
  EXPECT_EQ(who.value().org, key_.org);
  EXPECT_EQ(who.value().role, KeyRole::kMember);
  EXPECT_TRUE(auth_.Authenticate(Galaxy("/cloud_ml/v1/train/a%20b?org_id=1", "", "07FEJzOgh/wc0JaZYDBjF4dqIGU=")).ok());
  EXPECT_TRUE(auth_.Authenticate(Galaxy("/cloud_ml/v1/model/linear/v1", "replicas=2", "AVGiutcPFZg1xDzA1s0I+GSMTac=")).ok());
  EXPECT_TRUE(auth_.Authenticate(Galaxy("/cloud_ml//v1/train", "", "2RiDHGBaCYJ7nTJWkBEsqOBF2cY=")).ok());
  // Signed with the doubled slash, sent with one (13.1).
  EXPECT_TRUE(auth_.Authenticate(Galaxy("/cloud_ml/v1/train", "", "oGCsgPz6uPzAdFjwW+4HI1hes70=")).ok());
}

TEST_F(AuthenticatorTest, UnknownDisabledAndWrongAreOneAnswer) {
  const auto wrong = auth_.Authenticate(Galaxy("/cloud_ml/v1/train", "", "AAAAnoeUliQty3xCB9n3h3LBRqQ="));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().message(), "Unauthorized: signature is wrong");
  net::Request unknown = Galaxy("/cloud_ml/v1/train", "", "niUtnoeUliQty3xCB9n3h3LBRqQ=");
  unknown.headers.Set("X-Xiaomi-Secret-Key-Id", "nobody");
  EXPECT_EQ(auth_.Authenticate(unknown).error().message(), wrong.error().message());
  ASSERT_TRUE(orgs_.SetDisabled(AccessKey{"ak"}, true).ok());
  const auto disabled = auth_.Authenticate(Galaxy("/cloud_ml/v1/train", "", "niUtnoeUliQty3xCB9n3h3LBRqQ="));
  EXPECT_EQ(disabled.error().message(), wrong.error().message());
  EXPECT_EQ(disabled.error().code(), Code::kUnauthenticated);
}

TEST_F(AuthenticatorTest, TheBodyIsTheOneThatWasSigned) {
  net::Request rq = Galaxy("/cloud_ml/v1/model/linear/v1", "replicas=2", "AVGiutcPFZg1xDzA1s0I+GSMTac=");
  rq.body = "replicas=9";
  EXPECT_EQ(CodeOf(rq), Code::kUnauthenticated);
}

TEST_F(AuthenticatorTest, TheClockWindowIsFifteenMinutesEachWay) {
  for (const auto shift : {-16min, 16min}) {
    clock_.now = SysTime{std::chrono::seconds{1474203860}} + shift;
    const auto r = auth_.Authenticate(Galaxy("/cloud_ml/v1/train", "", "niUtnoeUliQty3xCB9n3h3LBRqQ="));
    ASSERT_FALSE(r.ok());
    EXPECT_NE(r.error().message().find("clock"), std::string::npos);
  }
  clock_.now = SysTime{std::chrono::seconds{1474203860}} + 14min;
  EXPECT_TRUE(auth_.Authenticate(Galaxy("/cloud_ml/v1/train", "", "niUtnoeUliQty3xCB9n3h3LBRqQ=")).ok());
}

TEST_F(AuthenticatorTest, AChangingSigV4RequestCannotBeReplayed) {
  const net::Request get = SigV4("GET"), post = SigV4("POST");
  EXPECT_TRUE(auth_.Authenticate(get).ok());
  EXPECT_TRUE(auth_.Authenticate(get).ok());
  ASSERT_TRUE(auth_.Authenticate(post).ok());
  EXPECT_EQ(CodeOf(post), Code::kUnauthenticated);
  // Neither by a server that has started since.
  Authenticator restarted(orgs_, clock_, clock_.now + 2min);
  EXPECT_FALSE(restarted.Authenticate(post).ok());
}

TEST_F(AuthenticatorTest, SigV4CoversTheBodyAndTheService) {
  net::Request rq = SigV4("POST");
  rq.body = "{}";
  EXPECT_EQ(CodeOf(rq), Code::kUnauthenticated);
  net::Request other;
  other.method = "GET";
  other.target = other.path = "/cloud_ml/v1/train";
  other.headers.Add("Host", "localhost");
  net::SignSigV4(Secret{std::string("sk")}, {"ak", "20160918", "here", "s3"}, "20160918T130420Z",
                 crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, "")), other);
  EXPECT_NE(auth_.Authenticate(other).error().message().find("cloudml"), std::string::npos);
  EXPECT_EQ(CodeOf(SigV4("GET", "20160918T100000Z")), Code::kUnauthenticated);
}

TEST_F(AuthenticatorTest, AnUnsignedRequestIsToldHowToSign) {
  EXPECT_NE(auth_.Authenticate(net::Request{}).error().message().find("not signed"), std::string::npos);
}

}  // namespace
}  // namespace cml::api
