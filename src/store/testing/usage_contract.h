// store/testing/usage_contract.h — the part of store_contract.h that is about usage. Included by it.
#pragma once
#include "store/testing/contract_fixture.h"

namespace cml::store::testing {

constexpr UsageDay kFirstDay{std::chrono::days(20000)};

inline UsageRecord MakeUsage(const std::string& id, SysTime from, SysTime to) {
  UsageRecord r;
  r.id = id;
  r.kind = "train_job";
  r.org = OrgId("1");
  r.user = "ann";
  r.key = AccessKey("AK1");
  r.resource = ResourceId("a000000001");
  r.name = "ranker";
  r.labels = {{"team", "search"}, {"quo\"te", "\xe4\xbd\xa0"}};
  r.millicores = 1500;
  r.memory_bytes = (1 << 20) + 1;
  r.gpus = 2;
  r.gpu_model = "v100";
  r.storage_bytes = 0;
  r.from = from;
  r.to = to;
  return r;
}
inline Alongside Used(const UsageRecord& record) {
  Alongside with;
  with.usage.push_back(record);
  return with;
}
inline UsageQuery Days(UsageQuery::By by, int count) {
  UsageQuery query;
  query.by = by;
  query.from = kFirstDay;
  query.until = kFirstDay + std::chrono::days(count);
  return query;
}
inline std::vector<std::string> IdsOf(const std::vector<UsageRecord>& records) {
  std::vector<std::string> ids;
  for (const UsageRecord& r : records) ids.push_back(r.id);
  return ids;
}

TEST_P(StoreContract, AUsageRecordIsKeptOnceAndComesBackWhole) {
  const UsageRecord r = MakeUsage("a.1/worker-0", kFirstDay + std::chrono::hours(1), kFirstDay + std::chrono::hours(2));
  ASSERT_TRUE(store_->Commit(testing::Used(r)).ok());
  UsageRecord again = r;
  again.gpus = 7;
  ASSERT_TRUE(store_->Commit(testing::Used(again)).ok());
  const auto all = store_->ListUsage({});
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all.value().size(), 1U);
  const UsageRecord& back = all.value()[0];
  EXPECT_EQ(std::tie(back.id, back.kind, back.org, back.user, back.key, back.resource, back.name),
            std::tie(r.id, r.kind, r.org, r.user, r.key, r.resource, r.name));
  EXPECT_EQ(back.labels, r.labels);
  EXPECT_EQ(std::tie(back.millicores, back.memory_bytes, back.gpus, back.gpu_model, back.storage_bytes),
            std::tie(r.millicores, r.memory_bytes, r.gpus, r.gpu_model, r.storage_bytes));
  EXPECT_EQ(back.from, r.from);
  EXPECT_EQ(back.to, r.to);
  const auto rows = store_->ReadUsage(Days(UsageQuery::By::kOrg, 1)).value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].sums.gpu_ms, 2 * 3600000);
  EXPECT_EQ(rows[0].sums.records, 1);
}
TEST_P(StoreContract, AUsageRecordWithoutAnIdOrWithANegativeAmountIsRefusedWithTheRest) {
  UsageRecord bad = MakeUsage("x", kFirstDay, kFirstDay);
  bad.gpus = -1;
  Alongside with = testing::Used(bad);
  with.audit = {MakeEntry("a")};
  EXPECT_TRUE(Fails(store_->Commit(with), Code::kInvalidArgument));
  EXPECT_TRUE(Fails(store_->Insert(MakeRow("a", "ranker"), with), Code::kInvalidArgument));
  with.usage[0] = MakeUsage("", kFirstDay, kFirstDay);
  EXPECT_TRUE(Fails(store_->Commit(with), Code::kInvalidArgument));
  EXPECT_EQ(Lines({}).size(), 0U);
  EXPECT_TRUE(Fails(store_->Get(kKind, ResourceId("a")), Code::kNotFound));
  EXPECT_TRUE(store_->ListUsage({}).value().empty());
}
TEST_P(StoreContract, UsageIsAddedUpByDayOrganisationUserAndLabel) {
  using std::chrono::milliseconds;
  const SysTime noon = kFirstDay + std::chrono::hours(12);
  UsageRecord a = MakeUsage("a", noon, noon + milliseconds(1501));
  UsageRecord b = MakeUsage("b", noon, noon + milliseconds(999));
  b.user = "bob";
  b.labels = {{"team", "ads"}};
  UsageRecord c = MakeUsage("c", kFirstDay + std::chrono::days(1) - milliseconds(250),
                            kFirstDay + std::chrono::days(1) + milliseconds(750));
  UsageRecord d = MakeUsage("d", noon, noon + milliseconds(10));
  d.org = OrgId("2");
  UsageRecord e = MakeUsage("e", noon, noon + milliseconds(10));
  e.gpu_model = "a100";
  for (const UsageRecord& r : {a, b, c, d, e}) ASSERT_TRUE(store_->Commit(testing::Used(r)).ok());

  const auto show = [&](const UsageQuery& query) {
    std::vector<std::string> lines;
    const auto rows = store_->ReadUsage(query);
    EXPECT_TRUE(rows.ok());
    for (const UsageRow& row : rows.value()) {
      lines.push_back(std::to_string((row.day - kFirstDay).count()) + " " + row.org.str() + "/" + row.user + "/" +
                      row.label + " " + row.kind + " " + row.gpu_model + " " +
                      std::to_string(row.sums.cpu.whole * 1000 + row.sums.cpu.rest) + " " +
                      std::to_string(row.sums.held_ms) + " " + std::to_string(row.sums.records));
      EXPECT_LT(row.sums.cpu.rest, 1000);
      EXPECT_EQ(row.sums.memory.whole * 1048576000 + row.sums.memory.rest, row.sums.held_ms * ((1 << 20) + 1));
      EXPECT_EQ(row.sums.gpu_ms, 2 * row.sums.held_ms);
    }
    return lines;
  };
  using By = UsageQuery::By;
  using Lines = std::vector<std::string>;
  EXPECT_EQ(show(Days(By::kDay, 9)), (Lines{"0 // train_job a100 15000 10 1", "0 // train_job v100 4140000 2760 4",
                                            "1 // train_job v100 1125000 750 0"}));
  EXPECT_EQ(show(Days(By::kOrg, 1)),
            (Lines{"0 1// train_job a100 15000 10 1", "0 1// train_job v100 4125000 2750 3",
                   "0 2// train_job v100 15000 10 1"}));
  EXPECT_EQ(show(Days(By::kUser, 1)),
            (Lines{"0 1/ann/ train_job a100 15000 10 1", "0 1/ann/ train_job v100 2626500 1751 2",
                   "0 1/bob/ train_job v100 1498500 999 1", "0 2/ann/ train_job v100 15000 10 1"}));
  UsageQuery query = Days(By::kLabel, 9);
  query.label = "team";
  query.org = OrgId("1");
  EXPECT_EQ(show(query),
            (Lines{"0 1//search train_job a100 15000 10 1", "0 1//ads train_job v100 1498500 999 1",
                   "0 1//search train_job v100 2626500 1751 2", "1 1//search train_job v100 1125000 750 0"}));
  query.label = "none";
  EXPECT_EQ(show(query), Lines{});
  query = Days(By::kUser, 9);
  query.org = OrgId("2");
  EXPECT_EQ(show(query), (Lines{"0 2/ann/ train_job v100 15000 10 1"}));
  query.by = By::kDay;
  EXPECT_EQ(show(query), (Lines{"0 // train_job v100 15000 10 1"}));
  query.from = kFirstDay + std::chrono::days(1);
  EXPECT_EQ(show(query), Lines{});
}
TEST_P(StoreContract, UsageRecordsAreListedByTheirEndInPages) {
  using std::chrono::hours;
  const auto put = [&](const std::string& id, int from, int to, const std::string& org, const std::string& resource) {
    UsageRecord r = MakeUsage(id, kFirstDay + hours(from), kFirstDay + hours(to));
    r.org = OrgId(org);
    r.resource = ResourceId(resource);
    ASSERT_TRUE(store_->Commit(testing::Used(r)).ok());
  };
  put("long", 0, 90, "1", "x");
  put("b", 1, 2, "1", "y");
  put("a", 1, 2, "2", "y");
  put("c", 3, 4, "1", "x");
  const auto ids = [&](const UsageListQuery& query) { return IdsOf(store_->ListUsage(query).value()); };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids({}), (Ids{"a", "b", "c", "long"}));
  UsageListQuery query;
  query.org = OrgId("1");
  EXPECT_EQ(ids(query), (Ids{"b", "c", "long"}));
  query.resource = ResourceId("x");
  EXPECT_EQ(ids(query), (Ids{"c", "long"}));
  query = {};
  query.resource = ResourceId("y");
  query.org = OrgId("2");
  EXPECT_EQ(ids(query), (Ids{"a"}));
  query = {};
  query.from = kFirstDay + hours(2);
  query.until = kFirstDay + hours(3);
  EXPECT_EQ(ids(query), (Ids{"long"})) << "what overlaps, and touching is not overlapping";
  query.until += std::chrono::milliseconds(1);
  EXPECT_EQ(ids(query), (Ids{"c", "long"}));
  query = {};
  query.most = 1;
  Ids all;
  for (int page = 0; page < 6; ++page) {
    const auto records = store_->ListUsage(query).value();
    if (records.empty()) break;
    all.push_back(records[0].id);
    query.after_to = records[0].to;
    query.after_id = records[0].id;
  }
  EXPECT_EQ(all, (Ids{"a", "b", "c", "long"}));
}

}  // namespace cml::store::testing
