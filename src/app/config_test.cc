#include "app/config.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace cml::app {
namespace {

Status Read(const std::string& text, Config& config) {
  const TempFolder folder;
  EXPECT_TRUE(WriteFileAtomically(folder.path() / "c.yaml", text).ok());
  return ReadConfig(folder.path() / "c.yaml", config);
}

TEST(ConfigTest, ReadsEverySetting) {
  Config c;
  const Status s = Read(R"(
listen: "[::1]:9000"
public_endpoints: [cloud.example.com]
package_hosts: ["store:9000"]
default_cpu: 2
default_memory: 4G
default_quota: {train_gpu_quota: 8, train_memory_quota: 64G, tensorboard_quota: 2, total_cpu_quota: INF}
capacity_cpu: 8
capacity_memory: 16G
fake_gpus: 4
node_name: here
node_labels: {rack: r1}
environments_folder: /srv/environments
first_uid: 300000
log_level: debug
)", c);
  ASSERT_TRUE(s.ok()) << s.error().message();
  EXPECT_EQ(c.listen_address, "::1");
  EXPECT_EQ(c.listen_port, 9000);
  EXPECT_EQ(c.public_endpoints, std::vector<std::string>{"cloud.example.com"});
  EXPECT_EQ(c.default_memory, "4G");
  EXPECT_EQ(c.default_quota.of(QuotaGroup::kTrain).gpus, 8);
  EXPECT_EQ(c.default_quota.of(QuotaGroup::kTrain).memory_bytes, 64LL << 30);
  EXPECT_EQ(c.default_quota.of(QuotaGroup::kTensorboard).count, 2);
  EXPECT_EQ(c.default_quota.total.millicores, std::nullopt);
  EXPECT_EQ(c.capacity.millicores, 8000);
  EXPECT_EQ(c.capacity.memory_bytes, 16LL << 30);
  EXPECT_EQ(c.fake_gpus, 4);
  EXPECT_EQ(c.node_labels.at("rack"), "r1");
  EXPECT_EQ(c.first_uid, 300000);
  EXPECT_EQ(c.log_level, LogLevel::kDebug);
}

TEST(ConfigTest, WhatItDoesNotKnowIsNamed) {
  Config c;
  for (const auto& [text, named] : {std::pair{"defualt_cpu: 2", "defualt_cpu"}, {"default_cpu: many", "default_cpu"},
                                    {"fake_gpus: -1", "fake_gpus"}, {"log_level: loud", "log_level"},
                                    {"default_quota: {train_gpus: 1}", "default_quota.train_gpus"},
                                    {"default_quota: {train_gpu_quota: x}", "default_quota.train_gpu_quota"},
                                    {"public_endpoints: x", "public_endpoints"}, {"a: [", "line"}, {"[]", "keys"}}) {
    const Status s = Read(text, c);
    ASSERT_FALSE(s.ok()) << text;
    EXPECT_NE(s.error().message().find(named), std::string::npos) << s.error().message();
  }
  EXPECT_TRUE(Read("", c).ok());
}

TEST(ConfigTest, ListenAddresses) {
  Config c;
  ASSERT_TRUE(ParseListen(":0", c).ok());
  EXPECT_EQ(c.listen_address, "0.0.0.0");
  for (const char* bad : {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"}) EXPECT_FALSE(ParseListen(bad, c).ok()) << bad;
}

}  // namespace
}  // namespace cml::app
