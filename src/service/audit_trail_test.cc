#include "service/audit_trail.h"

#include <gtest/gtest.h>

#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

using namespace std::chrono_literals;
using store::testing::MemoryStore;

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{1'000'000s};
};

class AuditTrailTest : public ::testing::Test {
 protected:
  AuditEntry Entry(const std::string& target) {
    AuditEntry entry;
    entry.at = clock_.now;
    entry.action = "train_job.create";
    entry.target = target;
    entry.message = "signature is wrong";
    return entry;
  }
  std::vector<std::string> Lines() {
    std::vector<std::string> texts;
    for (const AuditLine& line : store_.ReadAudit({}).value()) texts.push_back(line.text);
    return texts;
  }
  void Break() { store_.FailNext(MemoryStore::FailWhen::kBefore, Error(Code::kUnavailable, "no space left")); }

  HandClock clock_;
  MemoryStore store_;
  AuditTrail trail_{store_, clock_};
};

TEST_F(AuditTrailTest, ALineThatCannotBeWrittenWaitsForTheNext) {
  EXPECT_TRUE(trail_.Writable().ok());
  Break();
  EXPECT_EQ(trail_.Write(Entry("one")).error().code(), Code::kUnavailable);
  EXPECT_EQ(trail_.waiting(), 1U);
  Break();
  EXPECT_EQ(trail_.Writable().error().code(), Code::kUnavailable) << "no change without a line";
  ASSERT_TRUE(trail_.Write(Entry("two")).ok());
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("one"), std::string::npos) << "in the order in which they happened";
  EXPECT_TRUE(trail_.Writable().ok());
}

TEST_F(AuditTrailTest, WhenTheStoreIsBackTheFirstQuestionWritesWhatWaits) {
  Break();
  ASSERT_FALSE(trail_.Write(Entry("one")).ok());
  EXPECT_TRUE(trail_.Writable().ok());
  EXPECT_EQ(Lines().size(), 1U);
}

TEST_F(AuditTrailTest, AFloodOfRefusalsIsTwoLinesAMinute) {
  for (int i = 0; i < 5000; ++i) trail_.Refused("address 192.0.2.1", Entry("a" + std::to_string(i)));
  trail_.Refused("address 192.0.2.2", Entry("b"));
  trail_.Flush();
  EXPECT_EQ(Lines().size(), 2U) << "the first of each at once";
  clock_.now += 61s;
  trail_.Flush();
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 3U) << "who came once has no sum";
  EXPECT_NE(lines[2].find("4999 more since"), std::string::npos) << lines[2];
  trail_.Refused("address 192.0.2.1", Entry("again"));
  EXPECT_EQ(Lines().size(), 4U);
}

TEST_F(AuditTrailTest, OfVeryManySendersTheRestSharesALine) {
  for (int i = 0; i < 10'000; ++i) trail_.Refused("address " + std::to_string(i), Entry("x"));
  trail_.Flush(AuditTrail::Which::kAll);
  EXPECT_LE(Lines().size(), AuditTrail::kMostSenders + 2);
  EXPECT_NE(Lines().back().find("more since"), std::string::npos);
}

}  // namespace
}  // namespace cml::service
