#include "service/quotas.h"

#include <gtest/gtest.h>

#include <thread>

#include "codec/document.h"
#include "store/testing/memory_store.h"
#include "store/train_jobs.h"

namespace cml::service {
namespace {

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::hours{1}};
};

constexpr QuotaField kTrainGpus{QuotaGroup::kTrain, QuotaMeasure::kGpu};
constexpr QuotaField kTrainCpus{QuotaGroup::kTrain, QuotaMeasure::kCpu};

class QuotasTest : public ::testing::Test {
 protected:
  QuotasTest() {
    vision_ = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    speech_ = store_.CreateOrg(Org{{}, "speech", {}, 0}).value().id;
    request_.id = "rq-1";
    request_.action = "quota.update";
    admin_ = {vision_, KeyRole::kPlatformAdmin, AccessKey{"ak"}, "ann", vision_, &request_};
    member_ = {speech_, KeyRole::kMember, AccessKey{"ak2"}, "", speech_, &request_};
  }
  static QuotaChange Gpus(std::optional<std::int64_t> n) {
    QuotaChange c;
    c.settings = {{kTrainGpus, n}};
    return c;
  }
  std::optional<std::int64_t> GpusOf(const OrgId& org) {
    return store_.GetQuota(org).value().of(QuotaGroup::kTrain).gpus;
  }
  std::string LastAudit() {
    const auto lines = store_.ReadAudit({}).value();
    return lines.empty() ? "" : lines.back().text;
  }
  Result<QuotaApplication> Apply(const std::string& service, QuotaAmounts amounts) {
    QuotaApplication a;
    a.service = service;
    a.asked = std::move(amounts);
    return quotas_.Apply(member_, a);
  }
  void AddJob(const OrgId& org, const std::string& name, const std::string& cpu) {
    TrainJob job;
    job.meta = {NewResourceId(), org, name, clock_.now, clock_.now};
    job.wish.spec.job_name = name;
    job.wish.spec.cpu_limit = cpu;
    job.wish.spec.memory_limit = "1G";
    job.wish.starts = 1;
    job.record.state = TrainJobState::kEnqueued;
    job.record.starts = 1;
    ASSERT_TRUE(store::TrainJobRows(store_).Create(job, {}).ok());
  }

  HandClock clock_;
  store::testing::MemoryStore store_;
  OrgId vision_, speech_;
  RequestContext request_;
  Caller admin_, member_;
  Quotas quotas_{{store_, clock_,
                  [this](const Caller&, const OrgId& id, const OrgWords& words) -> Status {
                    CML_ASSIGN_OR_RETURN(Org org, store_.GetOrg(id));
                    if (words.name) org.name = *words.name;
                    if (words.mail) org.mail = *words.mail;
                    if (words.project) org.project = *words.project;
                    return store_.UpdateOrg(org, {});
                  },
                  Changed({}, {{kTrainGpus, 2}})}};
};

TEST_F(QuotasTest, AChangeIsPartialAuditedAndReadAtOnce) {
  ASSERT_TRUE(quotas_.Update(admin_, speech_, Gpus(8)).ok());
  EXPECT_TRUE(request_.audited);
  QuotaChange more;
  more.settings = {{kTrainCpus, 4000}};
  more.org_mail = "a@b.c";
  more.project = "ears";
  const auto standing = quotas_.Update(admin_, speech_, more);
  ASSERT_TRUE(standing.ok()) << standing.error().message();
  EXPECT_EQ(standing.value().quota.of(QuotaGroup::kTrain).gpus, 8);
  EXPECT_EQ(standing.value().quota.of(QuotaGroup::kTrain).millicores, 4000);
  EXPECT_EQ(standing.value().org.mail, "a@b.c");
  EXPECT_EQ(standing.value().org.project, "ears");
  EXPECT_NE(LastAudit().find("train_cpu_quota"), std::string::npos) << LastAudit();
  EXPECT_EQ(GpusOf(vision_), std::nullopt);
  EXPECT_EQ(quotas_.Update(admin_, speech_, Gpus({})).value().quota.of(QuotaGroup::kTrain).gpus,
            std::nullopt);
  EXPECT_EQ(quotas_.ReadAll().value().size(), 2U);
}

TEST_F(QuotasTest, RefusalsTellWhy) {
  EXPECT_EQ(quotas_.Update(admin_, OrgId{"99"}, Gpus(1)).error().code(), Code::kNotFound);
  EXPECT_EQ(quotas_.Update(admin_, speech_, {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(quotas_.Read(OrgId{"99"}).error().code(), Code::kNotFound);
}

TEST_F(QuotasTest, ConcurrentChangesOfDifferentFieldsAllCount) {
  std::vector<QuotaField> fields;
  for (const QuotaField& f : AllQuotaFields()) {
    if (f.measure != QuotaMeasure::kRank) fields.push_back(f);
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      threads.emplace_back([this, i, field = fields[i]] {
        const Caller quiet{vision_, KeyRole::kPlatformAdmin, AccessKey{"ak"}, "ann", vision_,
                           nullptr};
        QuotaChange change;
        change.settings = {{field, static_cast<std::int64_t>(i + 1)}};
        EXPECT_TRUE(quotas_.Update(quiet, speech_, change).ok());
      });
    }
  }
  const Quota quota = store_.GetQuota(speech_).value();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    EXPECT_EQ(LimitIn(quota, fields[i]), static_cast<std::int64_t>(i + 1)) << NameOf(fields[i]);
  }
}

TEST_F(QuotasTest, ANewOrganisationGetsTheDefaultOnce) {
  ASSERT_TRUE(quotas_.GiveDefault(speech_).ok());
  EXPECT_EQ(GpusOf(speech_), 2);
  ASSERT_TRUE(quotas_.Update(admin_, speech_, Gpus(5)).ok());
  ASSERT_TRUE(quotas_.GiveDefault(speech_).ok());
  EXPECT_EQ(GpusOf(speech_), 5);
}

TEST_F(QuotasTest, AMailIsKeptWhereThereIsNone) {
  ASSERT_TRUE(quotas_.OfferMail(member_, "no mail").ok());
  EXPECT_EQ(store_.GetOrg(speech_).value().mail, "");
  Caller viewer = member_;
  viewer.role = KeyRole::kViewer;
  ASSERT_TRUE(quotas_.OfferMail(viewer, "v@b.c").ok());
  EXPECT_EQ(store_.GetOrg(speech_).value().mail, "");
  ASSERT_TRUE(quotas_.OfferMail(member_, "a@b.c").ok());
  ASSERT_TRUE(quotas_.OfferMail(member_, "x@y.z").ok());
  EXPECT_EQ(store_.GetOrg(speech_).value().mail, "a@b.c");
}

TEST_F(QuotasTest, AnApplicationThatIsSentTwiceIsFiledOnce) {
  request_.idempotency_key = "k1";
  request_.fingerprint = "f1";
  const std::string id = Apply("jobs", {"4", "", "", ""}).value().id;
  EXPECT_FALSE(request_.replayed);
  ASSERT_TRUE(quotas_.Decline(admin_, id, "no").ok());
  const auto again = Apply("jobs", {"4", "", "", ""});
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE(request_.replayed);
  EXPECT_EQ(again.value().id, id);
  EXPECT_EQ(again.value().state, ApplicationState::kDeclined) << "as it is now";
  EXPECT_EQ(quotas_.Applications(speech_).value().size(), 1U);
}

TEST_F(QuotasTest, AGrantSetsTheQuotaAndDecidesOnce) {
  const auto filed = Apply("jobs", {"4", "16G", "4", ""});
  ASSERT_TRUE(filed.ok()) << filed.error().message();
  EXPECT_EQ(filed.value().org, speech_);
  EXPECT_EQ(filed.value().applicant, "ak2");
  EXPECT_EQ(GpusOf(speech_), std::nullopt);
  const std::string id = filed.value().id;
  const auto granted = quotas_.Grant(admin_, id.substr(0, 6), {{"", "", "2", ""}, "welcome"});
  ASSERT_TRUE(granted.ok()) << granted.error().message();
  EXPECT_EQ(granted.value().asked.gpu_limit, "4");
  EXPECT_EQ(granted.value().granted.gpu_limit, "2");
  EXPECT_EQ(GpusOf(speech_), 2);
  EXPECT_EQ(store_.GetQuota(speech_).value().of(QuotaGroup::kTrain).memory_bytes, 16LL << 30);
  EXPECT_EQ(quotas_.Grant(admin_, id, {}).error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(quotas_.Decline(admin_, id, "").error().code(), Code::kFailedPrecondition);
  const auto list = quotas_.Applications(speech_).value();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].state, ApplicationState::kGranted);
  EXPECT_EQ(list[0].message, "welcome");
  EXPECT_TRUE(quotas_.Applications(vision_).value().empty());
  EXPECT_EQ(quotas_.Applications(std::nullopt).value().size(), 1U);
}

TEST_F(QuotasTest, TheClientsFractionOfAGpuIsKeptAndNeedsAWordToBeGranted) {
  const auto filed = Apply("dev", {"0.5", "1G", "0.5", ""});
  ASSERT_TRUE(filed.ok()) << filed.error().message();
  EXPECT_EQ(filed.value().asked.gpu_limit, "0.5");
  const auto refused = quotas_.Grant(admin_, filed.value().id, {});
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(refused.error().message().starts_with("gpu_limit")) << refused.error().message();
  EXPECT_EQ(quotas_.Applications(speech_).value()[0].state, ApplicationState::kPending);
  EXPECT_TRUE(quotas_.Grant(admin_, filed.value().id, {{"", "", "0", ""}, ""}).ok());
  EXPECT_EQ(store_.GetQuota(speech_).value().of(QuotaGroup::kDev).gpus, 0);
}

TEST_F(QuotasTest, ADeclineChangesNoQuota) {
  const auto filed = Apply("models", {"", "", "100", ""});
  const auto declined = quotas_.Decline(admin_, filed.value().id, "not this year");
  ASSERT_TRUE(declined.ok());
  EXPECT_EQ(declined.value().message, "not this year");
  EXPECT_EQ(store_.GetQuota(speech_).value(), Quota{});
}

TEST_F(QuotasTest, WrongApplicationsAreRefused) {
  EXPECT_EQ(Apply("train", {"1", "", "", ""}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Apply("jobs", {}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Apply("jobs", {"1", "8GB", "", ""}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(quotas_.Grant(admin_, "nothing", {}).error().code(), Code::kNotFound);
  EXPECT_EQ(quotas_.Grant(admin_, "", {}).error().code(), Code::kNotFound);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Apply("jobs", {"1", "", "", ""}).ok());
  EXPECT_EQ(Apply("jobs", {"1", "", "", ""}).error().code(), Code::kFailedPrecondition);
}

TEST_F(QuotasTest, HoldersAreTheUnfinishedOnesOfTheOrganisation) {
  AddJob(vision_, "small", "1");
  AddJob(vision_, "large", "4");
  AddJob(speech_, "theirs", "2");
  const auto mine = quotas_.Holders(vision_).value();
  ASSERT_EQ(mine.size(), 2U);
  EXPECT_EQ(mine[0].name, "large");
  EXPECT_EQ(mine[0].reserved.amounts.millicores, 4000);
  EXPECT_EQ(mine[0].kind, "train_job");
  EXPECT_EQ(quotas_.Holders(std::nullopt).value().size(), 3U);
}

TEST_F(QuotasTest, RoomSaysWhatAWriteWouldSay) {
  AddJob(speech_, "one", "3");
  ASSERT_TRUE(quotas_.Update(admin_, speech_, QuotaChange{{{kTrainCpus, 4000}}, {}, {}, {}}).ok());
  const auto cpus = [](std::int64_t millicores) {
    Reservation r;
    r.amounts.millicores = millicores;
    return r;
  };
  EXPECT_TRUE(quotas_.Room(speech_, cpus(1000)).ok());
  EXPECT_EQ(quotas_.Room(speech_, cpus(1010)).error().code(), Code::kQuotaExceeded);
  EXPECT_TRUE(quotas_.Room(vision_, cpus(99'000)).ok());
}

TEST_F(QuotasTest, TheRankIsTheOrganisations) {
  EXPECT_EQ(quotas_.RankOf(vision_, QuotaGroup::kTrain), 1);
  QuotaChange change;
  change.settings = {{{QuotaGroup::kTrain, QuotaMeasure::kRank}, 3}};
  ASSERT_TRUE(quotas_.Update(admin_, vision_, change).ok());
  EXPECT_EQ(quotas_.RankOf(vision_, QuotaGroup::kTrain), 3);
  EXPECT_EQ(quotas_.RankOf(vision_, QuotaGroup::kDev), 1);
}

}  // namespace
}  // namespace cml::service
