#include "core/identity_rules.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

Org Named(std::string name) {
  Org org;
  org.name = std::move(name);
  return org;
}

TEST(IdentityRulesTest, NamesOfOrganisations) {
  for (const char* good : {"vision", "a", "team-7", "7-up"}) EXPECT_TRUE(Validate(Named(good)).ok()) << good;
  for (const char* bad : {"", "Vision", "-a", "a-", "a b", "a.b", "a/b", "\xC3\xA9", "a\n"}) {
    EXPECT_EQ(Validate(Named(bad)).error().code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(Validate(Named(std::string(64, 'a'))).ok());
  EXPECT_NE(Validate(Named("Vision Team")).error().message().find("try \"vision-team\""), std::string::npos);
  // A number would be taken for an id.
  EXPECT_NE(Validate(Named("12")).error().message().find("try \"org-12\""), std::string::npos);
}

TEST(IdentityRulesTest, MailAndTexts) {
  Org org = Named("vision");
  for (const char* good : {"", "a@b", "ann.lee@example.com"}) {
    org.mail = good;
    EXPECT_TRUE(Validate(org).ok()) << good;
  }
  for (const char* bad : {"ann", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "<a@b>"}) {
    org.mail = bad;
    EXPECT_FALSE(Validate(org).ok()) << bad;
  }
  org.mail.clear();
  org.description = "two\nlines";
  EXPECT_FALSE(Validate(org).ok());
  org.description = std::string(1001, 'x');
  EXPECT_FALSE(Validate(org).ok());
  org.description = "Erk\xC3\xA4nnung";
  EXPECT_TRUE(Validate(org).ok());
}

TEST(IdentityRulesTest, UsersAndLabels) {
  for (const char* good : {"ann", "Ann.Lee", "ann@example.com", "1001"}) EXPECT_TRUE(Validate(User{good, "", {}, ""}).ok()) << good;
  for (const char* bad : {"", "a b", "a/b", ".a", "a\n"}) EXPECT_FALSE(Validate(User{bad, "", {}, ""}).ok()) << bad;
  ApiKey key;
  EXPECT_TRUE(Validate(key).ok());
  key.label = "nightly build";
  EXPECT_TRUE(Validate(key).ok());
  key.label = std::string("a\0b", 3);
  EXPECT_FALSE(Validate(key).ok());
}

}  // namespace
}  // namespace cml
