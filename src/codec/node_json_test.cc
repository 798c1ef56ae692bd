#include "codec/node_json.h"

#include <gtest/gtest.h>

#include "codec/document.h"

namespace cml::codec {
namespace {

NodeState GpuNode() {
  NodeState n;
  n.node = {
      "gpu-01", 8000, 32LL << 30, {{0, "v100", "GPU-a"}, {1, "v100", "GPU-b"}}, {{"disk", "ssd"}}};
  n.millicores_used = 1500;
  n.memory_used = 4LL << 30;
  n.gpus_used = 1;
  n.users.push_back({ResourceId{"r1"},
                     ResourceKind::kTrainJob,
                     OrgId{"7"},
                     "vision",
                     "ranker",
                     "running",
                     {1500, 4LL << 30, 1, 0, 0},
                     {1}});
  return n;
}

TEST(NodeJsonTest, SaysWhoUsesWhichGpu) {
  const Document o = Document::Parse(EncodeNode(GpuNode())).value();
  EXPECT_EQ(o.Get("state").Str(), "ready");
  EXPECT_EQ(o.Get("cpu").Str(), "8");
  EXPECT_EQ(o.Get("cpu_used").Str(), "1.5");
  EXPECT_EQ(o.Get("labels").Get("disk").Str(), "ssd");
  EXPECT_TRUE(o.Get("gpus").At(0).Get("used_by").IsNull());
  EXPECT_EQ(o.Get("gpus").At(1).Get("used_by").Get("name").Str(), "ranker");
  EXPECT_EQ(o.Get("gpus").At(1).Get("used_by").Get("org_name").Str(), "vision");
  EXPECT_EQ(o.Get("jobs").At(0).Get("gpus").At(0).Int(), 1);
}

TEST(NodeJsonTest, WhatIsFreeNamesNobody) {
  NodeState cordoned = GpuNode();
  cordoned.cordon = Cordon{"gpu-01", "GPU 1 fails", "ops", {}};
  const std::string text = EncodeResources({GpuNode(), cordoned});
  EXPECT_EQ(text.find("vision"), std::string::npos);
  EXPECT_EQ(text.find("ranker"), std::string::npos);
  const Document rows = Document::Parse(text).value().Get("data");
  EXPECT_EQ(rows.At(0).Get("available_cpu").Str(), "6.5");
  EXPECT_EQ(rows.At(0).Get("available_mem").Str(), "28G");
  EXPECT_EQ(rows.At(0).Get("available_gpu").Int(), 1);
  EXPECT_EQ(rows.At(1).Get("available_mem").Str(), "0K");
  EXPECT_EQ(rows.At(1).Get("available_gpu").Int(-1), 0);
}

TEST(NodeJsonTest, ACordonComesBack) {
  const Cordon c{"", "GPU 2 \"failed\"", "ops", SysTime{std::chrono::milliseconds{1234}}};
  const auto back = DecodeCordonDocument(EncodeCordonDocument(c));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value().reason, c.reason);
  EXPECT_EQ(back.value().by, "ops");
  EXPECT_EQ(back.value().since, c.since);
  EXPECT_EQ(DecodeCordonDocument("[").error().code(), Code::kDataLoss);
  EXPECT_EQ(DecodeReason("").value(), "");
  EXPECT_EQ(DecodeReason(R"({"reason": "x"})").value(), "x");
  EXPECT_FALSE(DecodeReason(R"({"reason": 5})").ok());
  EXPECT_FALSE(DecodeReason("[1]").ok());
}

}  // namespace
}  // namespace cml::codec
