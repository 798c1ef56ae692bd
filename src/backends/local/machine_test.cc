#include "backends/local/machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "backends/local/disk_usage.h"
#include "backends/local/gpu.h"
#include "base/file.h"

namespace cml::backends::local {
namespace {

TEST(MachineTest, HasProcessorsMemoryAndAName) {
  const Machine machine = LookAtMachine({});
  EXPECT_GE(machine.millicores, 100);
  EXPECT_GT(machine.memory_bytes, 64 << 20);
  EXPECT_FALSE(machine.host_name.empty());
}

TEST(GpuTest, ModelIsTheWordThatTellsIt) {
  EXPECT_EQ(GpuModel("Tesla V100-SXM2-16GB"), "v100");
  EXPECT_EQ(GpuModel("Tesla K80"), "k80");
  EXPECT_EQ(GpuModel("NVIDIA A100-SXM4-80GB"), "a100");
  EXPECT_EQ(GpuModel("NVIDIA H100 80GB HBM3"), "h100");
  EXPECT_EQ(GpuModel("NVIDIA GeForce RTX 4090"), "rtx-4090");
  EXPECT_EQ(GpuModel("Quadro RTX 6000"), "rtx-6000");
  EXPECT_EQ(GpuModel("GeForce GTX 1080 Ti"), "gtx-1080");
}

TEST(GpuTest, CardsAreNamedByTheirUniqueIds) {
  EXPECT_EQ(VisibleDevices({}), "");
  EXPECT_EQ(VisibleDevices(FakeGpus(2)), "0,1");
  EXPECT_EQ(VisibleDevices({{3, "v100", "GPU-a"}, {1, "v100", "GPU-b"}}), "GPU-a,GPU-b");
  EXPECT_TRUE(GpuDevices(FakeGpus(2)).empty());
  EXPECT_EQ(GpuDevices({{3, "v100", "GPU-a"}}).front(), "/dev/nvidia3");
}

TEST(DiskUsageTest, CountsBlocksOnceAndFollowsNoLink) {
  const TempFolder folder;
  const auto work = folder.path() / "work";
  ASSERT_TRUE(MakeFolders(work / "a" / "b").ok());
  const auto write = [](const std::filesystem::path& path) {
    std::ofstream(path) << std::string(1 << 20, 'x');
  };
  write(folder.path() / "outside");
  write(work / "a" / "one");
  ASSERT_EQ(::link((work / "a" / "one").c_str(), (work / "a" / "b" / "same").c_str()), 0);
  ASSERT_EQ(::symlink(folder.path().c_str(), (work / "out").c_str()), 0);
  { const std::ofstream sparse(work / "sparse"); }
  ASSERT_EQ(::truncate((work / "sparse").c_str(), 1L << 30), 0);
  const std::int64_t bytes = DiskUsage({work}, 1LL << 40);
  EXPECT_GE(bytes, 1 << 20);
  EXPECT_LT(bytes, (1 << 20) + 100'000);
  EXPECT_GE(DiskUsage({work, folder.path() / "outside"}, 1LL << 40), 2 << 20);
  EXPECT_EQ(DiskUsage({folder.path() / "absent"}, 1), 0);
}

}  // namespace
}  // namespace cml::backends::local
