// Files of older versions, of newer ones, and of none.
#include "store/sqlite/migrate.h"

#include <fstream>

#include "store/sql_statements.h"
#include "store/sqlite/sqlite_file_test.h"
#include "store/train_jobs.h"

namespace cml::store::testing {
namespace {

class MigrateTest : public SqliteFileTest {};

TEST_F(MigrateTest, AnOlderFileIsBroughtForwardWithWhatIsInIt) {
  {
    const auto db = sqlite::Database::Open(file_, sqlite::Access::kWrite);
    ASSERT_TRUE(db.ok());
    ASSERT_TRUE(sqlite::Migrate(*db.value(), Migrations().first(1)).ok());
    ASSERT_TRUE(db.value()->Execute("INSERT INTO orgs VALUES ('1', 'old', 5, 7)").ok());
    EXPECT_EQ(Number(*db.value(), sql::kNewestMigration), 1);
  }
  {
    const auto store = OpenStore(file_);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->GetOrg(OrgId("1")).value().name, "old");
    EXPECT_TRUE(store->Insert(MakeRow("a", "ranker"), {}).ok());
  }
  const auto db = sqlite::Database::Open(file_, sqlite::Access::kRead);
  EXPECT_EQ(Number(*db.value(), sql::kNewestMigration), Migrations().back().version);
  EXPECT_EQ(Number(*db.value(), "SELECT COUNT(*) FROM schema_migrations"),
            std::int64_t{Migrations().back().version});
}
TEST_F(MigrateTest, JobsOfAVersionWithoutQuotasAreHeldFromTheFirstStartOn) {
  {
    const auto db = sqlite::Database::Open(file_, sqlite::Access::kWrite);
    ASSERT_TRUE(db.ok());
    ASSERT_TRUE(sqlite::Migrate(*db.value(), Migrations().first(2)).ok());
    TrainJob job;
    job.wish.spec.cpu_limit = "2";
    job.wish.spec.memory_limit = "3G";
    job.wish.spec.gpu_limit = 1;
    job.wish.spec.job_name = "ranker";
    const auto put = [&](const std::string& id, TrainJobState state) {
      job.record.state = state;
      using Codec = codec::ResourceCodec<TrainJob>;
      const std::string wish = Codec::Wish(job), record = Codec::Record(job);
      sqlite::Query query(*db.value(),
                          "INSERT INTO resources (id, kind, org, name, created, updated, wish, record, state, live, "
                          "unfinished, revision) VALUES ($1, 'train_job', '1', $1, 1, 1, $2, $3, $4, 1, $5, 1)");
      query.Bind(id).Bind(wish).Bind(record).Bind(ToString(state)).Bind(std::int64_t{IsUnfinished(job)});
      ASSERT_TRUE(query.Run().ok());
    };
    put("run0000000", TrainJobState::kRunning);
    put("wait000000", TrainJobState::kEnqueued);
    put("done000000", TrainJobState::kCompleted);
  }
  const auto store = OpenStore(file_);
  ASSERT_NE(store, nullptr);
  const TrainJobRows jobs(*store);
  ASSERT_TRUE(jobs.RepairReservations(store->BecomeLeader().value()).ok());
  EXPECT_EQ(store->GetQuotaUse(OrgId("1")).value().of(QuotaGroup::kTrain), (Amounts{4000, 6LL << 30, 2, 2, 0}));
  EXPECT_TRUE(store->VerifyQuotaUse().ok());
  EXPECT_EQ(jobs.Get(ResourceId("run0000000")).value().value.record.state, TrainJobState::kRunning);
  EXPECT_EQ(store->VerifyAudit().value().wrong, 0U);
}
TEST_F(MigrateTest, AMigrationThatFailsLeavesTheOldSchema) {
  const auto db = sqlite::Database::Open(file_, sqlite::Access::kWrite);
  ASSERT_TRUE(db.ok());
  ASSERT_TRUE(sqlite::Migrate(*db.value(), Migrations().first(1)).ok());
  const Migration bad[] = {Migrations()[0], {2, "bad", "CREATE TABLE half (a BIGINT); NONSENSE;"}};
  EXPECT_FALSE(sqlite::Migrate(*db.value(), bad).ok());
  EXPECT_EQ(Number(*db.value(), sql::kNewestMigration), 1);
  EXPECT_EQ(Number(*db.value(), "SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'"), 0);
}
TEST_F(MigrateTest, AFileOfANewerVersionIsRefusedAndNotTouched) {
  {
    ASSERT_NE(OpenStore(file_), nullptr);
    const auto db = sqlite::Database::Open(file_, sqlite::Access::kWrite);
    ASSERT_TRUE(
        db.value()->Execute("INSERT INTO schema_migrations VALUES (999, 'future', 0)").ok());
  }
  const auto refused = SqliteStore::Open(file_);
  ASSERT_TRUE(Fails(refused, Code::kFailedPrecondition));
  EXPECT_NE(refused.error().message().find("schema 999"), std::string::npos);
  EXPECT_NE(refused.error().message().find(file_.string()), std::string::npos);
}
TEST_F(MigrateTest, AFileThatIsNoDatabaseIsRefusedAndNotTouched) {
  const std::string text(5000, 'x');
  std::ofstream(file_) << text;
  EXPECT_TRUE(Fails(SqliteStore::Open(file_), Code::kDataLoss));
  EXPECT_EQ(ReadFile(file_).value(), text);
}

}  // namespace
}  // namespace cml::store::testing
