#include "core/quantity.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

TEST(QuantityTest, Cpu) {
  EXPECT_EQ(ParseCpu("cpu_limit", "4").value(), 4000);
  EXPECT_EQ(ParseCpu("cpu_limit", "0.5").value(), 500);
  EXPECT_EQ(ParseCpu("cpu_limit", ".25").value(), 250);
  EXPECT_EQ(ParseCpu("cpu_limit", "5.").value(), 5000);
  for (const char* bad : {"", "0", "0.00", "-1", "1.234", "4\n", "four", "1e3", ".", "\xd9\xa4", "9999999999999999"}) {
    const auto r = ParseCpu("cpu_limit", bad);
    ASSERT_FALSE(r.ok()) << bad;
    EXPECT_EQ(r.error().code(), Code::kInvalidArgument);
    EXPECT_TRUE(r.error().message().starts_with("cpu_limit ")) << r.error().message();
  }
  EXPECT_EQ(FormatCpu(500), "0.5");
  EXPECT_EQ(FormatCpu(4000), "4");
}

TEST(QuantityTest, Memory) {
  EXPECT_EQ(ParseMemory("memory_limit", "8G").value(), 8LL << 30);
  EXPECT_EQ(ParseMemory("memory_limit", "1.5M").value(), 3LL << 19);
  EXPECT_EQ(ParseMemory("memory_limit", "512Ki").value(), 512LL << 10);
  for (const char* bad : {"", "8", "8GB", "G", "0G", "1.234G", "8 G", "8G\n", "-8G", "99999999999999999T"}) {
    EXPECT_FALSE(ParseMemory("memory_limit", bad).ok()) << bad;
  }
  EXPECT_EQ(FormatMemory(8LL << 30), "8G");
  EXPECT_EQ(FormatMemory(3LL << 29), "1.5G");
  EXPECT_EQ(FormatMemory(512), "0.5K");
}

}  // namespace
}  // namespace cml
