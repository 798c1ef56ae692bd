// The administrator's grammar, against a platform that follows a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/exit_code.h"
#include "cli/main.h"
#include "cli/testing/fake_platform.h"
#include "cli/testing/fake_terminal.h"

namespace cml::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;

class AdminTest : public testing::Test {
 protected:
  AdminTest() {
    io.env = {{"HOME", home.path().string()},
              {"XIAOMI_CLOUDML_ENDPOINT", platform.url()},
              {"XIAOMI_ACCESS_KEY_ID", kTestAccessKey},
              {"XIAOMI_SECRET_ACCESS_KEY", kTestSecretKey}};
    platform.AddJob("ranker", {{"completed", "", "row 1\n"}});
  }
  // As the program cloudml_admin.
  int Admin(std::vector<std::string> args) {
    io.out.clear();
    io.err.clear();
    return RunCli(std::move(args), io, "admin");
  }

  TempFolder home;
  FakePlatform platform;
  FakeTerminal io;
};

TEST_F(AdminTest, TheLastWordIsTheOrganisation) {
  EXPECT_EQ(Admin({"jobs", "list", "-1"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("GET /cloud_ml/v1/train?org_id=-1"));
  EXPECT_EQ(Admin({"jobs", "describe", "ranker", "7"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("GET /cloud_ml/v1/train/ranker?org_id=7"));
  EXPECT_EQ(Admin({"jobs", "logs", "-n", "3", "ranker", "7"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("GET /cloud_ml/v1/train/ranker/logs?lines=3&org_id=7"));
  EXPECT_EQ(Admin({"jobs", "delete", "ranker", "7"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("DELETE /cloud_ml/v1/train/ranker?org_id=7"));
}

TEST_F(AdminTest, AListOfSeveralOrganisationsSaysWhose) {
  platform.Answer("GET /cloud_ml/v1/train", 200,
                  R"({"data": [{"job_name": "a", "state": "running", "org_name": "vision"},
                               {"job_name": "a", "state": "running", "org_name": "speech"}]})");
  EXPECT_EQ(Admin({"jobs", "list", "-1"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("ORG"));
  EXPECT_THAT(io.out, HasSubstr("vision"));
  platform.Answer("GET /cloud_ml/v1/train", 200, R"({"data": [{"job_name": "a", "state": "running", "org_name": "vision"}]})");
  EXPECT_EQ(Admin({"jobs", "list", "7"}), 0) << io.err;
  EXPECT_EQ(io.out.find("ORG"), std::string::npos);
}

TEST_F(AdminTest, WithoutAnOrganisationItSaysSo) {
  EXPECT_EQ(Admin({"jobs", "list"}), static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(io.err, HasSubstr("ORG"));
  EXPECT_EQ(Admin({"jobs", "describe", "7", "ranker"}), static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(io.err, HasSubstr("ORG \"ranker\""));
}

TEST_F(AdminTest, IsAGroupOfTheUsualProgramToo) {
  io.out.clear();
  EXPECT_EQ(RunCli({"admin", "jobs", "describe", "ranker", "7"}, io), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("GET /cloud_ml/v1/train/ranker?org_id=7"));
}

TEST_F(AdminTest, QuotaUpdateSendsWhatWasNamed) {
  platform.Answer("PUT /cloud_ml/v1/quota/7", 200, R"({"org_id": "7"})");
  EXPECT_EQ(Admin({"quota", "update", "7", "-t", "jobs", "-c", "64", "-g", "8", "-C", "20", "-P", "2"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("PUT /cloud_ml/v1/quota/7"));
  EXPECT_EQ(platform.last_body(),
            R"({"org_id":"7","train_cpu_quota":"64","train_gpu_quota":8,"train_count_quota":20,"train_priority_rank":"2"})");
}

TEST_F(AdminTest, QuotaUpdateChecksBeforeItSends) {
  EXPECT_EQ(Admin({"quota", "update", "7"}), static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(io.err, HasSubstr("nothing to change"));
  EXPECT_EQ(Admin({"quota", "update", "7", "-c", "4"}), static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(io.err, HasSubstr("of which group?"));
  EXPECT_EQ(Admin({"quota", "update", "7", "-t", "jobs", "-g", "many"}), static_cast<int>(ExitCode::kUsage));
}

}  // namespace
}  // namespace cml::cli
