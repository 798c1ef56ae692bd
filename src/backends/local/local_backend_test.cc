#include "backends/local/local_backend.h"

#include <gtest/gtest.h>

#include "backends/local/local_test_support.h"

namespace cml::backends::local {
namespace {

TEST_F(LocalBackendTest, ACommandRunsAndItsOutputIsTheLog) {
  const RunStatus status = RunToEnd(Command({"echo", "hello"}));
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(status.reason, "Completed");
  ASSERT_EQ(status.replicas.size(), 1U);
  EXPECT_EQ(status.replicas[0].exit_code, 0);
  EXPECT_EQ(Log(key_), "hello\n");
}

}  // namespace
}  // namespace cml::backends::local
