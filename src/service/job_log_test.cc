#include "service/job_log.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace cml::service {
namespace {

class JobLogTest : public ::testing::Test {
 protected:
  void Write(std::uint64_t run, std::string text) {
    ASSERT_TRUE(WriteFileAtomically(folder_.path() / std::to_string(run), text).ok());
  }
  JobLog Log() {
    return JobLog(ResourceId{"a"}, [this](const RunKey& key) { return folder_.path() / std::to_string(key.incarnation); });
  }
  TempFolder folder_;
};

TEST_F(JobLogTest, OneRunIsItsTextAsItIs) {
  Write(1, "one\ntwo\n");
  EXPECT_EQ(Log().All(1).value(), "one\ntwo\n");
  EXPECT_EQ(Log().LastLines(1, 1).value(), "two\n");
  EXPECT_EQ(Log().All(0).value(), "");
}

TEST_F(JobLogTest, LaterRunsFollowBehindALine) {
  Write(1, "one\n");
  Write(2, "two\nthree\n");
  EXPECT_EQ(Log().All(2).value(), "one\n==== run 2 of this job ====\ntwo\nthree\n");
  EXPECT_EQ(Log().LastLines(2, 2).value(), "two\nthree\n");
  EXPECT_EQ(Log().LastLines(2, 4).value(), "one\n==== run 2 of this job ====\ntwo\nthree\n");
}

TEST_F(JobLogTest, AFollowerSeesTheSameTextFromAnyOffset) {
  Write(1, "one\n");
  Write(2, "two\nthree\n");
  const std::string all = Log().All(2).value();
  for (std::uint64_t offset = 0; offset <= all.size(); ++offset) {
    JobLog log = Log();
    log.SeekTo(offset);
    std::string got;
    while (true) {
      const std::string piece = log.Next(2).value();
      if (piece.empty()) break;
      got += piece;
    }
    EXPECT_EQ(got, all.substr(offset)) << offset;
  }
}

TEST_F(JobLogTest, AFollowerThatStartsWithTheLastLinesSeesThoseLines) {
  Write(1, "one\nhalf");
  Write(2, "");
  Write(3, "two\nthree\n");
  const std::string all = Log().All(3).value();
  EXPECT_EQ(Log().Size(3).value(), all.size());
  for (std::uint64_t n = 1; n < 9; ++n) {
    EXPECT_EQ(all.substr(Log().OffsetOfLastLines(3, n).value()), Log().LastLines(3, n).value()) << n;
  }
}

TEST_F(JobLogTest, AFollowerWaitsForTheNextRun) {
  Write(1, "one\n");
  JobLog log = Log();
  EXPECT_EQ(log.Next(1).value(), "one\n");
  EXPECT_EQ(log.Next(1).value(), "");
  Write(2, "two\n");
  EXPECT_EQ(log.Next(2).value(), "==== run 2 of this job ====\n");
  EXPECT_EQ(log.Next(2).value(), "two\n");
}

}  // namespace
}  // namespace cml::service
