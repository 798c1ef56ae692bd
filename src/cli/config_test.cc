#include "cli/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/testing/fake_terminal.h"

namespace cml::cli {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() { terminal.env["HOME"] = home.path().string(); }

  void Write(const std::string& text) {
    const auto file = home.path() / ".config/xiaomi/config";
    ASSERT_TRUE(MakeFolders(file.parent_path()).ok());
    ASSERT_TRUE(WriteFileAtomically(file, text).ok());
  }
  Settings Resolve() {
    auto settings = ResolveSettings(flags, terminal);
    EXPECT_TRUE(settings.ok()) << (settings.ok() ? "" : settings.error().message());
    return settings.ok() ? std::move(settings).value() : Settings();
  }

  TempFolder home;
  FakeTerminal terminal;
  Typed flags;
};

constexpr const char* kTwoContexts = R"({
  "xiaomi_access_key_id": "ROOT", "xiaomi_secret_access_key": "root-secret", "other_tool": {"x": 1},
  "xiaomi_cloudml": {
    "prod": {"xiaomi_access_key_id": "PROD", "xiaomi_cloudml_endpoint": "https://prod.example/"},
    "test": {"xiaomi_cloudml_endpoint": "test.example"},
    "default_config_context": "prod"}})";

TEST_F(ConfigTest, FlagsThenEnvironmentThenContextThenRoot) {
  Write(kTwoContexts);
  EXPECT_EQ(Resolve().access_key(), "PROD");
  EXPECT_EQ(Resolve().Source("xiaomi_access_key_id"), "context prod");
  EXPECT_EQ(Resolve().Get("xiaomi_secret_access_key"), "root-secret");
  EXPECT_EQ(Resolve().endpoint(), "https://prod.example");
  terminal.env["CLOUDML_ACCESS_KEY"] = "OURS";
  EXPECT_EQ(Resolve().access_key(), "OURS");
  terminal.env["XIAOMI_ACCESS_KEY_ID"] = "ENV";
  EXPECT_EQ(Resolve().access_key(), "ENV");
  flags.Add("access_key", "FLAG");
  EXPECT_EQ(Resolve().access_key(), "FLAG");
}

TEST_F(ConfigTest, ContextByFlagEnvironmentAndDefault) {
  Write(kTwoContexts);
  EXPECT_EQ(Resolve().context, "prod");
  terminal.env["XIAOMI_CLOUDML_CONFIG_CONTEXT"] = "test";
  EXPECT_EQ(Resolve().context, "test");
  EXPECT_EQ(Resolve().access_key(), "ROOT");
  EXPECT_EQ(Resolve().endpoint(), "https://test.example");
  flags.Add("context", "prod");
  EXPECT_EQ(Resolve().context, "prod");
  flags.Add("context", "prd");
  const auto wrong = ResolveSettings(flags, terminal);
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message().find("did you mean prod"), std::string::npos);
}

TEST_F(ConfigTest, OldFlatFileAndYaml) {
  Write(
      "xiaomi_access_key_id: AK\nxiaomi_secret_access_key: SK\nxiaomi_cloudml_endpoint: "
      "http://127.0.0.1:8089\n");
  EXPECT_EQ(Resolve().endpoint(), "http://127.0.0.1:8089");
  EXPECT_EQ(Resolve().fds_endpoint(), "http://127.0.0.1:8089") << "the server's own store";
  EXPECT_EQ(Resolve().context, "");
}

TEST_F(ConfigTest, OnlyContextNeedsNoDefault) {
  Write(R"({"xiaomi_cloudml": {"one": {"xiaomi_access_key_id": "A"}}})");
  EXPECT_EQ(Resolve().context, "one");
  Write(R"({"xiaomi_cloudml": {"one": {}, "two": {}}})");
  const auto none = ResolveSettings(flags, terminal);
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message().find("one, two"), std::string::npos);
}

TEST_F(ConfigTest, BrokenFileIsNamedWithItsPlace) {
  Write("a: [1,\n");
  const auto broken = ResolveSettings(flags, terminal);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code(), Code::kInvalidArgument);
  EXPECT_NE(broken.error().message().find("xiaomi/config"), std::string::npos);
  EXPECT_NE(broken.error().message().find("line"), std::string::npos);
}

TEST_F(ConfigTest, WrittenFileIsPrivateAndKeepsOtherKeys) {
  Write(kTwoContexts);
  const auto file = home.path() / ".config/xiaomi/config";
  auto config = ReadConfig(file).value();
  config.Set("xiaomi_fds_endpoint", "http://store");
  ASSERT_TRUE(WriteConfig(file, config).ok());
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(ReadConfig(file).value().Get("other_tool").Get("x").Int(), 1);
}

TEST_F(ConfigTest, MaskShowsTooLittleToUse) {
  EXPECT_EQ(Mask("short"), "****");
  EXPECT_EQ(Mask("0123456789abcdef"), "****cdef");
}

}  // namespace
}  // namespace cml::cli
