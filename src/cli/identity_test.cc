// The commands about organisations, users and keys, against a platform that follows a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/main.h"
#include "cli/testing/fake_platform.h"
#include "cli/testing/fake_terminal.h"

namespace cml::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kVision = R"({"org_id": "2", "org_name": "vision", "org_mail": "a@b", "description": "", "project": "",
  "state": "suspended", "reason": "not paid", "unix_uid": 200001, "create_time": "2026-11-24 07:57:00.000000"})";
constexpr const char* kNewKey = R"({"access_key": "AK1", "org_id": "2", "org_name": "vision", "role": "member", "user": "ann",
  "label": "", "state": "active", "disabled": false, "expires": "", "last_used": "", "replaces": "", "secret_key": "the-secret"})";

class IdentityCliTest : public testing::Test {
 protected:
  IdentityCliTest() {
    io.env = {{"HOME", home.path().string()},
              {"XIAOMI_CLOUDML_ENDPOINT", platform.url()},
              {"XIAOMI_ACCESS_KEY_ID", kTestAccessKey},
              {"XIAOMI_SECRET_ACCESS_KEY", kTestSecretKey}};
    platform.Answer("GET /cloud_ml/v1/org/vision", 200, kVision);
    platform.Answer("DELETE /cloud_ml/v1/org/vision", 200, R"({"error": false, "message": "Successfully delete vision"})");
    platform.Answer("POST /cloud_ml/v1/key", 200, kNewKey);
  }
  int Run(std::vector<std::string> args) {
    io.out.clear();
    io.err.clear();
    return RunCli(std::move(args), io);
  }

  TempFolder home;
  FakePlatform platform;
  FakeTerminal io;
};

TEST_F(IdentityCliTest, AStateHasItsReason) {
  EXPECT_EQ(Run({"org", "describe", "vision"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("vision  suspended: not paid"));
  platform.Answer("GET /cloud_ml/v1/org", 200, std::string(R"({"data": [)") + kVision + "]}");
  EXPECT_EQ(Run({"org", "list"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("not paid"));
  EXPECT_EQ(Run({"org", "list", "-o", "name"}), 0);
  EXPECT_EQ(io.out, "vision\n");
}

TEST_F(IdentityCliTest, WithoutANameItIsOnesOwn) {
  platform.Answer("GET /cloud_ml/v1/org_ids", 200, R"({"org_id": "2"})");
  platform.Answer("GET /cloud_ml/v1/org/2", 200, kVision);
  EXPECT_EQ(Run({"org", "describe"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("vision"));
}

TEST_F(IdentityCliTest, ADeletionAsksForTheName) {
  EXPECT_EQ(Run({"org", "delete", "vision"}), 2) << "nobody to ask";
  EXPECT_THAT(io.err, HasSubstr("--yes"));
  io.is_terminal = true;
  io.input = {"visoin"};
  EXPECT_EQ(Run({"org", "delete", "vision"}), 2);
  EXPECT_THAT(platform.requests(), Not(Contains("DELETE /cloud_ml/v1/org/vision")));
  io.input = {"vision"};
  EXPECT_EQ(Run({"org", "delete", "vision"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("DELETE /cloud_ml/v1/org/vision"));
  EXPECT_EQ(Run({"org", "delete", "vision", "-y"}), 0) << io.err;
}

TEST_F(IdentityCliTest, ANewKeyIsShownWithHowToUseIt) {
  EXPECT_EQ(Run({"key", "create", "--org", "vision", "--user", "ann", "--expires", "30d"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("POST /cloud_ml/v1/key?org_id=2"));
  EXPECT_THAT(io.out, HasSubstr("secret key  the-secret"));
  EXPECT_THAT(io.err, HasSubstr("cloudml config init -k vision"));
  EXPECT_THAT(io.err, Not(HasSubstr("the-secret")));
  EXPECT_EQ(Run({"key", "create", "--expires", "soon"}), 2);
  EXPECT_EQ(Run({"key", "create", "--role", "root"}), 2);
}

TEST_F(IdentityCliTest, ListsNeverHoldASecret) {
  platform.Answer("GET /cloud_ml/v1/key", 200, std::string(R"({"data": [)") + kNewKey + "]}");
  EXPECT_EQ(Run({"key", "list"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("AK1"));
  EXPECT_THAT(io.out, Not(HasSubstr("the-secret")));
}

TEST_F(IdentityCliTest, ASuspensionNeedsAReason) {
  EXPECT_EQ(Run({"org", "suspend", "vision"}), 2);
  EXPECT_THAT(io.err, HasSubstr("--reason"));
}

}  // namespace
}  // namespace cml::cli
