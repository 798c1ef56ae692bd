// The routes of organisations, users, keys and namespaces, with real signatures.
#include <gtest/gtest.h>

#include "api/orgs.h"
#include "api/testing/api_world.h"

namespace cml::api {
namespace {

using codec::Document;

class IdentityRoutesTest : public testing::ApiWorld {
 protected:
  IdentityRoutesTest() {
    PutKey("boss", speech_, KeyRole::kOrgAdmin);
    RouteTable table;
    AddTrainJobRoutes(table, {jobs_, orgs_, [this](const RunKey& key, const std::string&, std::uint32_t) { return LogOf(key); }});
    AddOrgRoutes(table, org_admin_);
    AddUserRoutes(table, users_);
    AddKeyRoutes(table, keys_, clock_);
    AddNamespaceRoutes(table, {org_admin_, users_, quotas_});
    front_ = std::make_unique<Front>(Front::Deps{auth_, &trail_, clock_}, std::move(table), OtherRouter{});
    EXPECT_TRUE(orgs_.EnsureDefaultOrg(5000).ok());
  }
  net::Response Do(const std::string& key, const std::string& method, const std::string& rest, const std::string& body = "") {
    clock_.now += std::chrono::seconds{1};
    return Send(Signed(key, method, "/cloud_ml/v1" + rest, body));
  }

  service::OrgAdmin org_admin_{{store_, orgs_, objects_, clock_, [](const Org&) {}}};
  service::Keys keys_{{store_, orgs_, clock_}};
  service::Users users_{{store_, orgs_, keys_, clock_}};
};

TEST_F(IdentityRoutesTest, LifeOfAnOrganisation) {
  const auto made = Do("admin", "POST", "/org", R"({"org_name": "robots", "org_mail": "a@b"})");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(Json(made).Get("state").Str(), "active");
  const std::string id = Json(made).Get("org_id").Str();
  EXPECT_EQ(Do("admin", "POST", "/org", R"({"org_name": "robots"})").status, 409);
  EXPECT_EQ(Do("admin", "POST", "/org", R"({"org_name": "Robots"})").status, 400);
  EXPECT_EQ(Do("admin", "GET", "/org/robots").status, 200);
  EXPECT_EQ(Json(Do("admin", "PATCH", "/org/" + id, R"({"org_name": "arms"})")).Get("org_name").Str(), "arms");
  EXPECT_EQ(Do("admin", "GET", "/org/robots").status, 404);
  EXPECT_EQ(Do("admin", "POST", "/org/arms/suspend", "{}").status, 400);
  EXPECT_EQ(Json(Do("admin", "POST", "/org/arms/suspend", R"({"reason": "x"})")).Get("state").Str(), "suspended");
  EXPECT_EQ(Json(Do("admin", "POST", "/org/arms/resume")).Get("state").Str(), "active");
  EXPECT_EQ(Json(Do("admin", "GET", "/org?limit=1")).Get("data").size(), 1U);
  EXPECT_EQ(Json(Do("admin", "GET", "/org?state=active&sort=-org_name")).Get("data").At(0).Get("org_name").Str(), "vision");
  EXPECT_NE(Message(Do("admin", "DELETE", "/org/arms")).find("Successfully delete arms"), std::string::npos);
  EXPECT_EQ(Json(Do("admin", "GET", "/org/arms")).Get("state").Str(), "deleting");
}

TEST_F(IdentityRoutesTest, OthersMayNot) {
  EXPECT_EQ(Do("boss", "POST", "/org", R"({"org_name": "robots"})").status, 403);
  EXPECT_EQ(Do("boss", "DELETE", "/org/speech").status, 403);
  EXPECT_EQ(Do("boss", "GET", "/org/vision").status, 404);
  EXPECT_EQ(Do("speaker", "POST", "/user", R"({"user": "ann"})").status, 403);
  EXPECT_EQ(Do("speaker", "POST", "/key", "{}").status, 403);
  EXPECT_EQ(Do("viewer", "POST", "/key/viewer/rotate").status, 403);
  EXPECT_EQ(Do("boss", "GET", "/namespace").status, 403);
  EXPECT_EQ(Do("boss", "GET", "/user?org_id=1").status, 403);
  const auto own = Do("speaker", "GET", "/key");
  EXPECT_EQ(Json(own).Get("data").size(), 1U);
  EXPECT_EQ(own.body.find("vision"), std::string::npos);
}

TEST_F(IdentityRoutesTest, AnOrganisationThatIsNotThereIsNotFound) {
  EXPECT_EQ(Do("admin", "GET", "/train?org_id=999").status, 404);
  EXPECT_EQ(Do("admin", "POST", "/user?org_id=999", R"({"user": "ann"})").status, 404);
  EXPECT_EQ(Do("admin", "GET", "/train?org_id=2").status, 200);
}

TEST_F(IdentityRoutesTest, AKeyIsMadeShownOnceAndUsed) {
  ASSERT_EQ(Do("boss", "POST", "/user", R"({"user": "ann"})").status, 200);
  const auto made = Do("boss", "POST", "/key", R"({"role": "viewer", "user": "ann", "label": "laptop"})");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(made.headers.Get("Cache-Control"), "no-store");
  const std::string key = Json(made).Get("access_key").Str(), secret = Json(made).Get("secret_key").Str();
  EXPECT_FALSE(secret.empty());
  EXPECT_EQ(Do("boss", "GET", "/key").body.find(secret), std::string::npos);
  EXPECT_EQ(Json(Do("boss", "GET", "/user/ann")).Get("keys").Int(), 1);
  // Its use shows, to the minute.
  EXPECT_EQ(Json(Do("boss", "GET", "/key/" + key)).Get("last_used").Str("?"), "");
  EXPECT_EQ(Json(Do("boss", "GET", "/key/boss")).Get("last_used").Str().substr(16), ":00Z");
  EXPECT_EQ(Json(Do("boss", "PATCH", "/key/" + key, R"({"disabled": true})")).Get("state").Str(), "disabled");
  EXPECT_EQ(Json(Do("boss", "GET", "/key?state=disabled")).Get("data").size(), 1U);
  EXPECT_EQ(Do("boss", "DELETE", "/key/" + key).status, 200);
  EXPECT_EQ(Do("boss", "DELETE", "/key/" + key).status, 404);
  EXPECT_EQ(Do("boss", "DELETE", "/key/member").status, 404) << "another organisation's";
}

TEST_F(IdentityRoutesTest, AnExpiredKeyGetsTheAnswerOfAWrongOne) {
  ASSERT_EQ(Do("boss", "PATCH", "/key/speaker", R"({"expires_in": 60})").status, 200);
  EXPECT_EQ(Do("speaker", "GET", "/train").status, 200);
  clock_.now += std::chrono::minutes{1};
  const auto expired = Do("speaker", "GET", "/train"), unknown = Do("nobody", "GET", "/train");
  EXPECT_EQ(expired.status, 401);
  EXPECT_EQ(expired.body, unknown.body);
}

TEST_F(IdentityRoutesTest, ASuspendedOrganisationIsToldWhy) {
  const TrainJob job = Submit("ranker", "", "speaker");
  ASSERT_EQ(Do("admin", "POST", "/org/speech/suspend", R"({"reason": "the bill is not paid"})").status, 200);
  EXPECT_EQ(Do("speaker", "GET", "/train/ranker").status, 200);
  for (const auto& refused : {Do("speaker", "POST", "/train", Body("next")), Do("speaker", "DELETE", "/train/ranker"),
                              Do("speaker", "GET", "/train/ranker/start"), Do("boss", "POST", "/key", "{}")}) {
    EXPECT_EQ(refused.status, 403);
    EXPECT_NE(Message(refused).find("the bill is not paid"), std::string::npos) << refused.body;
  }
  ASSERT_EQ(Do("admin", "POST", "/org/speech/resume").status, 200);
  EXPECT_EQ(Do("speaker", "DELETE", "/train/ranker").status, 200);
}

TEST_F(IdentityRoutesTest, ARenameReachesTheAnswersThatAreKept) {
  Submit("ranker", "", "speaker");
  EXPECT_EQ(Json(Do("speaker", "GET", "/train/ranker")).Get("org_name").Str(), "speech");
  EXPECT_EQ(Json(Do("speaker", "GET", "/train/ranker")).Get("org_name").Str(), "speech");
  ASSERT_EQ(Do("admin", "PATCH", "/org/speech", R"({"org_name": "voice"})").status, 200);
  EXPECT_EQ(Json(Do("speaker", "GET", "/train/ranker")).Get("org_name").Str(), "voice");
  EXPECT_EQ(Json(Do("speaker", "GET", "/train")).Get("data").At(0).Get("org_name").Str(), "voice");
}

// cloud_ml v1, 11.8.
TEST_F(IdentityRoutesTest, NamespacesAreOrganisations) {
  const auto made = Do("admin", "POST", "/namespace", R"({"name": "robots", "owner_email": "a@b", "description": null})");
  EXPECT_EQ(made.body, R"({"data":{"name":"robots","owner_email":"a@b","description":""}})");
  EXPECT_EQ(Json(Do("admin", "PATCH", "/namespace", R"({"name": "robots", "owner_email": null, "description": "arms"})"))
                .Get("data").Get("owner_email").Str(), "a@b");
  EXPECT_EQ(Json(Do("admin", "GET", "/namespace")).Get("data").size(), 3U);
  EXPECT_EQ(Do("admin", "GET", "/namespace/nothing").status, 404);
  const auto quota = Do("admin", "POST", "/namespace_quota", R"({"name": "robots", "cpu": 8, "memory": null, "gpu": 2})");
  EXPECT_EQ(quota.body, R"({"data":{"name":"robots","cpu":"8","cpu_used":"0","memory":"-1","memory_used":"0","gpu":"2","gpu_used":"0"}})");
  EXPECT_EQ(Json(Do("admin", "PATCH", "/namespace_quota", R"({"name": "robots", "memory": 4})")).Get("data").Get("cpu").Str(), "8");
  EXPECT_EQ(store_.GetQuota(OrgId{"3"}).value().total.memory_bytes, 4LL << 30);
  EXPECT_EQ(Do("admin", "POST", "/namespace_user", R"({"namespace": "robots", "user_id": "u1"})").body,
            R"({"data":{"namespace":"robots","user_id":"u1"}})");
  EXPECT_EQ(Json(Do("admin", "GET", "/namespace_user?namespace=robots")).Get("data").size(), 1U);
  EXPECT_EQ(Json(Do("admin", "GET", "/namespace_user?namespace=vision")).Get("data").size(), 0U);
  EXPECT_EQ(Do("admin", "DELETE", "/namespace_user", R"({"namespace": "robots", "user_id": "u1"})").status, 200);
  EXPECT_EQ(Do("admin", "DELETE", "/namespace_user", R"({"namespace": "robots", "user_id": "u1"})").status, 404);
  EXPECT_NE(Message(Do("admin", "DELETE", "/namespace/robots")).find("Successfully"), std::string::npos);
}

}  // namespace
}  // namespace cml::api
