#include "objectstore/names.h"

#include <gtest/gtest.h>

#include <string>

namespace cml::objectstore {
namespace {

TEST(CheckBucketName, TakesWhatS3Takes) {
  for (const char* name : {"abc", "a.b.c", "my-data", "1st", "1.2.3", "1.2.3.x",
                           "a23456789-123456789-123456789-123456789-123456789-123456789-123"}) {
    EXPECT_TRUE(CheckBucketName(name).ok()) << name;
  }
}
TEST(CheckBucketName, RefusesWhatS3RefusesAndTheServersOwnWords) {
  for (const char* name :
       {"",         "a",
        "ab",       "a23456789-123456789-123456789-123456789-123456789-123456789-1234",
        "Data",     "a_b",
        "a b",      "-ab",
        "ab-",      ".ab",
        "ab.",      "a..b",
        "1.2.3.4",  "999.1.1.1",
        "xn--abc",  "abc-s3alias",
        "healthz",  "readyz",
        "metrics",  "openapi.yaml",
        "cloud_ml", "dev_server"}) {
    const Status checked = CheckBucketName(name);
    ASSERT_FALSE(checked.ok()) << name;
    EXPECT_EQ(checked.error().code(), Code::kInvalidArgument);
  }
}
TEST(CheckBucketName, SaysWhatToTypeInstead) {
  EXPECT_NE(CheckBucketName("MyData").error().message().find("try \"mydata\""), std::string::npos);
}
TEST(CheckKey, NamesTheKeyAndTheRule) {
  const Status checked = CheckKey("a/../b");
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().message().find("a/../b"), std::string::npos);
  EXPECT_TRUE(CheckKey("a/..b/...").ok());
  EXPECT_TRUE(CheckKey(".hidden").ok());
}

}  // namespace
}  // namespace cml::objectstore
