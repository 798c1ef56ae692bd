#include "api/nodes.h"

#include "api/testing/api_world.h"

namespace cml::api {
namespace {

class NodeRoutesTest : public testing::ApiWorld {
 protected:
  NodeRoutesTest() {
    book_.nodes = {{"gpu-01", 8000, 32LL << 30, {{0, "v100", "a"}}, {{"rack", "r1"}}}};
    const TrainJob job = Submit("ranker");
    book_.shares = {{job.meta.id, {"gpu-01", {0}}, {2000, 4LL << 30, 1, 0, 0}}};
  }
};

TEST_F(NodeRoutesTest, TheTableOfWhatIsFreeIsForEverybodyAndNamesNobody) {
  const auto r = Send(Signed("speaker", "GET", "/cloud_ml/v1/resources"));
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.body.find("ranker"), std::string::npos);
  const auto row = Json(r).Get("data").At(0);
  EXPECT_EQ(row.Get("available_cpu").Text(), "6");
  EXPECT_EQ(row.Get("available_mem").Str(), "28G");
  EXPECT_EQ(row.Get("available_gpu").Int(-1), 0);
}

TEST_F(NodeRoutesTest, NodesAreForThePlatformAdministrator) {
  EXPECT_EQ(Get("/cloud_ml/v1/nodes").status, 403);
  EXPECT_EQ(Get("/cloud_ml/v1/nodes/gpu-01").status, 403);
  EXPECT_EQ(Send(Signed("member", "POST", "/cloud_ml/v1/nodes/gpu-01/cordon")).status, 403);
  const auto all = Send(Signed("admin", "GET", "/cloud_ml/v1/nodes"));
  ASSERT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(Json(all).Get("data").At(0).Get("gpus").At(0).Get("used_by").Get("name").Str(),
            "ranker");
}

TEST_F(NodeRoutesTest, CordonAndUncordon) {
  const auto r =
      Send(Signed("admin", "POST", "/cloud_ml/v1/nodes/gpu-01/cordon", R"({"reason": "Xid 79"})"));
  ASSERT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(Json(r).Get("state").Str(), "cordoned");
  EXPECT_EQ(Json(r).Get("reason").Str(), "Xid 79");
  EXPECT_EQ(kept_free_, std::set<std::string>{"gpu-01"});
  EXPECT_EQ(Json(Get("/cloud_ml/v1/resources")).Get("data").At(0).Get("available_mem").Str(), "0K");
  const auto back = Send(Signed("admin", "POST", "/cloud_ml/v1/nodes/gpu-01/uncordon"));
  EXPECT_EQ(Json(back).Get("state").Str(), "ready");
  EXPECT_TRUE(kept_free_.empty());
  EXPECT_EQ(Send(Signed("admin", "POST", "/cloud_ml/v1/nodes/none/cordon")).status, 404);
  EXPECT_EQ(Send(Signed("admin", "POST", "/cloud_ml/v1/nodes/gpu-01/cordon", "[]")).status, 400);
}

}  // namespace
}  // namespace cml::api
