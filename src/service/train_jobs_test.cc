#include "service/train_jobs.h"

#include <gtest/gtest.h>

#include <set>

#include "objectstore/testing/memory_object_store.h"
#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

class FixedClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::hours{1}};
};
class PlainBox final : public SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view) const override { return std::string(plain); }
  Result<Secret> Open(std::string_view sealed, std::string_view) const override { return Secret(std::string(sealed)); }
};

class TrainJobsTest : public ::testing::Test {
 protected:
  TrainJobsTest() {
    me_ = {store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id, KeyRole::kMember, AccessKey{"ak"}};
    other_ = {store_.CreateOrg(Org{{}, "speech", {}, 0}).value().id, KeyRole::kMember, AccessKey{"ak2"}};
    EXPECT_TRUE(objects_.MakeBucket(me_.org, "default").ok());
    auto writer = objects_.Put(me_.org, "default", "t-1.0.tar.gz", {}).value();
    EXPECT_TRUE(writer->Write("x").ok());
    EXPECT_TRUE(writer->Commit().ok());
  }
  static TrainJobSpec Spec(std::string name) {
    TrainJobSpec s;
    s.job_name = std::move(name);
    s.module_name = "trainer.task";
    s.trainer_uri = "fds://default/t-1.0.tar.gz";
    return s;
  }
  TrainJob Submit(const std::string& name) {
    auto r = jobs_.Create(me_, Spec(name), TrainJobs::Mode::kSubmit);
    EXPECT_TRUE(r.ok()) << r.error().message();
    return std::move(r).value();
  }
  // What the controller would do.
  void Record(const std::string& name, TrainJobState state) {
    auto stored = rows_.Find(me_.org, name).value();
    stored.value.record.state = state;
    stored.value.record.starts = stored.value.wish.starts;
    EXPECT_TRUE(rows_.SaveRecord(stored, store::LeaderToken{1}, {}).ok());
  }

  FixedClock clock_;
  PlainBox box_;
  store::testing::MemoryStore store_;
  objectstore::MemoryObjectStore objects_{clock_};
  store::TrainJobRows rows_{store_};
  Orgs orgs_{store_, box_, clock_};
  std::vector<std::string> changed_;
  Caller me_, other_;
  TrainJobs jobs_{{rows_, objects_, orgs_, clock_, {"2", "4G"},
                   [](const std::string& name, const std::string& version) -> Result<RuntimeRef> {
                     if (name == "fortran") return Error(Code::kInvalidArgument, "framework \"fortran\": there are …");
                     return RuntimeRef{name.empty() ? "tensorflow" : name, version.empty() ? "2.15.1" : version};
                   },
                   [](const std::string& endpoint) -> Result<std::string> { return endpoint; },
                   [this](const ResourceId& id) { changed_.push_back(id.str()); }}};
};

TEST_F(TrainJobsTest, ASubmitIsStoredWithItsDefaultsAndWakesTheController) {
  const TrainJob job = Submit("ranker");
  EXPECT_EQ(job.record.state, TrainJobState::kEnqueued);
  EXPECT_EQ(job.wish.spec.cpu_limit, "2");
  EXPECT_EQ(job.wish.spec.framework, "tensorflow");
  EXPECT_EQ(job.wish.spec.defaults, (std::vector<std::string>{"cpu_limit", "memory_limit", "framework", "framework_version"}));
  EXPECT_EQ(changed_, std::vector<std::string>{job.meta.id.str()});
  EXPECT_EQ(jobs_.Describe(me_, "ranker").value().meta.id, job.meta.id);
  EXPECT_EQ(jobs_.Events(me_, "ranker").value().at(0).reason, "Enqueued");
}

TEST_F(TrainJobsTest, ADryRunChecksAndWritesNothing) {
  ASSERT_TRUE(jobs_.Create(me_, Spec("ranker"), TrainJobs::Mode::kDryRun).ok());
  EXPECT_EQ(jobs_.Describe(me_, "ranker").error().code(), Code::kNotFound);
  EXPECT_TRUE(changed_.empty());
}

TEST_F(TrainJobsTest, RefusalsTellWhatToDo) {
  Submit("ranker");
  const auto twice = jobs_.Create(me_, Spec("ranker"), TrainJobs::Mode::kSubmit);
  EXPECT_EQ(twice.error().code(), Code::kAlreadyExists);
  EXPECT_NE(twice.error().message().find("delete"), std::string::npos);

  TrainJobSpec missing = Spec("m");
  missing.trainer_uri = "fds://default/nothing.tar.gz";
  const auto absent = jobs_.Create(me_, missing, TrainJobs::Mode::kSubmit);
  EXPECT_EQ(absent.error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(absent.error().message().starts_with("trainer_uri"));

  TrainJobSpec framework = Spec("f");
  framework.framework = "fortran";
  EXPECT_EQ(jobs_.Create(me_, framework, TrainJobs::Mode::kSubmit).error().code(), Code::kInvalidArgument);

  Caller viewer = me_;
  viewer.role = KeyRole::kViewer;
  EXPECT_EQ(jobs_.Create(viewer, Spec("v"), TrainJobs::Mode::kSubmit).error().code(), Code::kPermissionDenied);
  EXPECT_EQ(jobs_.Delete(viewer, "ranker").error().code(), Code::kPermissionDenied);
}

TEST_F(TrainJobsTest, OrganisationsDoNotSeeEachOther) {
  const TrainJob job = Submit("ranker");
  EXPECT_EQ(jobs_.Describe(other_, "ranker").error().code(), Code::kNotFound);
  EXPECT_EQ(jobs_.Describe(other_, job.meta.id.str()).error().code(), Code::kNotFound);
  EXPECT_EQ(jobs_.Delete(other_, "ranker").error().code(), Code::kNotFound);
  EXPECT_TRUE(jobs_.List(other_, {}).value().jobs.empty());
  TrainJobSpec theirs = Spec("mine");
  EXPECT_EQ(jobs_.Create(other_, theirs, TrainJobs::Mode::kSubmit).error().code(), Code::kInvalidArgument);  // not their package
}

TEST_F(TrainJobsTest, ADeletedNameIsFreeAtOnce) {
  Submit("ranker");
  ASSERT_TRUE(jobs_.Delete(me_, "ranker").ok());
  ASSERT_TRUE(jobs_.Delete(me_, "ranker").ok());  // twice is no error while it goes
  const TrainJob again = Submit("ranker");
  EXPECT_EQ(jobs_.Describe(me_, "ranker").value().meta.id, again.meta.id);
}

TEST_F(TrainJobsTest, ASavedJobStartsWhenItIsTold) {
  TrainJobSpec spec = Spec("later");
  spec.save_mode = true;
  ASSERT_TRUE(jobs_.Create(me_, spec, TrainJobs::Mode::kSubmit).ok());
  EXPECT_EQ(jobs_.Describe(me_, "later").value().record.state, TrainJobState::kInitial);
  ASSERT_TRUE(jobs_.Start(me_, "later").ok());
  EXPECT_EQ(jobs_.Describe(me_, "later").value().wish.starts, 1U);
  EXPECT_EQ(jobs_.Start(me_, "later").error().code(), Code::kFailedPrecondition);  // it is on its way
  Record("later", TrainJobState::kCompleted);
  EXPECT_TRUE(jobs_.Start(me_, "later").ok());
}

TEST_F(TrainJobsTest, ListsFilterAndPage) {
  for (int i = 0; i < 5; ++i) {
    TrainJobSpec spec = Spec("job-" + std::to_string(i));
    spec.labels["even"] = i % 2 == 0 ? "yes" : "no";
    clock_.now += std::chrono::seconds{1};
    ASSERT_TRUE(jobs_.Create(me_, spec, TrainJobs::Mode::kSubmit).ok());
  }
  Record("job-4", TrainJobState::kFailed);
  TrainJobFilter by_label;
  by_label.labels = {{"even", "yes"}};
  EXPECT_EQ(jobs_.List(me_, by_label).value().jobs.size(), 3U);
  TrainJobFilter by_state;
  by_state.fields["state"] = "failed";
  EXPECT_EQ(jobs_.List(me_, by_state).value().jobs.at(0).meta.name, "job-4");

  std::vector<std::string> names;
  TrainJobFilter page;
  page.most = 2;
  do {
    const auto got = jobs_.List(me_, page).value();
    for (const TrainJob& job : got.jobs) names.push_back(job.meta.name);
    page.page = got.next_page;
  } while (!page.page.empty());
  EXPECT_EQ(names, (std::vector<std::string>{"job-4", "job-3", "job-2", "job-1", "job-0"}));
  page.page = "nonsense";
  EXPECT_EQ(jobs_.List(me_, page).error().code(), Code::kInvalidArgument);
}

TEST_F(TrainJobsTest, AListLongerThanOneReadOfTheStoreIsWhole) {
  for (int i = 0; i < 1001; ++i) {
    if (i % 3 == 0) clock_.now += std::chrono::milliseconds{1};  // several share an instant
    ASSERT_TRUE(jobs_.Create(me_, Spec("job-" + std::to_string(i)), TrainJobs::Mode::kSubmit).ok());
  }
  std::set<std::string> names;
  for (const TrainJob& job : jobs_.List(me_, {}).value().jobs) names.insert(job.meta.name);
  EXPECT_EQ(names.size(), 1001U);
}

}  // namespace
}  // namespace cml::service
