#include "api/list_query.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "codec/document.h"

namespace cml::api {
namespace {

constexpr std::array<std::string_view, 5> kFields = {"name", "size", "state", "tags", "labels"};
constexpr ListShape kBare{"", "name", kFields};
constexpr ListShape kWrapped{"data", "name", kFields};

constexpr const char* kRows =
    R"([{"name": "b", "size": 9, "state": "up", "tags": ["x", "y"], "labels": {"team": "one"}},)"
    R"( {"name": "c/d", "size": 10, "state": "up", "tags": [], "labels": {}},)"
    R"( {"name": "a", "size": null, "state": "down", "tags": ["y"], "labels": {"team": "two"}}])";

class ListQueryTest : public ::testing::Test {
 protected:
  Result<net::Response> Ask(const std::string& query, const ListShape& shape = kBare) {
    request_.query = net::ParseQuery(query);
    const std::string json = shape.rows.empty() ? kRows : R"({"data": )" + std::string(kRows) + R"(, "more": 1})";
    return ListAnswer(Call{request_, caller_, params_}, json, shape);
  }
  std::string Names(const std::string& query, const ListShape& shape = kBare) {
    const auto answer = Ask(query, shape);
    if (!answer.ok()) return answer.error().message();
    const auto document = codec::Document::Parse(answer.value().body).value();
    std::string names;
    for (const auto& row : (shape.rows.empty() ? document : document.Get(shape.rows)).Items()) {
      names += (names.empty() ? "" : " ") + row.Get("name").Str();
    }
    return names;
  }

  net::Request request_;
  service::Caller caller_;
  std::vector<std::string> params_;
};

TEST_F(ListQueryTest, WithoutParametersTheAnswerIsUntouched) {
  EXPECT_EQ(Ask("").value().body, kRows);
  EXPECT_EQ(Ask("org_id=1&other=x").value().body, kRows);
  EXPECT_FALSE(Ask("").value().headers.Has("X-Next-Page"));
}

TEST_F(ListQueryTest, SortsNumbersByValueAndPutsWhatIsAbsentLast) {
  EXPECT_EQ(Names("sort=name"), "a b c/d");
  EXPECT_EQ(Names("sort=-name"), "c/d b a");
  EXPECT_EQ(Names("sort=size"), "b c/d a");
  EXPECT_EQ(Names("sort=-size"), "c/d b a");
  EXPECT_EQ(Names("sort=state"), "a b c/d") << "equal ones keep their order";
}

TEST_F(ListQueryTest, AnUnknownSortFieldNamesWhatIsPossible) {
  const auto refused = Ask("sort=colour");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(refused.error().message(),
            "sort \"colour\": one of name, size, state, tags, labels; with '-' before it the other way round");
  EXPECT_FALSE(Ask("sort=-").ok());
  EXPECT_FALSE(Ask("limit=x").ok());
  EXPECT_FALSE(Ask("limit=1001").ok());
}

TEST_F(ListQueryTest, FiltersByTextItemAndMember) {
  EXPECT_EQ(Names("state=up"), "b c/d");
  EXPECT_EQ(Names("size=10"), "c/d");
  EXPECT_EQ(Names("tags=y"), "b a");
  EXPECT_EQ(Names("labels.team=two"), "a");
  EXPECT_EQ(Names("state=up&size=9"), "b");
  EXPECT_EQ(Names("state=gone"), "");
}

TEST_F(ListQueryTest, PagesAreTheWholeListOnce) {
  for (const ListShape& shape : {kBare, kWrapped}) {
    std::string all, page;
    do {
      const auto answer = Ask("limit=1&sort=name&page=" + net::PercentEncode(page), shape);
      ASSERT_TRUE(answer.ok()) << answer.error().message();
      const auto document = codec::Document::Parse(answer.value().body).value();
      page = answer.value().headers.Get("X-Next-Page");
      EXPECT_EQ(document.Get("next_page").Str(), shape.rows.empty() ? "" : page);
      for (const auto& row : (shape.rows.empty() ? document : document.Get("data")).Items()) all += row.Get("name").Str() + ";";
      EXPECT_EQ(document.Get("more").Int(), shape.rows.empty() ? 0 : 1) << "what stands beside the rows stays";
    } while (!page.empty());
    EXPECT_EQ(all, "a;b;c/d;");
  }
  EXPECT_EQ(Names("limit=0&sort=name"), "a b c/d");
}

TEST_F(ListQueryTest, APageWhoseLastRowHasGoneGoesOnAtItsPlace) {
  EXPECT_EQ(Names("sort=name&page=1.gone"), "a b c/d") << "what followed moved up";
  EXPECT_EQ(Names("sort=name&page=3.gone"), "c/d");
  EXPECT_EQ(Names("sort=name&page=99.gone"), "");
  for (const char* page : {"x", "1", "-1.a", ".a"}) EXPECT_FALSE(Ask(std::string("page=") + page).ok()) << page;
}

}  // namespace
}  // namespace cml::api
