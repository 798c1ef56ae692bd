#include "backends/local/cgroup.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"

namespace cml::backends::local {
namespace {
namespace fs = std::filesystem;

// A tree of plain files where the kernel's would be: folders have to be there with their files,
// since nobody makes them here.
class CgroupTree : public ::testing::Test {
 protected:
  void Write(const fs::path& file, const std::string& text) {
    ASSERT_TRUE(MakeFolders((top_ / file).parent_path()).ok());
    ASSERT_TRUE(WriteFileAtomically(top_ / file, text).ok());
  }
  std::string Read(const fs::path& file) {
    auto text = ReadFile(top_ / file);
    return text.ok() ? text.value() : "(none)";
  }
  void V2Group(const fs::path& group, const std::string& procs = "") {
    Write(group / "cgroup.procs", procs);
    Write(group / "cgroup.subtree_control", "cpu memory pids\n");
    for (const char* file :
         {"cpu.max", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max"}) {
      Write(group / file, "");
    }
  }
  CgroupSources Sources(const std::string& self, const std::string& mounts) {
    Write("self", self);
    Write("mounts", mounts);
    return {top_ / "self", top_ / "mounts", false};
  }
  CgroupSources V2() {
    return Sources(
        "0::/system.slice/cloudml.service\n",
        "30 23 0:26 / " + (top_ / "fs").string() + " rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
  }

  TempFolder folder_;
  const fs::path top_ = folder_.path();
};

TEST_F(CgroupTree, Version2LimitsAndCounts) {
  const fs::path own = "fs/system.slice/cloudml.service";
  V2Group(own);
  V2Group(own / "cloudml-1");
  V2Group(own / "cloudml-1/run");
  const CgroupParent parent = MakeCgroupParent(V2(), "cloudml-1");
  ASSERT_EQ(parent.mode, CgroupMode::kV2);
  EXPECT_EQ(parent.folders, std::vector<fs::path>{top_ / own / "cloudml-1"});

  Limits limits;
  limits.millicores = 2'500;
  limits.memory_bytes = 8LL << 30;
  limits.processes = 100;
  const auto group = Cgroup::Make(parent, "run", limits);
  ASSERT_TRUE(group.ok()) << group.error().message();
  const fs::path run = own / "cloudml-1/run";
  EXPECT_EQ(Read(run / "cpu.max").substr(0, 13), "250000 100000");
  EXPECT_EQ(Read(run / "memory.max").substr(0, 10), "8589934592");
  EXPECT_EQ(Read(run / "memory.swap.max").substr(0, 1), "0");
  EXPECT_EQ(Read(run / "memory.oom.group").substr(0, 1), "1");
  EXPECT_EQ(Read(run / "pids.max").substr(0, 3), "103");
  EXPECT_EQ(group.value().Doors().value().size(), 1U);
  EXPECT_TRUE(group.value().limits_memory());

  Write(run / "cpu.stat", "usage_usec 1234567\nuser_usec 1\n");
  Write(run / "memory.current", "5000\n");
  Write(run / "memory.stat", "anon 1\ninactive_file 1000\n");
  Write(run / "memory.peak", "9000\n");
  Write(run / "memory.events", "low 0\noom 2\noom_kill 1\n");
  const CgroupUsage usage = group.value().Usage();
  EXPECT_EQ(usage.cpu_millis, 1'234);
  EXPECT_EQ(usage.memory_bytes, 4'000);
  EXPECT_EQ(usage.memory_peak, 9'000);
  EXPECT_EQ(usage.oom_kills, 1);
  EXPECT_EQ(Cgroup::At(group.value().folders()).mode(), CgroupMode::kV2);
}

TEST_F(CgroupTree, Version2MovesTheServerOutOfTheWay) {
  const fs::path own = "fs/system.slice/cloudml.service";
  V2Group(own, std::to_string(::getpid()) + "\n");
  Write(own / "cgroup.subtree_control", "");  // stays empty, as if the kernel said "busy"
  V2Group(own / "cloudml-server");
  const CgroupParent parent = MakeCgroupParent(V2(), "cloudml-1");
  EXPECT_EQ(parent.mode, CgroupMode::kNone) << "still no controller: the weaker mode";
  EXPECT_EQ(Read(own / "cloudml-server/cgroup.procs"), std::to_string(::getpid()));
}

TEST_F(CgroupTree, Version2LeavesStrangersAlone) {
  const fs::path own = "fs/system.slice/cloudml.service";
  V2Group(own, "1\n" + std::to_string(::getpid()) + "\n");
  Write(own / "cgroup.subtree_control", "");
  V2Group(own / "cloudml-server");
  EXPECT_EQ(MakeCgroupParent(V2(), "cloudml-1").mode, CgroupMode::kNone);
  EXPECT_EQ(Read(own / "cloudml-server/cgroup.procs"), "");
}

TEST_F(CgroupTree, HybridMachinesUseVersion1) {
  const std::string fs_top = (top_ / "fs").string();
  const auto mount = [&](const std::string& name, const std::string& type,
                         const std::string& super) {
    return "30 23 0:26 / " + fs_top + "/" + name + " rw - " + type + " cgroup rw," + super + "\n";
  };
  const CgroupSources sources =
      Sources("5:memory:/user/me\n4:cpu,cpuacct:/\n2:pids:/\n0::/user/me\n",
              mount("unified", "cgroup2", "nsdelegate") + mount("memory", "cgroup", "memory") +
                  mount("cpu,cpuacct", "cgroup", "cpu,cpuacct") + mount("pids", "cgroup", "pids"));
  for (const char* group : {"fs/memory/user/me/c", "fs/cpu,cpuacct/c"})
    Write(fs::path(group) / "cgroup.procs", "");
  const CgroupParent parent = MakeCgroupParent(sources, "c");
  ASSERT_EQ(parent.mode, CgroupMode::kV1);
  ASSERT_EQ(parent.folders.size(), 4U);
  EXPECT_EQ(parent.folders[0], top_ / "fs/cpu,cpuacct/c");
  EXPECT_EQ(parent.folders[1], parent.folders[0]);
  EXPECT_EQ(parent.folders[2], top_ / "fs/memory/user/me/c");
  EXPECT_TRUE(parent.folders[3].empty()) << "pids cannot be written";
}

TEST_F(CgroupTree, TheServersOwnLimitsBoundTheMachine) {
  const fs::path own = "fs/system.slice/cloudml.service";
  V2Group(own);
  V2Group("fs/system.slice");
  Write(own / "memory.max", "max\n");
  Write("fs/system.slice/memory.max", "4294967296\n");
  Write(own / "cpu.max", "150000 100000\n");
  Write("fs/system.slice/cpu.max", "max 100000\n");
  const OwnLimits limits = ReadOwnLimits(V2());
  EXPECT_EQ(limits.memory_bytes, 4LL << 30);
  EXPECT_EQ(limits.millicores, 1'500);
}

TEST_F(CgroupTree, NoHierarchyIsTheWeakerMode) {
  EXPECT_EQ(MakeCgroupParent(Sources("", ""), "c").mode, CgroupMode::kNone);
  const Cgroup none;
  EXPECT_TRUE(none.Empty());
  EXPECT_TRUE(none.Kill(std::chrono::milliseconds(1)).ok());
  EXPECT_TRUE(none.Doors().value().empty());
}

TEST(CgroupOfThisMachine, KillsWhatIsInIt) {
  const CgroupParent parent = MakeCgroupParent({}, "cloudml-test-" + std::to_string(::getpid()));
  if (parent.mode == CgroupMode::kNone) GTEST_SKIP() << "no control group can be written here";
  const auto group = Cgroup::Make(parent, "run", {});
  ASSERT_TRUE(group.ok()) << group.error().message();
  const auto doors = group.value().Doors();
  ASSERT_TRUE(doors.ok());
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& door : doors.value()) {
      if (::write(door.get(), "0", 1) != 1) ::_exit(1);
    }
    while (true) ::pause();
  }
  while (group.value().Empty()) std::this_thread::yield();
  // Kill waits for the group to be empty, so somebody has to reap.
  std::jthread reaper([child] { ::waitpid(child, nullptr, 0); });
  EXPECT_TRUE(group.value().Kill(std::chrono::seconds(5)).ok());
  EXPECT_TRUE(group.value().Empty());
  EXPECT_TRUE(group.value().Remove(std::chrono::seconds(5)).ok());
  RemoveCgroupParent(parent);
  EXPECT_FALSE(
      fs::exists(parent.folders.back().empty() ? parent.folders[2] : parent.folders.back()));
}

}  // namespace
}  // namespace cml::backends::local
