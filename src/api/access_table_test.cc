#include "api/access_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/file.h"

namespace cml::api {
namespace {

TEST(AccessTableTest, EveryRouteStandsOnce) {
  std::set<std::string> seen;
  for (const AccessRule& rule : AccessRules()) {
    EXPECT_TRUE(seen.insert(std::string(rule.method) + " " + std::string(rule.pattern)).second) << rule.pattern;
    EXPECT_FALSE(rule.action.empty()) << rule.pattern;
  }
}

// GETs that change are named by the contract; nothing that changes is open to viewers or to all.
TEST(AccessTableTest, WhatChangesNeedsAMember) {
  for (const AccessRule& rule : AccessRules()) {
    if (rule.effect != Effect::kChanges) continue;
    EXPECT_FALSE(Allows(rule, KeyRole::kViewer)) << rule.action;
  }
}

TEST(AccessTableTest, RolesAreOrdered) {
  for (const AccessRule& rule : AccessRules()) {
    EXPECT_TRUE(Allows(rule, KeyRole::kPlatformAdmin)) << rule.action;
    EXPECT_LE(Allows(rule, KeyRole::kViewer), Allows(rule, KeyRole::kMember)) << rule.action;
    EXPECT_LE(Allows(rule, KeyRole::kMember), Allows(rule, KeyRole::kOrgAdmin)) << rule.action;
  }
}

TEST(AccessTableTest, TheGuideShowsIt) {
  const auto guide = ReadFile(CML_ACCESS_GUIDE);
  ASSERT_TRUE(guide.ok()) << guide.error().message();
  EXPECT_NE(guide.value().find(AccessTableText()), std::string::npos)
      << "docs/guide/access.md is out of date; its table is what `cloudml server access` prints";
}

}  // namespace
}  // namespace cml::api
