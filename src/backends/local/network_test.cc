#include "backends/local/network.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local/local_test_support.h"
#include "backends/local/network_files.h"

namespace cml::backends::local {
namespace {

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string obstacle = NetworkObstacle(); !obstacle.empty()) {
      FAIL() << "tools/install_packages.sh brings what is missing: " << obstacle;
    }
  }
  static ino_t NamespaceIn(const std::filesystem::path& folder) {
    auto entry = OpenNetwork(folder);
    EXPECT_TRUE(entry.ok()) << entry.error().message();
    struct stat st {};
    if (entry.ok()) {
      EXPECT_EQ(::fstat(entry.value().net.get(), &st), 0);
    }
    return st.st_ino;
  }
  TempFolder folder_;
};

TEST_F(NetworkTest, EachOrganisationHasItsOwnAndKeepsIt) {
  OrgNetworks networks(folder_.path(), TestLauncher());
  const auto first = networks.For(OrgId{"1"});
  ASSERT_TRUE(first.ok()) << first.error().message();
  const auto second = networks.For(OrgId{"2"});
  ASSERT_TRUE(second.ok()) << second.error().message();
  const ino_t one = NamespaceIn(first.value());
  EXPECT_NE(one, NamespaceIn(second.value()));
  EXPECT_EQ(networks.For(OrgId{"1"}).value(), first.value());
  EXPECT_EQ(one, NamespaceIn(first.value()));
  struct stat ours {};
  ASSERT_EQ(::stat("/proc/self/ns/net", &ours), 0);
  EXPECT_NE(one, ours.st_ino);
}

TEST_F(NetworkTest, IsFoundAgainWhileSomebodyHoldsIt) {
  NetworkEntry held;
  std::filesystem::path folder;
  {
    OrgNetworks networks(folder_.path(), TestLauncher());
    const auto made = networks.For(OrgId{"1"});
    ASSERT_TRUE(made.ok()) << made.error().message();
    folder = made.value();
    auto entry = OpenNetwork(folder);
    ASSERT_TRUE(entry.ok());
    held = std::move(entry).value();
  }
  const auto holder = ReadHolder(folder);
  ASSERT_TRUE(holder.has_value());
  OrgNetworks networks(folder_.path(), TestLauncher());
  ASSERT_TRUE(networks.For(OrgId{"1"}).ok());
  EXPECT_EQ(ReadHolder(folder)->pid, holder->pid);
}

TEST_F(NetworkTest, AStrangeProcessIsNoHolder) {
  ASSERT_TRUE(WriteHolder(folder_.path(), {::getpid(), StartOfProcess(::getpid()) + 1, ""}).ok());
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / kNetworkLock, "").ok());
  const auto entry = OpenNetwork(folder_.path());
  ASSERT_FALSE(entry.ok());
  EXPECT_EQ(entry.error().code(), Code::kUnavailable);
}

TEST_F(NetworkTest, TheHolderFileComesBackAsItWas) {
  ASSERT_TRUE(WriteHolder(folder_.path(), {12, 34, "no pipe\nat all"}).ok());
  const auto read = ReadHolder(folder_.path());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->pid, 12);
  EXPECT_EQ(read->started, 34);
  EXPECT_EQ(read->failure, "no pipe\nat all");
  RemoveHolder(folder_.path());
  EXPECT_FALSE(ReadHolder(folder_.path()).has_value());
}

}  // namespace
}  // namespace cml::backends::local
