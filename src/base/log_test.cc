#include "base/log.h"

#include <gtest/gtest.h>

namespace cml {
namespace {

constexpr const char* kTime = "2026-01-02T03:04:05Z";

TEST(LogTest, ATextLineQuotesItsValues) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, kTime, LogLevel::kInfo, "request",
                          {{"path", "/a \"b\"\n"}, {"status", 200}}),
            "2026-01-02T03:04:05Z info request path=\"/a \\\"b\\\"\\x0a\" status=200");
}

TEST(LogTest, AJsonLineIsOneObjectWhateverItHolds) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, kTime, LogLevel::kWarning, "request",
                          {{"path", "/a \"b\"\n\\"}, {"status", 200}, {"user", "\xC3\xA4"}, {"bad", std::string("\xFF")}}),
            "{\"time\":\"2026-01-02T03:04:05Z\",\"level\":\"warning\",\"text\":\"request\",\"path\":\"/a \\\"b\\\"\\u000a\\\\\","
            "\"status\":200,\"user\":\"\xC3\xA4\",\"bad\":\"\\u00ff\"}");
}

}  // namespace
}  // namespace cml
