#include "codec/document.h"

#include <gtest/gtest.h>

namespace cml::codec {
namespace {

TEST(DocumentTest, ReadsByNameAndNeverFails) {
  const Document d = Document::Parse(R"({"a":{"b":[1,"x",null,true,2.5]},"n":"7"})").value();
  EXPECT_EQ(d.Get("a").Get("b").size(), 5u);
  EXPECT_EQ(d.Get("a").Get("b").At(0).Int(), 1);
  EXPECT_EQ(d.Get("a").Get("b").At(1).Str(), "x");
  EXPECT_TRUE(d.Get("a").Get("b").At(2).IsNull());
  EXPECT_TRUE(d.Get("a").Get("b").At(3).Bool());
  EXPECT_EQ(d.Get("a").Get("b").At(4).Num(), 2.5);
  EXPECT_EQ(d.Get("a").Get("b").At(5).Str("none"), "none");
  EXPECT_EQ(d.Get("n").Int(3), 3) << "a string is no number";
  EXPECT_EQ(d.Get("x").Get("y").Text(), "");
  EXPECT_FALSE(d.Has("x"));
}

TEST(DocumentTest, SubDocumentOutlivesItsParent) {
  Document inner;
  {
    const Document d = Document::Parse(R"({"a":{"b":"deep"}})").value();
    inner = d.Get("a");
  }
  EXPECT_EQ(inner.Get("b").Str(), "deep");
}

TEST(DocumentTest, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "{\"a\":1}x", "{a:1}", "[1,]", "\xff", "nul", "\"\x01\""}) {
    const auto r = Document::Parse(text);
    ASSERT_FALSE(r.ok()) << text;
    EXPECT_EQ(r.error().code(), Code::kInvalidArgument);
  }
  EXPECT_TRUE(Document::Parse(" {\"a\":1} \n").ok());
}

TEST(DocumentTest, ErrorTellsWhere) {
  EXPECT_NE(Document::Parse("{\n  \"a\": ?}").error().message().find("line 2"), std::string::npos);
}

TEST(DocumentTest, HoldsItsLimits) {
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  EXPECT_FALSE(Document::Parse(deep).ok());
  EXPECT_TRUE(Document::Parse(deep, {.most_bytes = 1000, .most_depth = 65}).ok());
  EXPECT_FALSE(Document::Parse("[1,2,3]", {.most_bytes = 3, .most_depth = 9}).ok());
}

TEST(DocumentTest, ChangingOneHandleLeavesOthers) {
  Document d = Document::Parse(R"({"a":1,"b":2,"c":3})").value();
  const Document before = d;
  d.Set("b", "two").Remove("a");
  EXPECT_EQ(d.Dump(), R"({"b":"two","c":3})");
  EXPECT_EQ(before.Dump(), R"({"a":1,"b":2,"c":3})");
  d.Set("self", d);
  EXPECT_EQ(d.Get("self").Dump(), R"({"b":"two","c":3})");
}

TEST(DocumentTest, PrettyPrintsAndParsesBack) {
  Document d = Document::Object();
  d.Set("name", "x\n\"y\"").Set("list", Document::Array().Append(Document::Integer(1)));
  d.Set("empty", Document::Object()).Set("real", Document::Real(8));
  EXPECT_EQ(d.Pretty(),
            "{\n  \"name\": \"x\\n\\\"y\\\"\",\n  \"list\": [\n    1\n  ],\n  \"empty\": {},\n"
            "  \"real\": 8.0\n}");
  EXPECT_EQ(Document::Parse(d.Pretty()).value().Dump(), d.Dump());
  EXPECT_EQ(Document::Real(1.5).Dump(), "1.5");
  EXPECT_EQ(Document::Parse(Document::Real(1e300).Dump()).value().Num(), 1e300);
}

}  // namespace
}  // namespace cml::codec
