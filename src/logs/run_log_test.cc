#include "logs/run_log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace cml::logs {
namespace {

class RunLog : public ::testing::Test {
 protected:
  void Write(std::string_view text) { std::ofstream(path_, std::ios::app) << text; }
  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "worker-0.log";
};

TEST_F(RunLog, WriterMakesFoldersAndKeepsTheLogToItsOwner) {
  const auto path = folder_.path() / "job" / "1" / "worker-0.log";
  auto writer = LogWriter::Open(path, 1 << 20);
  ASSERT_TRUE(writer.ok());
  auto w = std::move(writer).value();
  ASSERT_TRUE(w.Append("one\n").ok());
  ASSERT_TRUE(w.Append("two").ok());
  EXPECT_EQ(ReadLog(path).value(), "one\ntwo");
  struct stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST_F(RunLog, ReopenedWriterGoesOnAtTheEnd) {
  for (const char* text : {"a\n", "b\n"}) {
    auto w = std::move(LogWriter::Open(path_, 1 << 20)).value();
    ASSERT_TRUE(w.Append(text).ok());
  }
  EXPECT_EQ(ReadLog(path_).value(), "a\nb\n");
}

TEST_F(RunLog, StopsAtItsCapWithOneLineThatSaysSo) {
  constexpr std::uint64_t kMost = 1024;
  auto w = std::move(LogWriter::Open(path_, kMost)).value();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(w.Append("line " + std::to_string(i) + "\n").ok());
  const std::string all = ReadLog(path_).value();
  EXPECT_LE(all.size(), kMost);
  EXPECT_GT(all.size(), kMost - 100);
  EXPECT_EQ(
      all.rfind("[the log ends here: it reached its limit of 1 KiB]\n"),
      all.size() - std::string("[the log ends here: it reached its limit of 1 KiB]\n").size());
  EXPECT_EQ(all[all.rfind('[') - 1], '\n') << "the notice is a line of its own";
  auto again = std::move(LogWriter::Open(path_, kMost)).value();
  ASSERT_TRUE(again.Append("more\n").ok());
  EXPECT_EQ(ReadLog(path_).value(), all);
}

TEST_F(RunLog, AnAbsentLogReadsAsEmpty) {
  EXPECT_EQ(ReadLog(path_).value(), "");
  EXPECT_EQ(ReadLastLines(path_, 3).value(), "");
  EXPECT_EQ(OffsetOfLastLines(path_, 3).value(), 0U);
}

TEST_F(RunLog, LastLinesAreExact) {
  Write("1\n2\n\n4\n");
  EXPECT_EQ(ReadLastLines(path_, 0).value(), "");
  EXPECT_EQ(ReadLastLines(path_, 1).value(), "4\n");
  EXPECT_EQ(ReadLastLines(path_, 2).value(), "\n4\n");
  EXPECT_EQ(ReadLastLines(path_, 4).value(), "1\n2\n\n4\n");
  EXPECT_EQ(ReadLastLines(path_, 99).value(), "1\n2\n\n4\n");
  Write("half");  // a line that is still being written counts
  EXPECT_EQ(ReadLastLines(path_, 1).value(), "half");
  EXPECT_EQ(ReadLastLines(path_, 2).value(), "4\nhalf");
}

TEST_F(RunLog, LastLinesOfALongLogAreFoundAcrossBlocks) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "line " + std::to_string(i) + "\n";
  text += std::string(200'000, 'x') + "\n";
  Write(text);
  EXPECT_EQ(ReadLastLines(path_, 1).value().size(), 200'001U);
  EXPECT_EQ(ReadLastLines(path_, 2).value().substr(0, 11), "line 49999\n");
  EXPECT_EQ(ReadLog(path_, 10).value(), "xxxxxxxxx\n");
}

TEST_F(RunLog, FollowerSeesALogFromBeforeItsBirthToItsEnd) {
  LogFollower follower(path_);
  EXPECT_EQ(follower.Next().value(), "");
  Write("one\ntwo\n");
  EXPECT_EQ(follower.Next(4).value(), "one\n");
  EXPECT_EQ(follower.Next().value(), "two\n");
  EXPECT_EQ(follower.Next().value(), "");
  Write("three\n");
  EXPECT_EQ(follower.Next().value(), "three\n");
  EXPECT_EQ(follower.offset(), 14U);
  LogFollower late(path_, OffsetOfLastLines(path_, 1).value());
  EXPECT_EQ(late.Next().value(), "three\n");
}

}  // namespace
}  // namespace cml::logs
