#include "api/quotas.h"

#include "api/testing/api_world.h"

namespace cml::api {
namespace {

const std::string kQuota = "/cloud_ml/v1/quota";
const std::string kApplication = "/cloud_ml/v1/application";

class QuotaRoutesTest : public testing::ApiWorld {
 protected:
  net::Response Put(const std::string& key, const OrgId& org, const std::string& body) {
    return Send(Signed(key, "PUT", kQuota + "/" + org.str(), body));
  }
  net::Response As(const std::string& key, const std::string& method, const std::string& target,
                   const std::string& body = "") {
    return Send(Signed(key, method, target, body));
  }
};

TEST_F(QuotaRoutesTest, BothWaysToReadGiveAListOfOne) {
  const auto plain = Json(Get(kQuota)).Get("data");
  ASSERT_EQ(plain.size(), 1U);
  EXPECT_EQ(plain.At(0).Get("org_name").Str(), "vision");
  EXPECT_EQ(plain.At(0).Get("total_memory_quota").Str(), "-1.0K");
  const auto by_mail = As("member", "POST", kQuota, R"({"org_mail": "v@example.com"})");
  ASSERT_EQ(by_mail.status, 200) << by_mail.body;
  EXPECT_EQ(Json(by_mail).Get("data").At(0).Get("org_mail").Str(), "v@example.com");
  EXPECT_EQ(As("member", "POST", kQuota, "nonsense").status, 200);
}

TEST_F(QuotaRoutesTest, AnAdministratorReadsAllAndOthersTheirOwn) {
  const auto all = As("admin", "GET", kQuota + "?org_id=-1");
  ASSERT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(Json(all).Get("data").size(), 2U);
  EXPECT_EQ(Json(As("admin", "GET", kQuota + "?org_id=" + speech_.str()))
                .Get("data")
                .At(0)
                .Get("org_name")
                .Str(),
            "speech");
  EXPECT_EQ(As("admin", "GET", kQuota + "?org_id=99").status, 404);
  EXPECT_EQ(As("member", "GET", kQuota + "?org_id=-1").status, 403);
  EXPECT_EQ(As("member", "GET", kQuota + "?org_id=" + speech_.str()).status, 403);
}

TEST_F(QuotaRoutesTest, AChangeAnswersWithOneObject) {
  const auto r = Put("admin", speech_,
                     R"({"org_id": ")" + speech_.str() +
                         R"(", "train_gpu_quota": 4, "org_mail": "s@xiaomi.com"})");
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(Json(r).Get("train_gpu_quota").Str(), "4");
  EXPECT_EQ(Json(r).Get("org_mail").Str(), "s@xiaomi.com");
  EXPECT_EQ(
      Json(Put("admin", speech_, R"({"train_gpu_quota": null})")).Get("train_gpu_quota").Str(),
      "-1");
  EXPECT_EQ(Put("member", vision_, R"({"train_gpu_quota": 4})").status, 403);
  EXPECT_EQ(Put("admin", OrgId{"99"}, R"({"train_gpu_quota": 4})").status, 404);
  EXPECT_EQ(Put("admin", speech_, R"({"org_id": "1", "train_gpu_quota": 4})").status, 400);
  EXPECT_EQ(Put("admin", speech_, "{}").status, 400);
}

TEST_F(QuotaRoutesTest, ASubmitAboveTheQuotaIs403WithOneSentence) {
  ASSERT_EQ(Put("admin", vision_, R"({"train_count_quota": 1})").status, 200);
  Submit("first");
  const auto refused = As("member", "POST", "/cloud_ml/v1/train", Body("second"));
  EXPECT_EQ(refused.status, 403) << refused.body;
  EXPECT_NE(Message(refused).find("train: 1 train job asked, 1 used, 1 allowed"), std::string::npos)
      << Message(refused);
  EXPECT_EQ(Json(Get(kQuota)).Get("data").At(0).Get("train_count_used").Str(), "1");
  const auto holders = Json(Get(kQuota + "_holders")).Get("data");
  ASSERT_EQ(holders.size(), 1U);
  EXPECT_EQ(holders.At(0).Get("name").Str(), "first");
  EXPECT_EQ(Json(As("speaker", "GET", kQuota + "_holders")).Get("data").size(), 0U);
}

TEST_F(QuotaRoutesTest, AnApplicationIsFiledSeenAndDecided) {
  const auto filed = As(
      "speaker", "POST", kApplication + "?org_id=" + speech_.str(),
      R"({"org_id": "1", "org_name": "x", "org_mail": "s@b.c", "region": "http://here", "service": "jobs",
                            "cpu_limit": "8", "memory_limit": "16G", "gpu_limit": "8"})");
  ASSERT_EQ(filed.status, 200) << filed.body;
  EXPECT_FALSE(Json(filed).Get("error").Bool(true));
  EXPECT_EQ(Json(filed).Get("org_id").Str(), speech_.str());
  EXPECT_EQ(Json(filed).Get("org_name").Str(), "speech");
  EXPECT_EQ(Json(filed).Get("gpu_limit").Str(), "8");
  const std::string id = Json(filed).Get("id").Str();

  EXPECT_EQ(Json(Get(kApplication)).Get("data").size(), 0U);  // not of their organisation
  EXPECT_EQ(Json(As("admin", "GET", kApplication + "?org_id=-1&state=pending")).Get("data").size(),
            1U);
  EXPECT_EQ(As("viewer", "POST", kApplication, "{}").status, 403);
  EXPECT_EQ(As("speaker", "POST", kApplication + "/" + id + "/grant").status, 403);

  const auto granted = As("admin", "POST", kApplication + "/" + id + "/grant",
                          R"({"gpu_limit": "2", "message": "welcome"})");
  ASSERT_EQ(granted.status, 200) << granted.body;
  EXPECT_EQ(Json(granted).Get("state").Str(), "granted");
  EXPECT_EQ(Json(As("speaker", "GET", kQuota)).Get("data").At(0).Get("train_gpu_quota").Str(), "2");
  EXPECT_EQ(As("admin", "POST", kApplication + "/" + id + "/decline").status, 409);
  EXPECT_EQ(Json(As("speaker", "GET", kApplication)).Get("data").At(0).Get("message").Str(),
            "welcome");
  EXPECT_EQ(As("admin", "POST", kApplication + "/none/grant").status, 404);
}

}  // namespace
}  // namespace cml::api
