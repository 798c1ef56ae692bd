#include "base/process.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

using namespace std::chrono_literals;

TEST(ProcessTest, GivesOutputExitCodeAndLines) {
  std::vector<std::string> lines;
  const auto r = RunProcess({{"sh", "-c", "echo one; printf 'two\\rthree' >&2; exit 7"}, {}, {}}, 10s, {},
                            [&](std::string_view l) { lines.emplace_back(l); });
  ASSERT_TRUE(r.ok()) << r.error().message();
  EXPECT_EQ(r.value().exit_code, 7);
  EXPECT_EQ(r.value().output, "one\ntwo\rthree");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"}));
}

TEST(ProcessTest, TheChildSeesTheGivenEnvironmentAlone) {
  const auto r = RunProcess({{"/usr/bin/env"}, {{"A", "b"}}, {}}, 10s);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r.value().output, "A=b\n");
}

TEST(ProcessTest, TheDeadlineKillsTheWholeGroup) {
  const auto r = RunProcess({{"sh", "-c", "sleep 1000 & sleep 1000"}, {}, {}}, 50ms);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code(), Code::kDeadlineExceeded);
}

TEST(ProcessTest, AMissingProgramIsNamed) {
  const auto r = RunProcess({{"no-such-program"}, {}, {}}, 1s);
  ASSERT_FALSE(r.ok());
  EXPECT_NE(r.error().message().find("no-such-program"), std::string::npos);
}

}  // namespace
}  // namespace cml
