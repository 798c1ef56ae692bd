#include "control/port_book.h"

#include <gtest/gtest.h>

#include <set>

namespace cml::control {
namespace {

std::vector<Placement> Three() { return {{"a", {}}, {"a", {}}, {"b", {}}}; }

std::vector<Node> Nodes() {
  std::vector<Node> nodes(2);
  nodes[0].name = "a";
  nodes[0].address = "10.0.0.1";
  nodes[1].name = "b";
  nodes[1].address = "10.0.0.2";
  return nodes;
}

TEST(PortBookTest, NoTwoJobsShareAPortOfANode) {
  PortBook book;
  book.SetNodes(Nodes());
  std::set<std::pair<std::string, int>> seen;
  for (const char* id : {"x", "y", "z"}) {
    auto placements = Three();
    ASSERT_TRUE(book.Pick(ResourceId{id}, OrgId{"1"}, placements).ok());
    for (const Placement& p : placements) EXPECT_TRUE(seen.insert({p.node, p.port}).second);
    EXPECT_EQ(placements[0].host, "10.0.0.1");
    EXPECT_EQ(placements[2].host, "10.0.0.2");
  }
  EXPECT_EQ(book.held(), 9U);
  book.Leave(ResourceId{"y"});
  EXPECT_EQ(book.held(), 6U);
}

TEST(PortBookTest, AskedAgainItGivesTheSame) {
  PortBook book;
  auto first = Three(), second = Three();
  ASSERT_TRUE(book.Pick(ResourceId{"x"}, OrgId{"1"}, first).ok());
  ASSERT_TRUE(book.Pick(ResourceId{"x"}, OrgId{"1"}, second).ok());
  EXPECT_EQ(first, second);
  EXPECT_EQ(book.held(), 3U);
  std::vector<Placement> moved = {{"b", {}}, {"b", {}}, {"b", {}}};
  ASSERT_TRUE(book.Pick(ResourceId{"x"}, OrgId{"1"}, moved).ok());
  EXPECT_EQ(book.held(), 3U);
}

TEST(PortBookTest, APortInUseOutsideIsLeftOutAndAnOldOneComesLast) {
  PortBook book({100, 103}, [](const OrgId&, const std::string&, int port) { return port != 101; });
  std::vector<Placement> one = {{"a", {}}};
  ASSERT_TRUE(book.Pick(ResourceId{"x"}, OrgId{"1"}, one).ok());
  EXPECT_EQ(one[0].port, 100);
  book.Leave(ResourceId{"x"});
  std::vector<Placement> two = {{"a", {}}, {"a", {}}};
  ASSERT_TRUE(book.Pick(ResourceId{"y"}, OrgId{"1"}, two).ok());
  EXPECT_EQ(two[0].port, 102);
  EXPECT_EQ(two[1].port, 103);
}

TEST(PortBookTest, AllOrNone) {
  PortBook book({100, 102}, [](const OrgId&, const std::string&, int) { return true; });
  std::vector<Placement> two = {{"a", {}}, {"a", {}}}, more = two;
  ASSERT_TRUE(book.Pick(ResourceId{"x"}, OrgId{"1"}, two).ok());
  const Status refused = book.Pick(ResourceId{"y"}, OrgId{"1"}, more);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("no free port"), std::string::npos);
  EXPECT_EQ(book.held(), 2U);
}

TEST(PortBookTest, WhatARecordSaysIsHeldAfterARestart) {
  PortBook book({100, 110}, [](const OrgId&, const std::string&, int) { return true; });
  book.Hold(ResourceId{"x"}, {{"a", {}, "", "h", 100}, {"a", {}, "", "h", 104}});
  std::vector<Placement> two = {{"a", {}}, {"a", {}}};
  ASSERT_TRUE(book.Pick(ResourceId{"y"}, OrgId{"1"}, two).ok());
  EXPECT_EQ(two[0].port, 105);
  std::vector<Placement> again = {{"a", {}}, {"a", {}}};
  ASSERT_TRUE(book.Pick(ResourceId{"x"}, OrgId{"1"}, again).ok());
  EXPECT_EQ(again[1].port, 104);
}

}  // namespace
}  // namespace cml::control
