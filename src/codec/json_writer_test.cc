#include "codec/json_writer.h"

#include <gtest/gtest.h>

#include "codec/document.h"

namespace cml::codec {
namespace {

TEST(JsonWriterTest, PutsCommasBetweenFieldsAndItemsAlone) {
  JsonWriter w;
  w.Open('{').Field("a", 1).Field("b", true).Name("list").Open('[').Value("x").Value(-2).Null();
  w.Close(']').Name("empty").Open('{').Close('}').Name("none").Open('[').Close(']');
  w.Field("last", std::uint64_t{18446744073709551615U}).Close('}');
  EXPECT_EQ(w.Take(), R"({"a":1,"b":true,"list":["x",-2,null],"empty":{},"none":[],)"
                      R"("last":18446744073709551615})");
}

TEST(JsonWriterTest, EveryByteOfATextComesBack) {
  std::string text;
  for (char c = 0; c < 127; ++c) text += c;
  text += "äöü 你好 🚀";
  JsonWriter w;
  const std::string json = w.Open('{').Field(text, text).Close('}').Take();
  const auto back = Document::Parse(json);
  ASSERT_TRUE(back.ok()) << json;
  EXPECT_EQ(back.value().Get(text).Str(), text);
  for (const char c : json) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << json;
}

}  // namespace
}  // namespace cml::codec
