#include "base/strings.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace cml {
namespace {

TEST(StringsTest, SplitKeepsEmptyParts) {
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(Split("", ','), (std::vector<std::string_view>{""}));
}

TEST(StringsTest, NumbersTakeTheWholeTextOrNothing) {
  EXPECT_EQ(ParseInt("-12"), -12);
  for (const char* bad : {"", " 1", "1 ", "1\n", "+1", "0x1", "1.0", "99999999999999999999", "\xd9\xa1"}) {
    EXPECT_FALSE(ParseInt(bad)) << bad;
  }
  EXPECT_EQ(ParseUnsigned("18446744073709551615"), 18446744073709551615ULL);
  EXPECT_FALSE(ParseUnsigned("-1"));
}

TEST(StringsTest, Utf8RefusesOverlongSurrogatesAndCutSequences) {
  EXPECT_TRUE(IsValidUtf8("caf\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80"));
  for (const char* bad : {"\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\xff", "\x80"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

TEST(StringsTest, BytesInTheUnitAPersonWouldUse) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(8ULL << 30), "8 GiB");
  EXPECT_EQ(FormatBytes(230ULL << 20), "230 MiB");
}

TEST(StringsTest, QuotesShowWhatCannotBeSeen) {
  EXPECT_EQ(Quote("a\nb"), R"("a\x0ab")");
  EXPECT_EQ(Quote("abcdef", 3), "\"abc…\"");
  EXPECT_EQ(ShellQuote("it's"), R"('it'\''s')");
}

TEST(RandomTest, TokensAreOfTheAlphabetAndDiffer) {
  const std::string a = RandomToken(40), b = RandomToken(40);
  EXPECT_EQ(a.size(), 40U);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos);
}

}  // namespace
}  // namespace cml
