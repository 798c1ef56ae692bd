#include "net/http.h"

#include <gmock/gmock.h>

namespace cml::net {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(HeadersTest, ComparesNamesWithoutCaseAndKeepsTheOrder) {
  Headers h;
  h.Add("Accept", "a");
  h.Add("X-One", "1");
  h.Add("ACCEPT", "b");
  EXPECT_EQ(h.Get("accept"), "a");
  EXPECT_TRUE(h.Has("x-one"));
  EXPECT_FALSE(h.Has("x-on"));
  EXPECT_EQ(h.Get("missing"), "");
  h.Set("accept", "c");
  EXPECT_THAT(h.all(), ElementsAre(Pair("X-One", "1"), Pair("accept", "c")));
}

TEST(PercentTest, DecodesLenientlyAndLeavesPlusAlone) {
  EXPECT_EQ(PercentDecode("a%20b%2Fc%2f"), "a b/c/");
  EXPECT_EQ(PercentDecode("%"), "%");
  EXPECT_EQ(PercentDecode("%4"), "%4");
  EXPECT_EQ(PercentDecode("%zz%41"), "%zzA");
  EXPECT_EQ(PercentDecode("a+b"), "a+b");
  EXPECT_EQ(PercentDecode("%00"), std::string(1, '\0'));
}

TEST(PercentTest, EncodesAllButUnreservedAndWhatToKeep) {
  EXPECT_EQ(PercentEncode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(PercentEncode("a b/c+é"), "a%20b%2Fc%2B%C3%A9");
  EXPECT_EQ(PercentEncode("a/b c", "/"), "a/b%20c");
}

TEST(PercentTest, EveryByteComesBack) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(PercentDecode(PercentEncode(all)), all);
}

TEST(PathTest, RunsOfSlashesBecomeOne) {
  EXPECT_EQ(NormalisePath("//cloud_ml///v1/"), "/cloud_ml/v1/");
  EXPECT_EQ(NormalisePath("/a%2F%2fb"), "/a%2F%2fb");
  EXPECT_EQ(NormalisePath(""), "");
}

TEST(QueryTest, ReadsASecondQuestionMarkAsAmpersandAndTheFirstOfANameWins) {
  EXPECT_THAT(ParseQuery("org_id=7?force=True"),
              ElementsAre(Pair("force", "True"), Pair("org_id", "7")));
  EXPECT_THAT(ParseQuery("a=1&a=2&&b&c=&=x"),
              ElementsAre(Pair("", "x"), Pair("a", "1"), Pair("b", ""), Pair("c", "")));
  EXPECT_THAT(ParseQuery("k%3D=v%26w&s=a+b%2Bc=d"),
              ElementsAre(Pair("k=", "v&w"), Pair("s", "a b+c=d")));
  EXPECT_TRUE(ParseQuery("").empty());
}

}  // namespace
}  // namespace cml::net
