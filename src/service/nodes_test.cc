#include "service/nodes.h"

#include <gtest/gtest.h>

#include "store/testing/memory_store.h"
#include "store/train_jobs.h"

namespace cml::service {
namespace {

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::hours{1}};
};

class NodesTest : public ::testing::Test {
 protected:
  NodesTest() {
    org_ = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    admin_ = {org_, KeyRole::kPlatformAdmin, AccessKey{"ak"}, "ann", org_, &request_};
    book_.nodes = {{"gpu-01", 8000, 32LL << 30, {{0, "v100", "a"}, {1, "v100", "b"}}, {}},
                   {"cpu-01", 4000, 8LL << 30, {}, {}}};
    TrainJob job;
    job.meta = {ResourceId{"r1"}, org_, "ranker", clock_.now, clock_.now};
    job.wish.spec.job_name = "ranker";
    job.wish.starts = job.record.starts = 1;
    job.record.state = TrainJobState::kRunning;
    EXPECT_TRUE(store::TrainJobRows(store_).Create(job, {}).ok());
    book_.shares = {{job.meta.id, {"gpu-01", {1}}, {2000, 4LL << 30, 1, 0, 0}},
                    {ResourceId{"gone"}, {"cpu-01", {}}, {500, 1, 0, 0, 0}}};
  }
  std::unique_ptr<Nodes> Make() {
    return std::make_unique<Nodes>(
        Nodes::Deps{store_, clock_, [this] { return book_; },
                    [this](std::set<std::string> nodes) { free_ = std::move(nodes); }});
  }

  HandClock clock_;
  store::testing::MemoryStore store_;
  OrgId org_;
  RequestContext request_;
  Caller admin_;
  ClusterBook book_;
  std::set<std::string> free_;
  std::unique_ptr<Nodes> nodes_ = Make();
};

TEST_F(NodesTest, ListsWhatEachHasAndWhoUsesIt) {
  const auto nodes = nodes_->List().value();
  ASSERT_EQ(nodes.size(), 2U);
  EXPECT_EQ(nodes[0].millicores_used, 2000);
  EXPECT_EQ(nodes[0].gpus_used, 1);
  ASSERT_EQ(nodes[0].users.size(), 1U);
  EXPECT_EQ(nodes[0].users[0].name, "ranker");
  EXPECT_EQ(nodes[0].users[0].org_name, "vision");
  EXPECT_EQ(nodes[0].users[0].gpus, std::vector{1});
  EXPECT_EQ(nodes[1].millicores_used, 500);
  EXPECT_FALSE(nodes[0].cordon);
}

TEST_F(NodesTest, ACordonHoldsUntilItIsLiftedAcrossARestart) {
  const auto cordoned = nodes_->Cordon(admin_, "gpu-01", "GPU 1 fails");
  ASSERT_TRUE(cordoned.ok()) << cordoned.error().message();
  EXPECT_TRUE(request_.audited);
  EXPECT_EQ(cordoned.value().cordon->reason, "GPU 1 fails");
  EXPECT_EQ(cordoned.value().cordon->by, "ann");
  EXPECT_EQ(free_, std::set<std::string>{"gpu-01"});
  free_.clear();
  nodes_ = Make();  // a new process
  ASSERT_TRUE(nodes_->Recover().ok());
  EXPECT_EQ(free_, std::set<std::string>{"gpu-01"});
  EXPECT_EQ(nodes_->Cordon(admin_, "gpu-01", "again").value().cordon->reason, "again");
  EXPECT_FALSE(nodes_->Uncordon(admin_, "gpu-01").value().cordon);
  EXPECT_TRUE(free_.empty());
  EXPECT_TRUE(nodes_->Uncordon(admin_, "gpu-01").ok());
}

TEST_F(NodesTest, UnknownNodesAreNamed) {
  const auto r = nodes_->Cordon(admin_, "gpu-99", "");
  EXPECT_EQ(r.error().code(), Code::kNotFound);
  EXPECT_NE(r.error().message().find("gpu-01"), std::string::npos);
  EXPECT_EQ(nodes_->Cordon(admin_, "gpu-01", std::string(501, 'x')).error().code(),
            Code::kInvalidArgument);
  EXPECT_TRUE(free_.empty());
}

}  // namespace
}  // namespace cml::service
