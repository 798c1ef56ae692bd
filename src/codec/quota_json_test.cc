#include "codec/quota_json.h"

#include <gtest/gtest.h>

#include "codec/document.h"

namespace cml::codec {
namespace {

QuotaStanding Vision() {
  QuotaStanding s;
  s.org.id = OrgId{"7"};
  s.org.name = "vision";
  s.org.mail = "vision@example.com";
  s.quota.of(QuotaGroup::kTrain).gpus = 8;
  s.quota.of(QuotaGroup::kTrain).memory_bytes = 64LL << 30;
  s.quota.of(QuotaGroup::kTrain).priority_rank = 2;
  s.used.of(QuotaGroup::kTrain) = {1500, 8LL << 30, 2, 3, 1};
  s.used.of(QuotaGroup::kTensorboard).count = 1;
  return s;
}

TEST(QuotaJsonTest, EveryValueIsATextUnderItsNameInTheContract) {
  const Document o = Document::Parse(EncodeQuota(Vision())).value();
  for (const auto& [name, value] : o.Fields()) EXPECT_TRUE(value.IsString()) << name;
  for (const std::string group : {"train", "model", "dev"}) {
    for (const std::string what : {"memory", "cpu", "gpu", "count"}) {
      EXPECT_TRUE(o.Has(group + "_" + what + "_quota")) << group << what;
      EXPECT_TRUE(o.Has(group + "_" + what + "_used")) << group << what;
    }
  }
  EXPECT_EQ(o.Get("train_gpu_quota").Str(), "8");
  EXPECT_EQ(o.Get("train_gpu_used").Str(), "2");
  EXPECT_EQ(o.Get("train_memory_quota").Str(), "64G");
  EXPECT_EQ(o.Get("train_cpu_used").Str(), "1.5");
  EXPECT_EQ(o.Get("train_priority_rank").Str(), "2");
  EXPECT_EQ(o.Get("train_priority_used").Str(), "1");
  EXPECT_EQ(o.Get("tensorboard_used").Str(), "1");
  EXPECT_EQ(o.Get("total_memory_used").Str(), "8G");
  EXPECT_EQ(o.Get("total_memory_quota").Str(), "-1.0K");
  EXPECT_EQ(o.Get("total_cpu_quota").Str(), "-1.0");
  EXPECT_EQ(o.Get("total_gpu_quota").Str(), "-1");
  EXPECT_EQ(o.Get("train_count_quota").Str(), "-1");
  EXPECT_EQ(o.Get("org_mail").Str(), "vision@example.com");
  EXPECT_EQ(Document::Parse(EncodeQuotas({Vision(), Vision()})).value().Get("data").size(), 2U);
}

TEST(QuotaJsonTest, AChangeNamesOnlyWhatChanges) {
  const auto r = DecodeQuotaChange(
      R"({"org_id": "7", "org_mail": "a@xiaomi.com", "train_gpu_quota": 4, "train_cpu_quota": "2.5",
          "total_memory_quota": null, "train_priority_quota": "3", "train_priority_rank": "2", "other": []})");
  ASSERT_TRUE(r.ok()) << r.error().message();
  EXPECT_EQ(r.value().org_id, "7");
  EXPECT_EQ(r.value().change.org_mail, "a@xiaomi.com");
  EXPECT_EQ(r.value().change.org_name, std::nullopt);
  Quota before;
  before.total.memory_bytes = 5;
  before.of(QuotaGroup::kModel).gpus = 1;
  const Quota after = Changed(before, r.value().change.settings);
  EXPECT_EQ(after.of(QuotaGroup::kTrain).gpus, 4);
  EXPECT_EQ(after.of(QuotaGroup::kTrain).millicores, 2500);
  EXPECT_EQ(after.of(QuotaGroup::kTrain).priority, 3);
  EXPECT_EQ(after.of(QuotaGroup::kTrain).priority_rank, 2);
  EXPECT_EQ(after.total.memory_bytes, std::nullopt);
  EXPECT_EQ(after.of(QuotaGroup::kModel).gpus, 1);
}

TEST(QuotaJsonTest, WrongValuesAreNamed) {
  for (const auto& [body, field] : {std::pair{R"({"train_gpu_quota": 1.5})", "train_gpu_quota"},
                                    {R"({"train_gpu_quota": true})", "train_gpu_quota"},
                                    {R"({"train_gpu_quota": ""})", "train_gpu_quota"},
                                    {R"({"dev_memory_quota": "8"})", "dev_memory_quota"},
                                    {R"({"train_priority_rank": null})", "train_priority_rank"},
                                    {R"({"org_name": {}})", "org_name"},
                                    {"[]", "body"},
                                    {"", "body"}}) {
    const auto r = DecodeQuotaChange(body);
    ASSERT_FALSE(r.ok()) << body;
    EXPECT_EQ(r.error().code(), Code::kInvalidArgument);
    EXPECT_NE(r.error().message().find(field), std::string::npos) << r.error().message();
  }
}

TEST(QuotaJsonTest, TheMailIsReadFromWhateverIsSent) {
  EXPECT_EQ(DecodeOrgMail(R"({"org_mail": "a@b.c"})"), "a@b.c");
  for (const char* body : {"", "{", "[]", R"({"org_mail": 5})", R"({"org_mail": null})"}) {
    EXPECT_EQ(DecodeOrgMail(body), "") << body;
  }
}

TEST(QuotaJsonTest, AnApplicationKeepsWhatWasSent) {
  const auto sent = DecodeApplicationRequest(
      R"({"org_id": "7", "org_name": "vision", "org_mail": "a@b.c", "region": "http://here", "service": "jobs",
          "cpu_limit": "8", "memory_limit": "16G", "gpu_limit": "8"})");
  ASSERT_TRUE(sent.ok());
  QuotaApplication a = sent.value();
  a.id = "k3v9";
  a.org = OrgId{"7"};
  a.state = ApplicationState::kGranted;
  a.message = "welcome";
  a.granted.gpu_limit = "2";
  a.created = SysTime{std::chrono::milliseconds{1'500}};
  const auto back = DecodeApplicationDocument(EncodeApplicationDocument(a));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(EncodeApplication(back.value()), EncodeApplication(a));
  const Document answer = Document::Parse(EncodeApplication(back.value())).value();
  EXPECT_FALSE(answer.Get("error").Bool(true));
  EXPECT_EQ(answer.Get("gpu_limit").Str(), "8");
  EXPECT_EQ(answer.Get("granted").Get("gpu_limit").Str(), "2");
  EXPECT_EQ(answer.Get("state").Str(), "granted");
  EXPECT_EQ(DecodeApplicationDocument("{}").error().code(), Code::kDataLoss);
}

TEST(QuotaJsonTest, ADecisionMayBeEmpty) {
  EXPECT_TRUE(DecodeDecision("").value().amounts.empty());
  EXPECT_EQ(DecodeDecision(R"({"message": "no", "gpu_limit": 2})").value().amounts.gpu_limit, "2");
  EXPECT_FALSE(DecodeDecision("[]").ok());
}

}  // namespace
}  // namespace cml::codec
