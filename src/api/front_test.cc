#include "api/front.h"

#include "api/testing/api_world.h"

namespace cml::api {
namespace {

using namespace std::chrono_literals;

class FrontTest : public testing::ApiWorld {};

TEST_F(FrontTest, WhatDoesNotExistIs404) {
  const auto r = Get("/cloud_ml/v1/nothing");
  EXPECT_EQ(r.status, 404);
  EXPECT_TRUE(Json(r).Get("error").Bool());
  EXPECT_NE(Message(r).find("GET \"/cloud_ml/v1/nothing\""), std::string::npos) << Message(r);
}

TEST_F(FrontTest, AFeatureOfALaterVersionSaysSo) {
  for (const char* path : {"/cloud_ml/v1/hp", "/cloud_ml/v1/model/a/b", "/cloud_ml/v1/dev", "/dev_server/v1/dev"}) {
    const auto r = Get(path);
    EXPECT_EQ(r.status, 404) << path;
    EXPECT_NE(Message(r).find("not available yet"), std::string::npos) << Message(r);
  }
}

TEST_F(FrontTest, AWrongMethodIs405AndNamesTheRightOnes) {
  const auto r = Send(Plain("PATCH", "/cloud_ml/v1/train"));
  EXPECT_EQ(r.status, 405);
  EXPECT_EQ(r.headers.Get("Allow"), "POST, GET");
  EXPECT_EQ(Message(r), "PATCH: this resource knows POST, GET");
}

TEST_F(FrontTest, WithoutAGoodSignatureIs401) {
  EXPECT_EQ(Send(Plain("GET", "/cloud_ml/v1/train")).status, 401);
  net::Request forged = Signed("member", "GET", "/cloud_ml/v1/train");
  forged.target = forged.path = "/cloud_ml/v1/quota";
  EXPECT_EQ(Send(forged).status, 401);
  EXPECT_EQ(Send(Signed("nobody", "GET", "/cloud_ml/v1/train")).status, 401);
  ASSERT_TRUE(orgs_.SetDisabled(AccessKey{"member"}, true).ok());
  EXPECT_EQ(Get("/cloud_ml/v1/train").status, 401);
  EXPECT_TRUE(Get("/cloud_ml/v1/train").body.find("sk") == std::string::npos);
}

TEST_F(FrontTest, PublicRoutesNeedNoKey) {
  EXPECT_EQ(Send(Plain("GET", "/healthz")).status, 200);
  EXPECT_EQ(Send(Plain("GET", "/metrics")).body, "cloudml_up 1\n");
  EXPECT_EQ(Send(Plain("GET", "/cloud_ml/v1/framework")).status, 200);
  EXPECT_EQ(Send(Plain("GET", "/readyz")).status, 200);
  ready_ = Error(Code::kUnavailable, "the server is going down");
  const auto r = Send(Plain("GET", "/readyz"));
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.headers.Get("Retry-After"), "1");
}

TEST_F(FrontTest, AViewerMayReadAndNothingElse) {
  Submit("ranker");
  EXPECT_EQ(Send(Signed("viewer", "GET", "/cloud_ml/v1/train/ranker")).status, 200);
  EXPECT_EQ(Send(Signed("viewer", "POST", "/cloud_ml/v1/train", Body("mine"))).status, 403);
  EXPECT_EQ(Send(Signed("viewer", "DELETE", "/cloud_ml/v1/train/ranker")).status, 403);
  EXPECT_EQ(Send(Signed("viewer", "GET", "/cloud_ml/v1/train/ranker/start")).status, 403);
  EXPECT_EQ(Json(Get("/cloud_ml/v1/train/ranker")).Get("state").Str(), "enqueued");
}

TEST_F(FrontTest, OnlyAPlatformAdministratorChangesRuntimes) {
  const std::string path = "/cloud_ml/v1/runtimes/tensorflow/2.15.1";
  EXPECT_EQ(Send(Signed("member", "POST", path + "/prepare")).status, 403);
  EXPECT_EQ(Send(Signed("member", "DELETE", path)).status, 403);
  EXPECT_EQ(Send(Signed("admin", "POST", path + "/prepare")).status, 200);
}

TEST_F(FrontTest, OrgIdIsForPlatformAdministrators) {
  Submit("ours");
  Submit("theirs", "", "speaker");
  EXPECT_EQ(Get("/cloud_ml/v1/train?org_id=" + vision_.str()).status, 200) << "one's own is no news";
  const auto refused = Get("/cloud_ml/v1/train?org_id=" + speech_.str());
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.body.find("theirs"), std::string::npos);
  EXPECT_EQ(Get("/cloud_ml/v1/train?org_id=-1").status, 403);
  EXPECT_EQ(Send(Signed("admin", "GET", "/cloud_ml/v1/train?org_id=x")).status, 400);

  const auto as = Send(Signed("admin", "GET", "/cloud_ml/v1/train?org_id=" + speech_.str()));
  ASSERT_EQ(Json(as).Get("data").size(), 1U) << as.body;
  EXPECT_EQ(Json(as).Get("data").At(0).Get("org_name").Str(), "speech");
  const auto all = Send(Signed("admin", "GET", "/cloud_ml/v1/train?org_id=-1"));
  ASSERT_EQ(Json(all).Get("data").size(), 2U);
  EXPECT_EQ(Send(Signed("admin", "DELETE", "/cloud_ml/v1/train/theirs?org_id=" + speech_.str())).status, 200);
  EXPECT_TRUE(rows_.Find(speech_, "theirs").value().value.wish.deleted);
}

TEST_F(FrontTest, AnInternalErrorTellsItsRequestAndNothingElse) {
  Submit("ranker");
  for (const Code code : {Code::kInternal, Code::kDataLoss}) {
    store_.FailNext(store::testing::MemoryStore::FailWhen::kBefore,
                    Error(code, "secret place").While("secret detail"));
    const auto r = Get("/cloud_ml/v1/train/ranker");
    EXPECT_EQ(r.status, 500);
    EXPECT_EQ(r.body.find("secret"), std::string::npos) << r.body;
    EXPECT_NE(Message(r).find("request-1"), std::string::npos) << Message(r);
  }
}

TEST_F(FrontTest, AStoreThatIsAwayIs503) {
  Submit("ranker");
  store_.FailNext(store::testing::MemoryStore::FailWhen::kBefore, Error(Code::kUnavailable, "no space left"));
  const auto r = Get("/cloud_ml/v1/train/ranker");
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.headers.Get("Retry-After"), "1");
  EXPECT_EQ(Message(r), "no space left");
}

TEST_F(FrontTest, ACompressedBodyIsRefused) {
  net::Request rq = Signed("member", "POST", "/cloud_ml/v1/train", Body("ranker"));
  rq.headers.Add("Content-Encoding", "gzip");
  EXPECT_EQ(Send(rq).status, 400);
  EXPECT_TRUE(changed_.empty());
}

TEST_F(FrontTest, EverythingElseBelongsToTheObjectStore) {
  EXPECT_EQ(Send(Plain("GET", "/bucket/object")).body, "a bucket");
  EXPECT_EQ(Send(Plain("GET", "/healthz2")).body, "a bucket");
  EXPECT_EQ(Send(Plain("GET", "/cloud_ml_backup/a")).body, "a bucket");
  Front alone({auth_, nullptr, clock_}, RouteTable(), nullptr);
  const auto rq = Plain("GET", "/bucket/object");
  EXPECT_EQ(alone.Route(rq).handle(rq).status, 404);
}

TEST_F(FrontTest, BodiesAreBounded) {
  const auto rq = Plain("POST", "/cloud_ml/v1/train");
  EXPECT_EQ(front_->Route(rq).most_body, 1U << 20);
  EXPECT_EQ(front_->Route(rq).where, net::Route::Where::kWorker) << "the event loop never waits for a disk";
}

}  // namespace
}  // namespace cml::api
