#include "api/answer_cache.h"

#include <gtest/gtest.h>

namespace cml::api {
namespace {

TEST(AnswerCacheTest, AnAnswerHoldsAsLongAsItsStamp) {
  AnswerCache cache;
  EXPECT_EQ(cache.Find("1/a", 7), std::nullopt);
  cache.Keep("1/a", 7, "seven");
  EXPECT_EQ(cache.Find("1/a", 7), "seven");
  EXPECT_EQ(cache.Find("1/a", 8), std::nullopt);
  EXPECT_EQ(cache.Find("2/a", 7), std::nullopt);
  cache.Keep("1/a", 8, "eight");
  EXPECT_EQ(cache.Find("1/a", 7), std::nullopt);
  EXPECT_EQ(cache.Find("1/a", 8), "eight");
}

TEST(AnswerCacheTest, WithoutAStampAndWhenTooLongNothingIsKept) {
  AnswerCache cache;
  cache.Keep("a", 0, "never");
  EXPECT_EQ(cache.Find("a", 0), std::nullopt);
  cache.Keep("a", 1, std::string(100'000, 'x'));
  EXPECT_EQ(cache.Find("a", 1), std::nullopt);
}

TEST(AnswerCacheTest, ManyKeysNeverMixTheirAnswers) {
  AnswerCache cache;
  for (int i = 0; i < 5'000; ++i) cache.Keep(std::to_string(i), 1, "answer " + std::to_string(i));
  int found = 0;
  for (int i = 0; i < 5'000; ++i) {
    const auto answer = cache.Find(std::to_string(i), 1);
    if (!answer) continue;
    ++found;
    EXPECT_EQ(*answer, "answer " + std::to_string(i));
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace cml::api
