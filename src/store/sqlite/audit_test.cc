// What is done to the audit behind the store's back is found.
#include <gtest/gtest.h>

#include "base/file.h"
#include "store/audit_chain.h"
#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_store.h"
#include "store/testing/values.h"

namespace cml::store::testing {
namespace {

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    const auto store = Open();
    for (int i = 1; i <= 5; ++i) EXPECT_TRUE(store->Commit(Audited("act " + std::to_string(i))).ok());
    EXPECT_EQ(store->VerifyAudit().value().wrong, 0U);
  }
  std::unique_ptr<Store> Open() {
    auto store = SqliteStore::Open(file_, key_);
    EXPECT_TRUE(store.ok());
    return std::move(store).value();
  }
  void Tamper(const std::string& sql) {
    const auto db = sqlite::Database::Open(file_, sqlite::Access::kWrite);
    ASSERT_TRUE(db.ok());
    ASSERT_TRUE(db.value()->Execute(sql.c_str()).ok()) << sql;
  }
  AuditVerdict Verify() { return Open()->VerifyAudit().value(); }

  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "store.db";
  const Secret key_{std::string(32, 'k')};
};

TEST_F(AuditTest, ALineThatWasAlteredIsNamed) {
  for (const char* column : {"line = line || ' '", "org = '2'", "at = at + 1"}) {
    Tamper(std::string("UPDATE audit SET ") + column + " WHERE seq = 3");
    const AuditVerdict verdict = Verify();
    EXPECT_EQ(verdict.wrong, 3U) << column;
    EXPECT_EQ(verdict.lines, 2U);
    EXPECT_NE(verdict.message.find("audit line 3 was altered"), std::string::npos) << verdict.message;
  }
}
TEST_F(AuditTest, ALineThatIsMissingIsNamed) {
  Tamper("DELETE FROM audit WHERE seq = 3");
  EXPECT_EQ(Verify().wrong, 3U);
  EXPECT_EQ(Verify().message, "audit line 3 is missing");
  Tamper("UPDATE audit SET seq = seq - 1 WHERE seq > 3");
  EXPECT_EQ(Verify().wrong, 3U) << "closing the gap does not help";
  Tamper("DELETE FROM audit WHERE seq = 1");
  EXPECT_EQ(Verify().wrong, 1U);
}
TEST_F(AuditTest, AnEndThatWasCutIsFoundWithTheHeadOrWithout) {
  Tamper("DELETE FROM audit WHERE seq > 3");
  EXPECT_EQ(Verify().wrong, 4U);
  EXPECT_NE(Verify().message.find("up to 5"), std::string::npos) << Verify().message;
  Tamper("UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)");
  EXPECT_EQ(Verify().wrong, 4U);
  EXPECT_NE(Verify().message.find("signature"), std::string::npos) << Verify().message;
  Tamper("UPDATE audit_head SET mac = ''");
  EXPECT_EQ(Verify().wrong, 4U);
  Tamper("DELETE FROM audit_head");
  EXPECT_NE(Verify().wrong, 0U);
  Tamper("DELETE FROM audit");
  EXPECT_EQ(Verify().wrong, 1U) << "emptied";
}
TEST_F(AuditTest, AChainThatWasMadeAnewWithoutTheKeyIsFound) {
  std::string before(FirstAuditHash());
  for (AuditLine line : Open()->ReadAudit({}).value()) {
    line.text = "{}";
    line.hash = AuditHash(before, line);
    before = line.hash;
    Tamper("UPDATE audit SET line = '{}', hash = '" + line.hash + "' WHERE seq = " + std::to_string(line.seq));
  }
  EXPECT_EQ(Verify().wrong, 5U);
  Tamper("UPDATE audit_head SET hash = '" + before + "'");
  EXPECT_EQ(Verify().wrong, 6U);
}
TEST_F(AuditTest, ALineThatWasAddedIsFound) {
  Tamper("INSERT INTO audit SELECT 6, at, org, line, hash FROM audit WHERE seq = 5");
  EXPECT_EQ(Verify().wrong, 6U);
}
TEST_F(AuditTest, WhatWasForgedIsNotMadeGoodByWhatFollows) {
  Tamper("DELETE FROM audit WHERE seq > 3");
  Tamper("UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)");
  {
    const auto store = Open();
    EXPECT_TRUE(store->Commit(Audited("later")).ok()) << "the platform goes on";
    EXPECT_EQ(store->ReadAudit({}).value().back().seq, 4U);
    EXPECT_NE(store->VerifyAudit().value().wrong, 0U);
  }
  EXPECT_NE(Verify().wrong, 0U);
}
TEST_F(AuditTest, TheAuditGoesOnBehindLinesThatTheHeadDoesNotKnow) {
  Tamper("DELETE FROM audit_head");
  const auto store = Open();
  EXPECT_TRUE(store->Commit(Audited("later")).ok());
  EXPECT_EQ(store->ReadAudit({}).value().back().seq, 6U);
  EXPECT_EQ(store->VerifyAudit().value().wrong, 7U) << "its end is not signed again";
}
TEST_F(AuditTest, AnotherKeyDoesNotVerify) {
  auto store = SqliteStore::Open(file_, Secret(std::string(32, 'x')));
  EXPECT_EQ(store.value()->VerifyAudit().value().wrong, 6U);
  auto unsigned_store = SqliteStore::Open(file_);
  EXPECT_EQ(unsigned_store.value()->VerifyAudit().value().wrong, 0U) << "without a key the chain alone is checked";
}
TEST_F(AuditTest, AnAuditFromTheFirstOpeningOnIsSignedEvenWhenItIsEmpty) {
  const auto store = SqliteStore::Open(folder_.path() / "new.db", key_);
  EXPECT_EQ(store.value()->VerifyAudit().value().wrong, 0U);
}

}  // namespace
}  // namespace cml::store::testing
