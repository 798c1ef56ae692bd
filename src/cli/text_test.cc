#include "cli/text.h"

#include <gtest/gtest.h>

#include "cli/exit_code.h"
#include "cli/xml.h"
#include "cli/yaml.h"

namespace cml::cli {
namespace {

TEST(TextTest, TableAlignsByWhatIsSeen) {
  Table table({{"NAME"}, {"N", Column::Align::kRight}, {"WHY"}});
  table.Add({{"模型"}, {"7"}, {"ok"}});
  table.Add({{"a"}, {"12"}, {""}});
  EXPECT_EQ(table.Render(Colours::kOff, 0), "NAME   N  WHY\n模型   7  ok\na     12\n");
}

TEST(TextTest, TableClipsItsLastColumnAndDefusesControlCharacters) {
  Table table({{"A"}, {"B"}});
  table.Add({{"x"}, {"a long sentence\nwith \033[31m in it"}});
  EXPECT_EQ(table.Render(Colours::kOff, 0), "A  B\nx  a long sentence with ?[31m in it\n");
  EXPECT_EQ(table.Render(Colours::kOff, 16), "A  B\nx  a long sente…\n");
}

TEST(TextTest, ColoursDoNotChangeTheWidth) {
  Table table({{"A"}, {"B"}});
  table.Add({{"failed", Tone::kBad}, {"x"}});
  const std::string on = table.Render(Colours::kOn, 0);
  EXPECT_NE(on.find("\033[31mfailed\033[0m  x"), std::string::npos);
  EXPECT_EQ(DisplayWidth("\033[31mfailed\033[0m"), 6u);
}

TEST(TextTest, TimesOfBothForms) {
  const auto rfc = ParseTime("2026-11-24T08:04:43Z");
  ASSERT_TRUE(rfc);
  EXPECT_EQ(ParseTime("2026-11-24 08:04:43.500000"), *rfc + std::chrono::milliseconds(500));
  EXPECT_EQ(ParseTime("2026-11-24T10:04:43+02:00"), rfc);
  for (const char* bad : {"", "x", "2026-13-01T00:00:00Z", "2026-11-24", "2026-11-24T08:04:43Q"}) {
    EXPECT_FALSE(ParseTime(bad)) << bad;
  }
  EXPECT_EQ(ShowTime("2026-11-24T08:01:43Z", *rfc, TimeStyle::kAge), "3m ago");
  EXPECT_EQ(ShowTime("2026-11-24 08:01:43.1", *rfc, TimeStyle::kExact), "2026-11-24T08:01:43Z");
  EXPECT_EQ(ShowTime("soon", *rfc, TimeStyle::kAge), "soon");
}

TEST(TextTest, SecondsAndSizes) {
  EXPECT_EQ(ParseSeconds("90"), 90);
  EXPECT_EQ(ParseSeconds("1.5h"), 5400);
  EXPECT_EQ(ParseSeconds("2x"), std::nullopt);
  EXPECT_EQ(ParseSeconds("-1"), std::nullopt);
  EXPECT_EQ(ParseSize("8G"), 8ULL << 30);
  EXPECT_EQ(ParseSize("1.5KiB"), 1536u);
  EXPECT_EQ(ParseSize("8Q"), std::nullopt);
}

TEST(ExitCodeTest, TellsApartWhatACallerCanDo) {
  EXPECT_EQ(ExitCodeOf(CodeOfStatus(400)), ExitCode::kUsage);
  for (const int refused : {401, 403, 409, 412, 429}) {
    EXPECT_EQ(ExitCodeOf(CodeOfStatus(refused)), ExitCode::kRefused) << refused;
  }
  EXPECT_EQ(ExitCodeOf(CodeOfStatus(404)), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(CodeOfStatus(503)), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf(CodeOfStatus(500)), ExitCode::kOther);
}

TEST(XmlTest, ReadsElementsAndRefusesTheRest) {
  const auto root = ParseXml(
      "<?xml version='1.0'?><!-- x --><a:r xmlns='y'><k "
      "q='1'>a&amp;b&#x41;</k><e/><k>2</k></a:r>\n");
  ASSERT_TRUE(root.ok()) << root.error().message();
  EXPECT_EQ(root.value().name, "r");
  EXPECT_EQ(root.value().Child("k"), "a&bA");
  EXPECT_EQ(root.value().All("k").size(), 2u);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (const std::string& bad : {std::string(""), std::string("<a>"), std::string("<a></b>"),
                                 std::string("<a/>x"), std::string("<!DOCTYPE a><a/>"),
                                 std::string("<a>&"), std::string("<"), std::string("</"), deep}) {
    EXPECT_FALSE(ParseXml(bad).ok()) << bad;
  }
}

TEST(YamlTest, TypesAndLimits) {
  const auto d =
      ParseYaml("a: 1\nb: \"1\"\nc: 1.5\nd: true\ne: ~\nf: 007\ng: {h: [x, y]}\ni: 2.15.1\n");
  ASSERT_TRUE(d.ok()) << d.error().message();
  EXPECT_EQ(
      d.value().Dump(),
      R"({"a":1,"b":"1","c":"1.5","d":true,"e":null,"f":"007","g":{"h":["x","y"]},"i":"2.15.1"})");
  EXPECT_NE(ParseYaml("a: [1,\nb: 2").error().message().find("line"), std::string::npos);
  for (const std::size_t deep : {200U, 20'000U}) {
    EXPECT_FALSE(ParseYaml(std::string(deep, '[') + std::string(deep, ']')).ok());
    EXPECT_FALSE(ParseYaml(std::string(deep, '{')).ok());
  }
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) bomb += std::string("*") + static_cast<char>(c - 1) + ",";
    bomb += std::string("*") + static_cast<char>(c - 1) + "]\n";
  }
  EXPECT_FALSE(ParseYaml(bomb).ok());
}

}  // namespace
}  // namespace cml::cli
