// Commands of quotas, nodes and resources, against a platform that answers as it is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/exit_code.h"
#include "cli/main.h"
#include "cli/testing/fake_platform.h"
#include "cli/testing/fake_terminal.h"
#include "codec/node_json.h"
#include "codec/quota_json.h"

namespace cml::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;

const std::string kV1 = "/cloud_ml/v1";

class QuotaCliTest : public testing::Test {
 protected:
  QuotaCliTest() {
    io.env = {{"HOME", home.path().string()},
              {"XIAOMI_CLOUDML_ENDPOINT", platform.url()},
              {"XIAOMI_ACCESS_KEY_ID", kTestAccessKey},
              {"XIAOMI_SECRET_ACCESS_KEY", kTestSecretKey}};
    vision.org.id = OrgId{"7"};
    vision.org.name = "vision";
    vision.quota.of(QuotaGroup::kTrain).gpus = 8;
    vision.used.of(QuotaGroup::kTrain) = {1500, 8LL << 30, 6, 2, 0};
  }
  int Run(std::vector<std::string> args) {
    io.out.clear();
    io.err.clear();
    return RunCli(std::move(args), io);
  }

  TempFolder home;
  FakePlatform platform;
  FakeTerminal io;
  QuotaStanding vision;
};

TEST_F(QuotaCliTest, ListShowsUsedAndAllowed) {
  platform.Answer("GET " + kV1 + "/quota", 200, codec::EncodeQuotas({vision}));
  ASSERT_EQ(Run({"quota", "list"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("vision  (organisation 7)   used/allowed\n"));
  EXPECT_THAT(io.out, HasSubstr("GROUP        COUNT  CPU      MEMORY  GPU    PRIORITY  RANK\n"
                                "train        2/INF  1.5/INF  8G/INF  6/8    0/INF     1\n"));
  EXPECT_THAT(io.out, HasSubstr("total        –      1.5/INF  8G/INF  6/INF  –         –\n"));
  EXPECT_EQ(Run({"quota", "list", "-o", "json"}), 0);
  EXPECT_THAT(io.out, HasSubstr("\"train_gpu_quota\": \"8\""));
}

TEST_F(QuotaCliTest, ARefusedSubmitSaysWhatIsInUse) {
  platform.Answer(
      "POST " + kV1 + "/train", 403,
      R"({"error": true, "message": "quota: train: 4 GPUs asked, 6 used, 8 allowed; wait"})");
  Reservation four, two, model;
  four.amounts.gpus = 4;
  two.amounts.gpus = 2;
  model.group = QuotaGroup::kModel;
  model.amounts.gpus = 1;
  platform.Answer("GET " + kV1 + "/quota_holders", 200,
                  codec::EncodeQuotaHolders({{OrgId{"7"}, "train_job", "detector", "running", four},
                                             {OrgId{"7"}, "train_job", "ocr-sweep", "running", two},
                                             {OrgId{"7"}, "model", "other", "running", model}}));
  EXPECT_EQ(Run({"jobs", "submit", "-n", "ranker", "-dc", "true", "-g", "4"}),
            static_cast<int>(ExitCode::kRefused));
  EXPECT_EQ(io.err,
            "error: quota: train: 4 GPUs asked, 6 used, 8 allowed; wait\n"
            "       in use: detector (4), ocr-sweep (2)\n");
}

TEST_F(QuotaCliTest, UpdateFilesAnApplication) {
  QuotaApplication filed;
  filed.id = "k3v9";
  platform.Answer("POST " + kV1 + "/application", 200, codec::EncodeApplication(filed));
  EXPECT_EQ(Run({"quota", "update", "-t", "jobs", "-g", "12"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("application k3v9 is filed"));
  EXPECT_EQ(Run({"quota", "update", "-t", "jobs"}), static_cast<int>(ExitCode::kUsage));
  EXPECT_EQ(Run({"quota", "update", "-g", "12"}), static_cast<int>(ExitCode::kUsage));
}

TEST_F(QuotaCliTest, ApplicationsAreListedAndDecided) {
  QuotaApplication a;
  a.id = "k3v9";
  a.org_name = "vision";
  a.service = "jobs";
  a.asked.gpu_limit = "12";
  a.comment = "deadline";
  platform.Answer("GET " + kV1 + "/application", 200, codec::EncodeApplications({a}));
  EXPECT_EQ(Run({"quota", "applications", "--all", "--state", "pending"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("12 GPU"));
  EXPECT_THAT(io.out, HasSubstr("deadline"));
  EXPECT_THAT(platform.requests(),
              Contains("GET /cloud_ml/v1/application?org_id=-1&state=pending"));
  a.state = ApplicationState::kGranted;
  a.granted.gpu_limit = "8";
  platform.Answer("POST " + kV1 + "/application/k3v9/grant", 200, codec::EncodeApplication(a));
  EXPECT_EQ(Run({"quota", "grant", "k3v9", "-g", "8", "-m", "for now"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("granted  jobs: 8 GPU"));
  a.state = ApplicationState::kDeclined;
  a.granted = {};
  platform.Answer("POST " + kV1 + "/application/k3v9/decline", 200, codec::EncodeApplication(a));
  EXPECT_EQ(Run({"quota", "decline", "k3v9", "-m", "no"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("declined\n"));
}

TEST_F(QuotaCliTest, SetTakesANameAndChecksValues) {
  platform.Answer("GET " + kV1 + "/quota", 200, codec::EncodeQuotas({vision}));
  platform.Answer("PUT " + kV1 + "/quota/7", 200, codec::EncodeQuota(vision));
  EXPECT_EQ(Run({"quota", "set", "vision", "-t", "jobs", "-g", "8"}), 0) << io.err;
  EXPECT_THAT(platform.requests(), Contains("PUT /cloud_ml/v1/quota/7"));
  EXPECT_EQ(Run({"quota", "set", "7", "-t", "total", "-M", "INF"}), 0) << io.err;
  EXPECT_EQ(Run({"quota", "set", "nobody", "-t", "jobs", "-g", "8"}),
            static_cast<int>(ExitCode::kNotFound));
  EXPECT_EQ(Run({"quota", "set", "7", "-t", "jobs", "-g", "many"}),
            static_cast<int>(ExitCode::kUsage));
  EXPECT_EQ(Run({"quota", "set", "7", "-t", "total", "-C", "3"}),
            static_cast<int>(ExitCode::kUsage));
  EXPECT_EQ(Run({"quota", "set", "7", "-g", "3"}), static_cast<int>(ExitCode::kUsage));
  EXPECT_EQ(Run({"quota", "set", "7"}), static_cast<int>(ExitCode::kUsage));
}

TEST_F(QuotaCliTest, NodesAndResources) {
  NodeState n;
  n.node = {"gpu-01", 8000, 32LL << 30, {{0, "v100", "GPU-a"}}, {{"rack", "r1"}}};
  n.millicores_used = 1500;
  n.gpus_used = 1;
  n.cordon = Cordon{"gpu-01", "Xid 79", "ann", {}};
  n.users.push_back({ResourceId{"r"},
                     ResourceKind::kTrainJob,
                     OrgId{"7"},
                     "vision",
                     "ranker",
                     "running",
                     {1500, 0, 1, 0, 0},
                     {0}});
  platform.Answer("GET " + kV1 + "/nodes", 200, codec::EncodeNodes({n}));
  platform.Answer("GET " + kV1 + "/nodes/gpu-01", 200, codec::EncodeNode(n));
  platform.Answer("POST " + kV1 + "/nodes/gpu-01/cordon", 200, codec::EncodeNode(n));
  platform.Answer("POST " + kV1 + "/nodes/gpu-01/uncordon", 200, codec::EncodeNode(n));
  platform.Answer("GET " + kV1 + "/resources", 200, codec::EncodeResources({n}));
  EXPECT_EQ(Run({"node", "list"}), 0) << io.err;
  EXPECT_EQ(io.out,
            "NODE    STATE     CPU    MEMORY  GPU       JOBS  WHY\n"
            "gpu-01  cordoned  1.5/8  0K/32G  1/1 v100     1  Xid 79\n");
  EXPECT_EQ(Run({"node", "describe", "gpu-01"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("ranker of vision"));
  EXPECT_THAT(io.out, HasSubstr("rack=r1"));
  EXPECT_EQ(Run({"node", "cordon", "gpu-01", "--reason", "Xid 79"}), 0) << io.err;
  EXPECT_EQ(io.out, "gpu-01  cordoned  jobs on it: 1\n");
  EXPECT_EQ(Run({"node", "uncordon", "gpu-01"}), 0) << io.err;
  EXPECT_EQ(Run({"resources", "list"}), 0) << io.err;
  EXPECT_THAT(io.out, HasSubstr("gpu-01  0         0K"));
}

}  // namespace
}  // namespace cml::cli
