// Limits that hold, each broken by a real job.
#include <gtest/gtest.h>

#include "backends/local/local_test_support.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

class LimitsOfARun : public LocalBackendTest {
 protected:
  static RunSpec Python(const std::string& program) { return Command({"python3", "-c", program}); }
  // Groups are named by the run.
  bool NothingIsLeft() {
    const auto record = ReadReplica(options_.data / "status" / (ToString(key_) + ".worker-0"));
    EXPECT_TRUE(record &&
                (record->cgroups.empty() == (Backend().cgroup_mode() == CgroupMode::kNone)));
    if (!record) return false;
    EXPECT_TRUE(Backend().Remove(key_, In(std::chrono::seconds(5))).ok());
    bool nothing = true;
    for (const auto& folder : record->cgroups)
      nothing = nothing && !std::filesystem::exists(folder);
    return nothing;
  }
};

TEST_F(LimitsOfARun, MemoryKillsTheWholeJobAndSaysSo) {
  RunSpec spec = Python(
      "import os, time\n"
      "if os.fork() == 0:\n  x = bytearray(300 << 20); print('survived')\n"
      "time.sleep(1000)\n");  // the parent would wait for ever
  spec.roles[0].limits.memory_bytes = 64 * kMiB;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "OutOfMemory") << status.message;
  EXPECT_EQ(status.replicas[0].exit_code, 137);
  EXPECT_EQ(status.message.find("out of memory: killed at the limit of 64 MiB, peak "), 0U)
      << status.message;
  EXPECT_EQ(Log(key_), "");
}

TEST_F(LimitsOfARun, MemoryWithinTheLimitIsFine) {
  RunSpec spec = Python("x = bytearray(40 << 20); print(len(x))");
  spec.roles[0].limits.memory_bytes = 128 * kMiB;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_GT(status.replicas[0].usage.memory_peak, 40 * kMiB);
}

constexpr const char* kBomb =
    "import os, signal\n"
    "n = 0\n"
    "try:\n"
    "  while n < 500:\n"
    "    if os.fork() == 0: signal.pause()\n"
    "    n += 1\n"
    "except OSError as e: print('stopped', n < 40)\n";

TEST_F(LimitsOfARun, AProcessBombStaysSmall) {
  RunSpec spec = Python(kBomb);
  spec.roles[0].limits.processes = 20;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(Log(key_), "stopped True\n");
}

TEST_F(LimitsOfARun, ProcessorQuotaHolds) {
  RunSpec spec = Python(
      "import time\n"
      "end = time.monotonic() + 1.0\n"
      "while time.monotonic() < end: pass\n"
      "print(time.process_time() < 0.6)\n");
  spec.roles[0].limits.millicores = 250;
  options_.cgroups = CgroupChoice::kBest;
  if (Backend().cgroup_mode() == CgroupMode::kNone)
    GTEST_SKIP() << "no control group can be written here";
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(Log(key_), "True\n");
  EXPECT_GT(status.replicas[0].usage.cpu_millis, 50);
  EXPECT_LT(status.replicas[0].usage.cpu_millis, 900);
}

TEST_F(LimitsOfARun, TheWorkingDirectoryIsBounded) {
  RunSpec spec =
      Script("for i in $(seq 40); do head -c 1000000 /dev/zero > $i; done; echo full; sleep 1000");
  spec.roles[0].limits.disk_bytes = 8 * kMiB;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "DiskLimit");
  EXPECT_EQ(status.message.find("killed at the disk limit of 8 MiB: its working directory held"),
            0U)
      << status.message;
}

TEST_F(LimitsOfARun, OneFileCannotGrowPastTheDiskLimit) {
  RunSpec spec = Script("set -e; head -c 100000000 /dev/zero > file; echo never");
  spec.roles[0].limits.disk_bytes = 8 * kMiB;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.reason, "DiskLimit");
  EXPECT_NE(status.message.find("disk limit of 8 MiB"), std::string::npos) << status.message;
  const auto file = options_.data / "runs" / ToString(key_) / "worker-0" / "work" / "file";
  std::error_code ec;
  EXPECT_LE(std::filesystem::file_size(file, ec), static_cast<std::uintmax_t>(8 * kMiB));
}

TEST_F(LimitsOfARun, WallTimeEndsIt) {
  RunSpec spec = Script("trap 'echo was asked; exit 0' TERM; echo started; sleep 1000 & wait");
  spec.wall_seconds = 1;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "WallTimeLimit");
  EXPECT_EQ(status.message, "ended at its wall-time limit of 1.0s");
  EXPECT_EQ(Log(key_), "started\nwas asked\n");
}

TEST_F(LimitsOfARun, GroupsAreGoneWhenTheRunIsRemoved) {
  (void)RunToEnd(Command({"true"}));
  EXPECT_TRUE(NothingIsLeft());
}

// The weaker mode: no control group.
class LimitsWithoutGroups : public LimitsOfARun {
 protected:
  LimitsWithoutGroups() { options_.cgroups = CgroupChoice::kNone; }
};

TEST_F(LimitsWithoutGroups, MemoryIsSampled) {
  RunSpec spec = Python("x = bytearray(300 << 20); import time; time.sleep(1000)");
  spec.roles[0].limits.memory_bytes = 64 * kMiB;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.reason, "OutOfMemory") << status.message;
  EXPECT_EQ(status.replicas[0].exit_code, 137);
}

TEST_F(LimitsWithoutGroups, ProcessorsAreBoundByAffinity) {
  RunSpec spec = Python("import os; print(len(os.sched_getaffinity(0)))");
  spec.roles[0].limits.millicores = 500;
  EXPECT_EQ(RunToEnd(spec).state, RunState::kSucceeded);
  EXPECT_EQ(Log(key_), "1\n");
}

TEST_F(LimitsWithoutGroups, AProcessBombStaysSmall) {
  RunSpec spec = Python(kBomb);
  spec.roles[0].limits.processes = 20;
  EXPECT_EQ(RunToEnd(spec).state, RunState::kSucceeded);
  EXPECT_EQ(Log(key_), "stopped True\n");
}

TEST_F(LimitsWithoutGroups, DaemonsEndAllTheSame) {
  const RunStatus status = RunToEnd(Script("setsid sh -c 'setsid sleep 100000 &'; echo done"));
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(Log(key_), "done\n");
}

}  // namespace
}  // namespace cml::backends::local
