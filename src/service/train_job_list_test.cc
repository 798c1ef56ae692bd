#include "service/train_job_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

class TrainJobListTest : public ::testing::Test {
 protected:
  TrainJobListTest() {
    me_.org = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    Add("beta", "running", 2);
    Add("alpha", "failed", 8);
    Add("delta", "running", 10);
    Add("gamma", "enqueued", 2);
  }
  void Add(const std::string& name, const std::string& state, std::int64_t gpus) {
    TrainJob job;
    job.meta.id = ResourceId{"id" + name};
    job.meta.org = me_.org;
    job.meta.name = job.wish.spec.job_name = name;
    job.meta.created = SysTime{std::chrono::seconds{1000 + ++added_}};
    job.wish.spec.gpu_limit = gpus;
    job.record.state = *ParseTrainJobState(state);
    job.record.starts = job.wish.starts = 1;
    ASSERT_TRUE(rows_.Create(job, {}).ok());
  }
  static std::string Names(const TrainJobPage& page) {
    std::string names;
    for (const TrainJob& job : page.jobs) names += (names.empty() ? "" : " ") + job.meta.name;
    return names;
  }
  // All pages of `filter`, a '|' between them.
  std::string Walk(TrainJobFilter filter) {
    std::string all;
    while (true) {
      const auto page = ListTrainJobs(rows_, me_, filter).value();
      all += Names(page);
      if (page.next_page.empty()) return all;
      filter.page = page.next_page;
      all += "|";
    }
  }

  store::testing::MemoryStore store_;
  store::TrainJobRows rows_{store_};
  Caller me_;
  int added_ = 0;
};

TEST_F(TrainJobListTest, NewestFirstUnlessAskedOtherwise) {
  EXPECT_EQ(Walk({}), "gamma delta alpha beta");
  EXPECT_EQ(Walk({.sort = "create_time", .descending = true}), "gamma delta alpha beta");
  EXPECT_EQ(Walk({.sort = "create_time"}), "beta alpha delta gamma");
}

TEST_F(TrainJobListTest, SortsTextsByBytesAndNumbersByValue) {
  EXPECT_EQ(Walk({.sort = "job_name"}), "alpha beta delta gamma");
  EXPECT_EQ(Walk({.sort = "job_name", .descending = true}), "gamma delta beta alpha");
  EXPECT_EQ(Walk({.sort = "gpu_limit"}), "gamma beta alpha delta") << "equal ones stay newest first";
  EXPECT_EQ(Walk({.sort = "state"}), "gamma alpha delta beta");
}

TEST_F(TrainJobListTest, PagesOfASortedListAreTheWholeListOnce) {
  EXPECT_EQ(Walk({.most = 3, .sort = "job_name"}), "alpha beta delta|gamma");
  EXPECT_EQ(Walk({.most = 1, .sort = "gpu_limit"}), "gamma|beta|alpha|delta");
  EXPECT_EQ(Walk({.most = 4, .sort = "job_name"}), "alpha beta delta gamma");
}

TEST_F(TrainJobListTest, APageSurvivesWhatComesAndGoes) {
  TrainJobFilter filter{.most = 2, .sort = "job_name"};
  filter.page = ListTrainJobs(rows_, me_, filter).value().next_page;  // alpha beta
  Add("aaa", "running", 0);
  EXPECT_EQ(Names(ListTrainJobs(rows_, me_, filter).value()), "delta gamma");
  ASSERT_TRUE(rows_.Erase(rows_.Get(ResourceId{"idbeta"}).value(), store::LeaderToken{1}).ok());
  ASSERT_TRUE(rows_.Erase(rows_.Get(ResourceId{"idaaa"}).value(), store::LeaderToken{1}).ok());
  EXPECT_EQ(Names(ListTrainJobs(rows_, me_, filter).value()), "delta gamma") << "the last one shown is gone";
}

TEST_F(TrainJobListTest, FiltersByAnyField) {
  EXPECT_EQ(Walk({.fields = {{"state", "running"}}}), "delta beta");
  EXPECT_EQ(Walk({.fields = {{"state", "running"}, {"gpu_limit", "10"}}}), "delta");
  EXPECT_EQ(Walk({.fields = {{"state", "running"}}, .most = 1, .sort = "job_name"}), "beta|delta");
  EXPECT_EQ(Walk({.fields = {{"state", "nonsense"}}}), "");
}

TEST_F(TrainJobListTest, AForeignPageIsRefused) {
  for (const char* page : {"x", "1", ".id", "-1.idbeta", "99999999999999999999.a"}) {
    const TrainJobFilter sorted{.page = page, .sort = "job_name"};
    EXPECT_EQ(ListTrainJobs(rows_, me_, sorted).error().code(), Code::kInvalidArgument) << page;
  }
  EXPECT_FALSE(ListTrainJobs(rows_, me_, {.page = "x"}).ok());
}

}  // namespace
}  // namespace cml::service
