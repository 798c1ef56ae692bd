#include "net/address_rules.h"

#include <gtest/gtest.h>

#include <vector>

namespace cml::net {
namespace {

bool Open(const char* text, std::vector<AddressRange> allow = {}) {
  const auto address = ParseAddress(text);
  EXPECT_TRUE(address) << text;
  return address && MayConnect(*address, allow);
}

TEST(AddressRulesTest, PublicAddressesAreOpen) {
  for (const char* a : {"8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1",
                        "2606:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"}) {
    EXPECT_TRUE(Open(a)) << a;
  }
}

TEST(AddressRulesTest, WhatIsNotPublicIsClosed) {
  for (const char* a : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.0.1", "10.0.0.1",
                        "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192",
                        "168.63.129.16", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "198.18.0.1",
                        "::", "::1", "fe80::1", "fec0::1", "fd00:ec2::254", "fc00::1", "ff02::1", "::127.0.0.1",
                        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "64:ff9b::7f00:1",
                        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1"}) {
    EXPECT_FALSE(Open(a)) << a;
  }
}

TEST(AddressRulesTest, AnAdministratorMayOpenRanges) {
  const std::vector<AddressRange> allow = {*ParseAddressRange("127.0.0.0/8"), *ParseAddressRange("10.1.2.3"),
                                           *ParseAddressRange("fd00::/8")};
  EXPECT_TRUE(Open("127.0.0.1", allow));
  EXPECT_TRUE(Open("::ffff:127.0.0.1", allow)) << "the same machine in other clothes";
  EXPECT_TRUE(Open("10.1.2.3", allow));
  EXPECT_FALSE(Open("10.1.2.4", allow));
  EXPECT_TRUE(Open("fd12::1", allow));
  EXPECT_FALSE(Open("fe80::1", allow));
  EXPECT_FALSE(Open("::1", allow));
}

TEST(AddressRulesTest, WhatIsNoRangeIsRefused) {
  for (const char* text : {"", "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "::/129", "fe80::1%eth0", "[::1]", "010.1.1.1"}) {
    EXPECT_FALSE(ParseAddressRange(text)) << text;
  }
}

}  // namespace
}  // namespace cml::net
