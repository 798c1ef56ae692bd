#include "service/usage.h"

#include <gtest/gtest.h>

#include "core/train_job_usage.h"
#include "objectstore/testing/memory_object_store.h"
#include "service/budgets.h"
#include "service/storage_meter.h"
#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

using namespace std::chrono_literals;

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now = ParseDay("2026-03-10").value() + 12h;
};

class UsageTest : public ::testing::Test {
 protected:
  UsageTest() {
    org_ = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    other_ = store_.CreateOrg(Org{{}, "speech", {}, 0}).value().id;
    me_ = {org_, KeyRole::kOrgAdmin, AccessKey{"ak"}};
  }

  ResourceId Running(const std::string& name, const OrgId& org) {
    TrainJob job;
    job.meta = {ResourceId{name}, org, name, clock_.now, clock_.now};
    job.wish.spec.job_name = name;
    job.wish.spec.labels["team"] = name.substr(0, 1);
    job.wish.user = "ann";
    job.wish.starts = job.record.starts = 1;
    job.record.state = TrainJobState::kRunning;
    job.record.incarnation = 1;
    job.record.limits.millicores = 1000;
    EXPECT_TRUE(rows_.Create(job, {}).ok());
    runs_[{job.meta.id, 1}] = RunStatus{RunState::kRunning, "", "", false, {}};
    ReplicaStatus replica;
    replica.role = "worker";
    replica.started = clock_.now;
    runs_[{job.meta.id, 1}].replicas.push_back(replica);
    return job.meta.id;
  }
  // What is committed with a warning.
  store::Document Letter(const BudgetNotice& notice) {
    store::Document document;
    document.kind = store::DocumentKind::kDelivery;
    document.org = org_;
    document.key = std::string(EventOf(notice)) + " " + notice.month;
    document.body = "{}";
    return document;
  }
  bool Told(const char* key) { return store_.GetDocument(store::DocumentKind::kDelivery, org_, key).ok(); }
  // As the controller records it, at once or in the middle of somebody's report.
  void End(const ResourceId& id) {
    auto stored = rows_.Get(id).value();
    auto& run = runs_.at({id, 1});
    run.replicas[0].ended = clock_.now;
    const auto used = UsageOf(stored.value, run.replicas, clock_.now);
    stored.value.record.state = TrainJobState::kCompleted;
    EXPECT_TRUE(rows_.SaveRecord(stored, store::LeaderToken{1}, {.usage = used}).ok());
  }
  UsageFilter Filter(UsageBy by) {
    UsageFilter filter;
    filter.by = by;
    filter.from = ParseDay("2026-03-01").value();
    filter.until = ParseDay("2026-04-01").value();
    return filter;
  }
  UsageReport Report(const UsageFilter& filter) {
    auto report = usage_.Report(filter);
    EXPECT_TRUE(report.ok()) << report.error().message();
    return report.ok() ? std::move(report).value() : UsageReport{};
  }
  std::int64_t Millis(UsageBy by) { return Report(Filter(by)).total.sums.held_ms; }

  HandClock clock_;
  store::testing::MemoryStore store_;
  store::TrainJobRows rows_{store_};
  objectstore::MemoryObjectStore objects_{clock_};
  std::map<RunKey, RunStatus> runs_;
  std::function<void()> meanwhile_;  // happens while a report looks at the runs
  const PriceList prices_{"EUR",
                          {{Priced::kCpu, "", 3'600'000, PricePer::kHour, {}, {}},
                           {Priced::kStorage, "", 1'000'000, PricePer::kHour, {}, {}}}};
  Usage usage_{{store_, rows_, clock_, prices_,
                [this](const RunKey& key) -> Result<std::optional<RunStatus>> {
                  const auto found = runs_.find(key);
                  auto seen = found == runs_.end() ? std::nullopt : std::optional(found->second);
                  if (auto then = std::exchange(meanwhile_, nullptr)) then();
                  return seen;
                },
                [](const OrgId& org) { return "name of " + org.str(); }}};
  OrgId org_, other_;
  Caller me_;
  std::vector<ResourceId> told_;
  std::vector<std::int64_t> warned_;
  Budgets budgets_{{store_, rows_, usage_, clock_, [](const OrgId&) { return std::string("vision"); },
                    [this](const ResourceId& id) { told_.push_back(id); },
                    [this](const BudgetState&, const BudgetNotice& n, store::Alongside& with) {
                      with.documents.push_back({Letter(n), store::DocumentWrite::Act::kInsert});
                      return [this, n] { warned_.push_back(n.percent); };
                    }}};
};

TEST_F(UsageTest, WhatRunsCountsUpToNowAndOnceWhenItEnds) {
  const ResourceId id = Running("a", org_);
  clock_.now += 10s;
  EXPECT_EQ(Millis(UsageBy::kOrg), 10'000);
  clock_.now += 500ms;
  EXPECT_EQ(Millis(UsageBy::kDay), 10'500);
  End(id);
  clock_.now += 1h;
  for (const UsageBy by : {UsageBy::kDay, UsageBy::kOrg, UsageBy::kUser, UsageBy::kJob, UsageBy::kKind}) {
    EXPECT_EQ(Millis(by), 10'500) << ToString(by);
  }
  EXPECT_EQ(Report(Filter(UsageBy::kOrg)).total.cost.ExactText(), "0.010500");
}

TEST_F(UsageTest, OneThatEndsWhileTheReportIsMadeIsInItOnce) {
  const ResourceId id = Running("a", org_);
  Running("b", org_);
  clock_.now += 4s;
  meanwhile_ = [&] { End(id); };
  EXPECT_EQ(Millis(UsageBy::kOrg), 8'000);
  EXPECT_EQ(Millis(UsageBy::kOrg), 8'000);
}

TEST_F(UsageTest, OneThatEndedButIsNotRecordedYetCountsToItsEnd) {
  const ResourceId id = Running("a", org_);
  clock_.now += 4s;
  runs_.at({id, 1}).replicas[0].ended = clock_.now;
  clock_.now += 1h;
  EXPECT_EQ(Millis(UsageBy::kOrg), 4'000);
}

TEST_F(UsageTest, LinesAreOfWhatWasAskedFor) {
  End(Running("apple", org_));
  const ResourceId pear = Running("pear", org_);
  const ResourceId fig = Running("fig", other_);
  clock_.now += 3s;
  End(pear);
  End(fig);
  UsageFilter mine = Filter(UsageBy::kJob);
  mine.org = org_;
  UsageReport report = Report(mine);
  ASSERT_EQ(report.lines.size(), 2U);
  EXPECT_EQ(report.lines[1].name, "pear");
  EXPECT_EQ(report.lines[1].key, pear.str());
  EXPECT_EQ(report.total.sums.held_ms, 3'000) << "of nobody else";
  mine.job = "pear";
  EXPECT_EQ(Report(mine).lines.size(), 1U);
  mine.job = "fig";
  EXPECT_TRUE(Report(mine).lines.empty());

  report = Report(Filter(UsageBy::kOrg));
  ASSERT_EQ(report.lines.size(), 2U);
  EXPECT_EQ(report.lines[0].name, "name of " + org_.str());

  UsageFilter label = Filter(UsageBy::kLabel);
  label.label = "team";
  EXPECT_EQ(Report(label).lines.size(), 3U);
  UsageFilter labelled = Filter(UsageBy::kDay);
  labelled.labels["team"] = "p";
  EXPECT_EQ(Report(labelled).total.sums.held_ms, 3'000);
  labelled.user = "ann";
  EXPECT_EQ(Report(labelled).total.sums.held_ms, 3'000);
  labelled.user = "bob";
  EXPECT_EQ(Report(labelled).total.sums.held_ms, 0);
  UsageFilter earlier = Filter(UsageBy::kDay);
  earlier.until = ParseDay("2026-03-10").value();
  EXPECT_TRUE(Report(earlier).lines.empty());
}

TEST_F(UsageTest, ARunAcrossMidnightIsOfBothDays) {
  clock_.now = ParseDay("2026-03-10").value() + 23h + 59min + 50s;
  const ResourceId id = Running("a", org_);
  clock_.now += 30s;
  const auto check = [&] {
    const UsageReport report = Report(Filter(UsageBy::kDay));
    ASSERT_EQ(report.lines.size(), 2U);
    EXPECT_EQ(report.lines[0].key, "2026-03-10");
    EXPECT_EQ(report.lines[0].sums.held_ms, 10'000);
    EXPECT_EQ(report.lines[1].sums.held_ms, 20'000);
  };
  check();
  End(id);
  check();
}

TEST_F(UsageTest, StorageIsCountedWithoutGapOrOverlap) {
  StorageMeter meter({store_, objects_, clock_});
  ASSERT_TRUE(objects_.MakeBucket(org_, "data").ok());
  ASSERT_TRUE(meter.Read().ok());
  auto writer = objects_.Put(org_, "data", "x", {}).value();
  ASSERT_TRUE(writer->Write(std::string(1 << 20, 'x')).ok());
  ASSERT_TRUE(writer->Commit().ok());
  clock_.now += 1h;
  ASSERT_TRUE(meter.Read().ok());  // nothing lay there when the hour began
  EXPECT_EQ(Report(Filter(UsageBy::kKind)).total.sums.storage.whole, 0);
  clock_.now += 10min;
  EXPECT_EQ(Report(Filter(UsageBy::kKind)).total.sums.storage.whole, 600) << "up to now";
  ASSERT_TRUE(meter.Read().ok());
  StorageMeter after_a_restart({store_, objects_, clock_});
  ASSERT_TRUE(after_a_restart.Read().ok());
  EXPECT_EQ(Report(Filter(UsageBy::kKind)).total.sums.storage.whole, 600);
  clock_.now += 10min;
  ASSERT_TRUE(after_a_restart.Read().ok());
  const UsageReport report = Report(Filter(UsageBy::kOrg));
  ASSERT_EQ(report.lines.size(), 1U);
  EXPECT_EQ(report.total.sums.storage.whole, 1'200);
  EXPECT_EQ(report.total.sums.held_ms, 0) << "nothing ran";
  EXPECT_EQ(report.total.cost.ExactText(), "0.000326");  // 1/1024 GiB for a third of an hour
}

TEST_F(UsageTest, ABudgetWarnsOnceForEachStep) {
  ASSERT_TRUE(budgets_.Put(me_, {1'000'000, {50, 100}, BudgetAction::kNone, "", {}}).ok());
  Running("a", org_);  // 0.001 a second
  clock_.now += 499s;
  ASSERT_TRUE(budgets_.Tick().ok());
  EXPECT_TRUE(warned_.empty());
  clock_.now += 1s;
  ASSERT_TRUE(budgets_.Tick().ok());
  ASSERT_TRUE(budgets_.Tick().ok());
  EXPECT_EQ(warned_, std::vector<std::int64_t>{50});
  EXPECT_TRUE(Told("budget.warning 2026-03"));
  EXPECT_FALSE(Told("budget.exceeded 2026-03"));
  EXPECT_TRUE(budgets_.MayStart(org_).ok());
  clock_.now += 600s;
  ASSERT_TRUE(budgets_.Tick().ok());
  EXPECT_EQ(warned_, (std::vector<std::int64_t>{50, 100}));
  EXPECT_TRUE(budgets_.MayStart(org_).ok()) << "it only warns";
  EXPECT_TRUE(Told("budget.exceeded 2026-03"));
  Budgets after_a_restart({store_, rows_, usage_, clock_, [](const OrgId&) { return std::string("vision"); },
                           [](const ResourceId&) {},
                           [this](const BudgetState&, const BudgetNotice& n, store::Alongside&) {
                             warned_.push_back(n.percent);
                             return std::function<void()>();
                           }});
  ASSERT_TRUE(after_a_restart.Tick().ok());
  EXPECT_EQ(warned_.size(), 2U);
  const BudgetState state = budgets_.Read(org_).value();
  EXPECT_EQ(state.percent(), 110);
  EXPECT_EQ(state.notices.size(), 2U);
  clock_.now = ParseDay("2026-04-01").value() + 1h;
  EXPECT_TRUE(budgets_.Read(org_).value().notices.empty()) << "a new month";
}

TEST_F(UsageTest, ThatItIsUsedUpIsToldEvenWhereNoWarningWasAskedFor) {
  ASSERT_TRUE(budgets_.Put(me_, {10'000, {50, 150}, BudgetAction::kNone, "", {}}).ok());
  Running("a", org_);
  clock_.now += 12s;
  ASSERT_TRUE(budgets_.Tick().ok());
  EXPECT_EQ(warned_, (std::vector<std::int64_t>{50, 100}));
}

TEST_F(UsageTest, AUsedUpBudgetRefusesUntilItIsRaised) {
  ASSERT_TRUE(budgets_.Put(me_, {10'000, {}, BudgetAction::kRefuse, "", {}}).ok());
  const ResourceId id = Running("a", org_);
  clock_.now += 20s;
  EXPECT_TRUE(budgets_.MayStart(org_).ok()) << "it was not looked at since";
  ASSERT_TRUE(budgets_.Tick().ok());
  const Status refused = budgets_.MayStart(org_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kQuotaExceeded);
  EXPECT_EQ(refused.error().message(),
            "budget: organisation vision has spent 0.02 EUR of its 0.01 EUR for this month; it goes on next "
            "month, or when its administrator raises the budget");
  EXPECT_TRUE(budgets_.MayStart(other_).ok());
  EXPECT_FALSE(IsStopAsked(rows_.Get(id).value().value));
  ASSERT_TRUE(budgets_.Put(me_, {1'000'000, {}, BudgetAction::kRefuse, "", {}}).ok());
  EXPECT_TRUE(budgets_.MayStart(org_).ok());
  ASSERT_TRUE(budgets_.Erase(me_).ok());
  EXPECT_EQ(budgets_.Read(org_).error().code(), Code::kNotFound);
  EXPECT_EQ(budgets_.Erase(me_).error().code(), Code::kNotFound);
}

TEST_F(UsageTest, OneThatStopsAsksEveryRunToEnd) {
  const ResourceId id = Running("a", org_), theirs = Running("b", other_);
  clock_.now += 20s;
  ASSERT_TRUE(budgets_.Put(me_, {10'000, {}, BudgetAction::kStop, "", {}}).ok());
  ASSERT_TRUE(budgets_.Tick().ok());
  EXPECT_EQ(told_, std::vector{id}) << "once";
  const TrainJob job = rows_.Get(id).value().value;
  EXPECT_TRUE(IsStopAsked(job));
  EXPECT_EQ(job.wish.stop_reason, "BudgetExceeded");
  EXPECT_FALSE(IsStopAsked(rows_.Get(theirs).value().value));
}

}  // namespace
}  // namespace cml::service
