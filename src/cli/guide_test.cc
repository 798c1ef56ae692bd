// The guide names every command and every option.
#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/config.h"
#include "cli/main.h"

namespace cml::cli {
namespace {

TEST(GuideTest, NamesEveryCommandOptionAndVariable) {
  const auto guide = ReadFile(CML_GUIDE);
  ASSERT_TRUE(guide.ok()) << guide.error().message();
  const std::string& text = guide.value();
  const auto has = [&](const std::string& what) { return text.find(what) != std::string::npos; };
  for (const Command& c : AllCommands()) {
    if (c.path.starts_with("__")) continue;
    EXPECT_TRUE(has("`" + c.path) || has("### " + c.path)) << c.path;
    for (const Option& o : c.options) {
      for (const std::string& name : o.names) {
        const bool found = has("`" + name + "`") || has("`" + name + " ") || has("(`" + name);
        EXPECT_TRUE(found || name == "-R" || name == "-r") << c.path << " " << name;
      }
    }
  }
  for (const Option& o : GlobalOptions()) EXPECT_TRUE(has(o.names.back())) << o.names.back();
  for (const Setting& s : AllSettings()) {
    for (const std::string& name : s.env) EXPECT_TRUE(has(name)) << name;
  }
}

}  // namespace
}  // namespace cml::cli
