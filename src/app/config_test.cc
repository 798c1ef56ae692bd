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
http: {max_connections: 100, max_connections_per_address: 10, max_head_bytes: 8192, head_seconds: 5,
       body_seconds: 6, idle_seconds: 7, write_seconds: 8, min_bytes_per_second: 9}
tls: {certificate: /c.pem, key: /k.pem, client_ca: /a.pem, client_certificates: required, minimum: "1.3"}
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
  EXPECT_EQ(c.http.most_connections, 100U);
  EXPECT_EQ(c.http.most_per_address, 10U);
  EXPECT_EQ(c.http.most_head, 8192U);
  EXPECT_EQ(c.http.head_time, std::chrono::seconds(5));
  EXPECT_EQ(c.http.body_progress_time, std::chrono::seconds(6));
  EXPECT_EQ(c.http.idle_time, std::chrono::seconds(7));
  EXPECT_EQ(c.http.write_time, std::chrono::seconds(8));
  EXPECT_EQ(c.http.least_rate, 9U);
  ASSERT_TRUE(c.http.tls);
  EXPECT_EQ(c.http.tls->key, "/k.pem");
  EXPECT_EQ(c.http.tls->client_certificates, net::TlsOptions::ClientCertificates::kRequired);
  EXPECT_EQ(c.http.tls->minimum, net::TlsOptions::Minimum::kTls13);
}

TEST(ConfigTest, WhatItDoesNotKnowIsNamed) {
  Config c;
  for (const auto& [text, named] : {std::pair{"defualt_cpu: 2", "defualt_cpu"}, {"default_cpu: many", "default_cpu"},
                                    {"fake_gpus: -1", "fake_gpus"}, {"log_level: loud", "log_level"},
                                    {"public_endpoints: x", "public_endpoints"},
                                    {"tls: {certificate: c.pem}", "tls.key"}, {"tls: {key: k.pem}", "tls.certificate"},
                                    {"tls: {certificate: c, key: k, minimum: \"1.1\"}", "tls.minimum"},
                                    {"tls: {certificate: c, key: k, client_certificates: optional}", "tls.client_ca"},
                                    {"tls: {certificate: c, key: k, client_ca: a}", "tls.client_ca"},
                                    {"tls: {cert: c}", "tls.cert"}, {"tls: yes", "tls"}, {"http: {head_seconds: 0}", "http.head_seconds"},
                                    {"http: {max_connections: 0}", "http.max_connections"}, {"http: {x: 1}", "http.x"},
                                    {"default_quota: {train_gpus: 1}", "default_quota.train_gpus"},
                                    {"default_quota: {train_gpu_quota: x}", "default_quota.train_gpu_quota"},
                                    {"a: [", "line"}, {"[]", "keys"}}) {
    const Status s = Read(text, c);
    ASSERT_FALSE(s.ok()) << text;
    EXPECT_NE(s.error().message().find(named), std::string::npos) << s.error().message();
  }
  EXPECT_TRUE(Read("", c).ok());
}

TEST(ConfigTest, PricesAreReadWithTheirDays) {
  Config c;
  const Status s = Read(R"(
prices:
  currency: EUR
  list:
    - {resource: cpu, per_hour: 0.03, until: 2026-07-01}
    - {resource: cpu, per_hour: 0.04, from: 2026-07-01}
    - {resource: gpu, gpu: V100, per_hour: 1.2}
    - {resource: storage, per_month: 0.023}
)", c);
  ASSERT_TRUE(s.ok()) << s.error().message();
  EXPECT_EQ(c.prices.currency, "EUR");
  ASSERT_EQ(c.prices.prices.size(), 4U);
  EXPECT_EQ(c.prices.prices[0].micros, 30'000);
  EXPECT_EQ(FormatDay(*c.prices.prices[1].from), "2026-07-01");
  EXPECT_EQ(c.prices.prices[2].gpu, "v100");
  EXPECT_EQ(c.prices.prices[3].per, PricePer::kMonth);
}

TEST(ConfigTest, PricesThatMakeNoSenseStopTheStart) {
  const std::string head = "prices: {currency: EUR, list: [";
  for (const auto& [list, named] :
       {std::pair{"{resource: cpu, per_hour: 1, until: 2026-06-30}, {resource: cpu, per_hour: 2, from: 2026-07-01}",
                  "no price holds from 2026-06-30 to 2026-07-01"},
        {"{resource: cpu, per_hour: 1}, {resource: cpu, per_hour: 2, from: 2026-07-01}", "two prices hold on 2026-07-01"},
        {"{resource: tea, per_hour: 1}", "tea"}, {"{resource: cpu}", "per_hour"}, {"{per_hour: 1}", "resource"},
        {"{resource: cpu, per_hour: -1}", "-1"}, {"{resource: cpu, per_hour: 0.0000001}", "six decimals"},
        {"{resource: cpu, per_month: 1}", "per_month"}, {"{resource: cpu, per_hour: 1, from: yesterday}", "yesterday"},
        {"{resource: cpu, per_hour: 1, gpu: v100}", "gpu"}, {"{resource: cpu, per_hour: 1, colour: red}", "colour"}}) {
    Config c;
    const Status s = Read(head + list + "]}", c);
    ASSERT_FALSE(s.ok()) << list;
    EXPECT_NE(s.error().message().find(named), std::string::npos) << s.error().message();
    EXPECT_NE(s.error().message().find("prices"), std::string::npos) << s.error().message();
  }
  Config c;
  EXPECT_FALSE(Read("prices: {list: []}", c).ok()) << "without a currency";
  EXPECT_FALSE(Read("prices: 3", c).ok());
}

TEST(ConfigTest, ListenAddresses) {
  Config c;
  ASSERT_TRUE(ParseListen(":0", c).ok());
  EXPECT_EQ(c.listen_address, "0.0.0.0");
  for (const char* bad : {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"}) EXPECT_FALSE(ParseListen(bad, c).ok()) << bad;
}

}  // namespace
}  // namespace cml::app
