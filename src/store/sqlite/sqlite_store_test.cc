#include "store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <random>

#include "base/log.h"
#include "base/random.h"
#include "base/strings.h"
#include "store/sql_ledger_statements.h"
#include "store/sql_statements.h"
#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_file_test.h"
#include "store/testing/store_contract.h"

namespace cml::store::testing {
namespace {

constexpr ResourceKind kKind = ResourceKind::kTrainJob;

std::unique_ptr<Store> NewStore() {
  static const TempFolder folder;  // goes with the process
  static int number = 0;
  return OpenStore(folder.path() / ("store-" + std::to_string(++number)));
}
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, ::testing::Values(MakeStore{NewStore}));

class SqliteStoreTest : public SqliteFileTest {};

TEST_F(SqliteStoreTest, EverythingIsThereAfterReopening) {
  LeaderToken leader{};
  Row row = MakeRow("a000000001", "ranker");
  {
    const auto store = OpenStore(file_);
    ASSERT_TRUE(store->CreateOrg({OrgId(), "default", At(1), 61000}).ok());
    ASSERT_TRUE(
        store->PutKey({AccessKey("AK"), OrgId("1"), KeyRole::kMember, "s", "l", false, At(1)})
            .ok());
    ASSERT_TRUE(store->Insert(row, {{MakeEvent(1, "Created")}}).ok());
    leader = store->BecomeLeader().value();
  }
  const auto store = OpenStore(file_);
  EXPECT_EQ(store->GetOrg(OrgId("1")).value().name, "default");
  EXPECT_TRUE(store->GetKey(AccessKey("AK")).ok());
  EXPECT_EQ(store->Find(kKind, OrgId("1"), "ranker").value().meta.id, row.meta.id);
  EXPECT_EQ(store->Events(kKind, row.meta.id).value().size(), 1U);
  EXPECT_GT(store->BecomeLeader().value(), leader);
}
TEST_F(SqliteStoreTest, TheFileIsForItsOwnerAlone) {
  const auto store = OpenStore(file_);
  ASSERT_TRUE(store->BecomeLeader().ok());
  ASSERT_TRUE(store->Backup(folder_.path() / "copy").ok());
  for (const char* name : {"store.db", "store.db-wal", "copy"}) {
    struct stat st {};
    ASSERT_EQ(::stat((folder_.path() / name).c_str(), &st), 0) << name;
    EXPECT_EQ(st.st_mode & 0777, 0600U) << name;
  }
}
TEST_F(SqliteStoreTest, TheWriterSyncsEachCommit) {
  const auto db = sqlite::Database::Open(file_, sqlite::Access::kWrite);
  ASSERT_TRUE(db.ok());
  EXPECT_EQ(Number(*db.value(), "PRAGMA synchronous"), 2);
  sqlite::Query mode(*db.value(), "PRAGMA journal_mode");
  ASSERT_TRUE(mode.Step().ok());
  EXPECT_EQ(mode.Text(), "wal");
}
TEST_F(SqliteStoreTest, TheBigListsReadNoMoreThanTheyShow) {
  ASSERT_NE(OpenStore(file_), nullptr);
  const auto db = sqlite::Database::Open(file_, sqlite::Access::kRead);
  ASSERT_TRUE(db.ok());
  for (const char* sql :
       {sql::kListAll, sql::kListAllAfter, sql::kListOrg, sql::kListOrgAfter, sql::kFindLive,
        sql::kFindLeaving, sql::kGetResource, sql::kListUnfinished, sql::kCountUnfinished,
        sql::kNewestEvent, sql::kListEvents, sql::kGetKey, sql::kListKeys, sql::kOrgHasResources,
        sql::kGetQuota, sql::kGetQuotaUse, sql::kGetDocument, sql::kListDocuments,
        sql::kListDocumentsOfOrg, sql::kEraseDocumentsOfOrg, sql::kAuditAfter, sql::kAuditBefore,
        sql::kAuditOfOrgAfter, sql::kAuditOfOrgBefore, sql::kUsageByOrg, sql::kUsageByUser,
        sql::kUsageByLabel, sql::kUsageOfOrgByOrg, sql::kUsageOfOrgByUser, sql::kUsageOfOrgByLabel,
        sql::kListUsage, sql::kListUsageOfOrg, sql::kListUsageOfResource}) {
    const std::string explain = std::string("EXPLAIN QUERY PLAN ") + sql;
    sqlite::Query plan(*db.value(), explain.c_str());
    std::string steps;
    for (auto more = plan.Step(); more.ok() && more.value(); more = plan.Step()) {
      plan.Number(), plan.Number(), plan.Number();
      steps += plan.Text() + "; ";
    }
    EXPECT_NE(steps.find("SEARCH"), std::string::npos) << sql << "\n" << steps;
    EXPECT_EQ(steps.find("SCAN"), std::string::npos) << sql << "\n" << steps;
    EXPECT_EQ(steps.find("TEMP B-TREE"), std::string::npos) << sql << "\n" << steps;
  }
}

// ---- the statements

TEST_F(SqliteStoreTest, StatementsNumberTheirParametersAsPostgresqlDoes) {
  ASSERT_NE(OpenStore(file_), nullptr);
  for (const char* sql : {sql::kRaiseNumber, sql::kListOrgAfter, sql::kInsertResource,
                          sql::kSaveWish, sql::kAddEvent, sql::kPutKey, sql::kSaveHeld,
                          sql::kUpdateOrg, sql::kPutQuota, sql::kPutQuotaUse, sql::kPutDocument,
                          sql::kAddAudit, sql::kAuditOfOrgAfter, sql::kAddUsage, sql::kAddUsageDay,
                          sql::kAddUsageLabel, sql::kListUsageOfOrg}) {
    // The first $n of each n come in the order 1, 2, 3 …
    int next = 1;
    for (const char* at = std::strchr(sql, '$'); at != nullptr; at = std::strchr(at + 1, '$')) {
      const int number = std::atoi(at + 1);
      EXPECT_LE(number, next) << sql;
      if (number == next) ++next;
    }
  }
}

// ---- backup

TEST_F(SqliteStoreTest, ABackupTakenWhileWritersWorkIsAWholeStore) {
  const auto store = OpenStore(file_);
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      const std::string id = std::to_string(i);
      if (store->Insert(MakeRow(id, id), {{MakeEvent(1, "A")}}).ok()) ++acknowledged;
    }
  });
  while (acknowledged < 20) std::this_thread::yield();
  const int before = acknowledged;
  const std::filesystem::path copy = folder_.path() / "copy.db";
  const Status done = store->Backup(copy);
  stop = true;
  writer.join();
  ASSERT_TRUE(done.ok());
  const auto restored = OpenStore(copy);
  ASSERT_NE(restored, nullptr);
  EXPECT_GE(restored->CountUnfinished(kKind).value(), static_cast<std::uint64_t>(before));
  for (int i = 0; i < before; ++i) {
    const ResourceId id(std::to_string(i));
    EXPECT_EQ(restored->Events(kKind, id).value().size(), 1U) << i;
  }
  const auto db = sqlite::Database::Open(copy, sqlite::Access::kRead);
  sqlite::Query check(*db.value(), "PRAGMA integrity_check");
  ASSERT_TRUE(check.Step().ok());
  EXPECT_EQ(check.Text(), "ok");
}

// ---- two programs on one file

TEST_F(SqliteStoreTest, TwoThatWriteOneFileSeeWhatTheOtherHolds) {
  const auto one = OpenStore(file_), other = OpenStore(file_);
  ASSERT_TRUE(one->PutQuota(OrgId("1"), GpuQuota(4)).ok());
  int in = 0;
  for (int i = 0; i < 8; ++i) {
    Row row = MakeRow(std::to_string(i), std::to_string(i));
    row.reserved = Holds(1);
    if ((i % 2 == 0 ? one : other)->Insert(row, Audited("create")).ok()) ++in;
  }
  EXPECT_EQ(in, 4);
  EXPECT_TRUE(one->VerifyQuotaUse().ok());
  EXPECT_EQ(other->GetQuotaUse(OrgId("1")).value().of(QuotaGroup::kTrain).gpus, 4);
  EXPECT_EQ(one->VerifyAudit().value().lines, 4U);
  EXPECT_EQ(one->VerifyAudit().value().wrong, 0U);
}

// ---- kill -9

// The child: four writers that say on `out` what was acknowledged, until they are killed.
[[noreturn]] void WriteUntilKilled(const std::filesystem::path& file, int round, int out) {
  auto store = SqliteStore::Open(file);
  if (!store.ok()) _exit(3);
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&, t] {
      for (int n = 0;; ++n) {
        std::string id = std::to_string(round) + "." + std::to_string(t) + "." + std::to_string(n);
        Row row = MakeRow(id, id);
        row.reserved = Holds(1 + n % 3);
        Alongside with = Audited(id);
        with.events = {MakeEvent(1, "A")};
        with.usage = {MakeUsage(id, kFirstDay, kFirstDay + std::chrono::milliseconds(1000))};
        if (!store.value()->Insert(row, with).ok()) _exit(4);
        id += '\n';
        if (::write(out, id.data(), id.size()) < 0) _exit(5);
      }
    });
  }
  for (;;) ::pause();
}

// What the child said until it was killed at some point.
std::vector<std::string> KillAfter(pid_t child, int in, std::chrono::microseconds wait) {
  std::string said;
  char buffer[4096];
  const auto until = std::chrono::steady_clock::now() + wait;
  bool killed = false;
  for (;;) {
    if (!killed && !said.empty() && std::chrono::steady_clock::now() >= until) {
      ::kill(child, SIGKILL);
      killed = true;
    }
    pollfd ready{in, POLLIN, 0};
    if (::poll(&ready, 1, 1) == 0) continue;
    const ssize_t n = ::read(in, buffer, sizeof buffer);
    if (n <= 0) break;
    said.append(buffer, static_cast<std::size_t>(n));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child left by itself: " << WEXITSTATUS(status);
  std::vector<std::string> ids;
  for (const auto line : Split(said, '\n')) {
    if (!line.empty()) ids.emplace_back(line);
  }
  return ids;
}

// Every row that is there, acknowledged or not, is there with its line of the audit, its usage record
// and what it holds.
void ExpectOneOfEachPerRow(Store& store) {
  const std::uint64_t rows = store.CountUnfinished(kKind).value();
  const Status held = store.VerifyQuotaUse();
  EXPECT_TRUE(held.ok()) << held.error().message();
  const std::int64_t count = store.GetQuotaUse(OrgId("1")).value().of(QuotaGroup::kTrain).count;
  EXPECT_EQ(static_cast<std::uint64_t>(count), rows);
  const AuditVerdict verdict = store.VerifyAudit().value();
  EXPECT_EQ(verdict.wrong, 0U) << verdict.message;
  EXPECT_EQ(verdict.lines, rows);
  const auto used = store.ReadUsage(Days(UsageQuery::By::kDay, 1)).value();
  EXPECT_EQ(used.empty() ? 0 : used[0].sums.held_ms, static_cast<std::int64_t>(rows) * 1000);
}

TEST_F(SqliteStoreTest, WhatWasAcknowledgedSurvivesKillMinusNine) {
  const unsigned seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  std::vector<std::string> acknowledged;
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteUntilKilled(file_, round, ends[1]);
    ::close(ends[1]);
    const std::chrono::microseconds wait(random() % 60000);
    for (auto& id : KillAfter(child, ends[0], wait)) acknowledged.push_back(std::move(id));
    ::close(ends[0]);
    const auto store = OpenStore(file_);
    ASSERT_NE(store, nullptr);
    for (const std::string& id : acknowledged) {
      ASSERT_TRUE(store->Get(kKind, ResourceId(id)).ok()) << "lost: " << id << ", seed " << seed;
      ASSERT_EQ(store->Events(kKind, ResourceId(id)).value().size(), 1U) << id;
    }
    ExpectOneOfEachPerRow(*store);
  }
  EXPECT_GE(acknowledged.size(), 12U);
}

// ---- full disk

void FillUntilRefused(Store& store, int first, std::vector<std::string>& kept) {
  Row row = MakeRow("", "");
  row.wish.assign(20000, 'w');
  row.reserved = Holds(2);
  for (int i = first; i < first + 2000; ++i) {
    const std::string id = std::to_string(i);
    row.meta.id = ResourceId(id);
    row.meta.name = id;
    const auto inserted = store.Insert(row, Audited("create"));
    if (inserted.ok()) {
      kept.push_back(id);
      continue;
    }
    EXPECT_TRUE(Fails(inserted, Code::kUnavailable));
    EXPECT_NE(inserted.error().message().find("no space left"), std::string::npos)
        << inserted.error().message() << " / " << inserted.error().detail();
    EXPECT_TRUE(Fails(store.Get(kKind, row.meta.id), Code::kNotFound)) << "nothing was changed";
    int small = 0;
    while (small < 1000 && store.BecomeLeader().ok()) ++small;
    EXPECT_LT(small, 1000) << "there was still much space";
    EXPECT_TRUE(Fails(store.Ping(), Code::kUnavailable)) << "readyz must say so";
    return;
  }
  ADD_FAILURE() << "the disk was never full";
}

void ExpectWhole(const std::filesystem::path& file, const std::vector<std::string>& kept) {
  const auto store = OpenStore(file);
  ASSERT_NE(store, nullptr);
  std::int64_t held = 0;
  for (const std::string& id : kept) {
    ASSERT_TRUE(store->Get(kKind, ResourceId(id)).ok()) << id;
    if (id != "after") held += 2;
  }
  EXPECT_EQ(store->GetQuotaUse(OrgId("1")).value().of(QuotaGroup::kTrain).gpus, held);
  EXPECT_TRUE(store->VerifyQuotaUse().ok());
  EXPECT_EQ(store->VerifyAudit().value().wrong, 0U);
  EXPECT_EQ(store->VerifyAudit().value().lines, static_cast<std::uint64_t>(held / 2));
  const auto db = sqlite::Database::Open(file, sqlite::Access::kRead);
  ASSERT_TRUE(db.ok());
  sqlite::Query check(*db.value(), "PRAGMA integrity_check");
  ASSERT_TRUE(check.Step().ok());
  EXPECT_EQ(check.Text(), "ok");
}

TEST_F(SqliteStoreTest, AFileThatMayNotGrowIsAClearErrorAndPasses) {
  std::signal(SIGXFSZ, SIG_IGN);
  std::vector<std::string> kept;
  {
    const auto store = OpenStore(file_);
    rlimit was{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &was), 0);
    rlimit small = was;
    small.rlim_cur = 400000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    FillUntilRefused(*store, 0, kept);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &was), 0);
    EXPECT_TRUE(store->Ping().ok());
    EXPECT_TRUE(store->Insert(MakeRow("after", "after"), {}).ok());
    kept.push_back("after");
  }
  ExpectWhole(file_, kept);
}
TEST_F(SqliteStoreTest, AFullDiskIsAClearErrorAndPassesWhenThereIsSpace) {
  const std::filesystem::path disk = folder_.path() / "disk";
  ASSERT_TRUE(MakeFolders(disk).ok());
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs needs root: " << std::strerror(errno)
                 << "; AFileThatMayNotGrowIsAClearErrorAndPasses covers it without";
  }
  std::vector<std::string> kept;
  std::ofstream(disk / "ballast") << std::string(200000, 'b');
  {
    const auto store = OpenStore(disk / "store.db");
    ASSERT_NE(store, nullptr);
    FillUntilRefused(*store, 0, kept);
    std::filesystem::remove(disk / "ballast");
    EXPECT_TRUE(store->Ping().ok());
    EXPECT_TRUE(store->Insert(MakeRow("after", "after"), {}).ok());
    kept.push_back("after");
    FillUntilRefused(*store, 10000, kept);
    EXPECT_GT(kept.size(), 20U);
  }
  ExpectWhole(disk / "store.db", kept);
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace cml::store::testing
