#include "app/endpoints.h"

#include <gtest/gtest.h>

namespace cml::app {
namespace {

TEST(EndpointsTest, HostAndPortOfEveryForm) {
  EXPECT_EQ(HostAndPort("http://127.0.0.1:8089/"), "127.0.0.1:8089");
  EXPECT_EQ(HostAndPort("https://Store.example.com"), "store.example.com:443");
  EXPECT_EQ(HostAndPort("http://store.example.com/x"), "store.example.com:80");
  EXPECT_EQ(HostAndPort("store:9000"), "store:9000");
  EXPECT_EQ(HostAndPort("http://[::1]:80"), "[::1]:80");
  EXPECT_EQ(HostAndPort("http://[::1]"), "[::1]:80");
}

TEST(EndpointsTest, OnlyOursAndAllowedOnes) {
  const KnownEndpoints known{{"127.0.0.1:8089"}, {"cnbj1.fds.api.xiaomi.com"}};
  EXPECT_EQ(PackageEndpoint(known, "http://127.0.0.1:8089").value(), "");
  EXPECT_EQ(PackageEndpoint(known, "cnbj1.fds.api.xiaomi.com").value(), "cnbj1.fds.api.xiaomi.com");
  EXPECT_EQ(PackageEndpoint(known, "169.254.169.254").error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace cml::app
