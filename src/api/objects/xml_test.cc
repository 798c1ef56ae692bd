#include "api/objects/xml.h"

#include <gtest/gtest.h>

#include "api/objects/http_date.h"

namespace cml::api::objects {
namespace {

TEST(Xml, WritesWhatItReads) {
  XmlWriter xml("Root");
  xml.Add("A", "<&>\"'").Open("B").Add("C", "\xc3\xbc").Close().Add("D", "");
  const std::string text = xml.Finish();
  auto read = ParseXml(text);
  ASSERT_TRUE(read.ok()) << text;
  EXPECT_EQ(read.value().name, "Root");
  EXPECT_EQ(read.value().ChildText("A"), "<&>\"'");
  EXPECT_EQ(read.value().Child("B")->ChildText("C"), "\xc3\xbc");
  EXPECT_EQ(read.value().ChildText("D"), "");
  EXPECT_EQ(read.value().Child("E"), nullptr);
}

TEST(Xml, Reads) {
  auto read = ParseXml(
      "\xef\xbb\xbf<?xml version=\"1.0\"?><!-- c --><s:R xmlns:s='x' a=\"<\" >\n"
      "<K>a&#x20ac;&#65;<![CDATA[<b>]]>&amp;&apos;</K><E/><!-- d --></s:R> \n");
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read.value().name, "R");
  EXPECT_EQ(read.value().ChildText("K"),
            "a\xe2\x82\xac"
            "A<b>&'");
}

TEST(Xml, RefusesTheRest) {
  std::string deep, wide = "<a>";
  for (int i = 0; i < 20; ++i) deep += "<a>";
  for (int i = 0; i < 60'000; ++i) wide += "<b/>";
  wide += "</a>";
  for (const std::string& bad : {std::string(),
                                 std::string("x"),
                                 std::string("<a"),
                                 std::string("<a>"),
                                 std::string("<a></b>"),
                                 std::string("<a/><b/>"),
                                 std::string("<a b></a>"),
                                 std::string("<a b=c/>"),
                                 std::string("<a b='c/>"),
                                 std::string("<a>&nope;</a>"),
                                 std::string("<a>&#0;</a>"),
                                 std::string("<a>&#x110000;</a>"),
                                 std::string("<a>&amp</a>"),
                                 std::string("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
                                 std::string("<a><!DOCTYPE b></a>"),
                                 std::string("<!-- <a/>"),
                                 std::string("<a><![CDATA[x</a>"),
                                 std::string("<>x</>"),
                                 deep,
                                 wide}) {
    EXPECT_FALSE(ParseXml(bad).ok()) << bad.substr(0, 50);
  }
}

TEST(HttpDate, BothWays) {
  const auto t = ParseHttpDate("Tue, 20 Feb 2018 06:16:39 GMT");
  ASSERT_TRUE(t.has_value());
  EXPECT_EQ(FormatHttpDate(*t), "Tue, 20 Feb 2018 06:16:39 GMT");
  EXPECT_EQ(ParseBasicIso("20180220T061639Z"), t);
  EXPECT_EQ(t->time_since_epoch().count(), 1519107399000);
  for (const char* bad : {"", "Tue, 30 Feb 2018 06:16:39 GMT", "Tue, 20 Fab 2018 06:16:39 GMT",
                          "Tue, 20 Feb 2018 24:16:39 GMT", "20 Feb 2018 06:16:39 GMT",
                          "Tue, 20 Feb 2018 06:16:39 CET", "Tue, +2 Feb 2018 06:16:39 GMT"}) {
    EXPECT_FALSE(ParseHttpDate(bad).has_value()) << bad;
  }
  for (const char* bad : {"", "20181320T061639Z", "20180220T061639", "2018022-T061639Z"}) {
    EXPECT_FALSE(ParseBasicIso(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace cml::api::objects
