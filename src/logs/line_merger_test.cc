#include "logs/line_merger.h"

#include <gtest/gtest.h>

namespace cml::logs {
namespace {

class LineMergerTest : public ::testing::Test {
 protected:
  LineMerger Of(const std::string& name) {
    return {LogWriter::Open(file_, 1 << 20).value(), name};
  }
  std::string Text() { return ReadLog(file_).value(); }
  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "all.log";
};

TEST_F(LineMergerTest, LinesAreWholeAndInOrder) {
  LineMerger a = Of("a"), b = Of("b");
  a.Add("on");
  b.Add("first\n");
  a.Add("e\ntw");
  b.Add("\n");
  a.Add("o\nrest");
  EXPECT_EQ(Text(), "b: first\na: one\nb: \na: two\n");
  a.EndLine();
  a.EndLine();
  EXPECT_EQ(Text(), "b: first\na: one\nb: \na: two\na: rest\n");
}

TEST_F(LineMergerTest, ALineWithoutEndIsBroken) {
  LineMerger a = Of("a");
  a.Add(std::string(40 * 1024, 'x'));
  EXPECT_EQ(Text(), "a: " + std::string(16 * 1024, 'x') + "\na: " + std::string(16 * 1024, 'x') + "\n");
  a.EndLine();
  EXPECT_EQ(Text().size(), 40U * 1024 + 3 * 4);
}

}  // namespace
}  // namespace cml::logs
