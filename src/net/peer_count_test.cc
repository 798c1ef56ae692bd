#include "net/peer_count.h"

#include <gtest/gtest.h>

#include <vector>

namespace cml::net {
namespace {

using boost::asio::ip::make_address;

TEST(PeerCountTest, OneAddressGetsSoManyAndNoMore) {
  PeerCount count(2);
  const auto a = make_address("10.0.0.1"), b = make_address("10.0.0.2");
  {
    const auto one = count.Enter(a), two = count.Enter(a);
    EXPECT_FALSE(one.over_limit());
    EXPECT_FALSE(two.over_limit());
    EXPECT_TRUE(count.Enter(a).over_limit());
    EXPECT_TRUE(count.Enter(a).over_limit());
    EXPECT_FALSE(count.Enter(b).over_limit());
  }
  EXPECT_FALSE(count.Enter(a).over_limit());
  EXPECT_EQ(count.addresses(), 0U);
}

TEST(PeerCountTest, NeighboursOfIpV6AreOne) {
  PeerCount count(1);
  const auto one = count.Enter(make_address("2001:db8::1"));
  EXPECT_TRUE(count.Enter(make_address("2001:db8::ffff")).over_limit());
  EXPECT_FALSE(count.Enter(make_address("2001:db8:0:1::1")).over_limit());
  const auto mapped = count.Enter(make_address("::ffff:10.0.0.1"));
  EXPECT_TRUE(count.Enter(make_address("10.0.0.1")).over_limit());
}

TEST(PeerCountTest, APlaceMovesAndIsGivenBackOnce) {
  PeerCount count(1);
  {
    PeerCount::Place first = count.Enter(make_address("10.0.0.1"));
    const PeerCount::Place second = std::move(first);
    EXPECT_TRUE(count.Enter(make_address("10.0.0.1")).over_limit());
  }
  EXPECT_EQ(count.addresses(), 0U);
}

TEST(PeerCountTest, ZeroIsNoLimit) {
  PeerCount count(0);
  std::vector<PeerCount::Place> places;
  for (int i = 0; i < 100; ++i) places.push_back(count.Enter(make_address("10.0.0.1")));
  EXPECT_FALSE(places.back().over_limit());
}

}  // namespace
}  // namespace cml::net
