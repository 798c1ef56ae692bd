#include "backends/local/interpreters.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace cml::backends::local {
namespace {
namespace fs = std::filesystem;

void PlaceProgram(const fs::path& path) {
  ASSERT_TRUE(MakeFolders(path.parent_path()).ok());
  fs::copy_file(fs::canonical("/bin/true"), path);
}

TEST(InterpretersTest, AShimIsPassedOverForTheRealThing) {
  const TempFolder temp;
  const fs::path shim = temp.path() / "shims/python3.7";
  ASSERT_TRUE(MakeFolders(shim.parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(shim, "#!/bin/sh\nexit 127\n", 0755, Sync::kNotDurable).ok());
  const fs::path home = temp.path() / "home";
  PlaceProgram(home / ".pyenv/versions/3.7.16/bin/python3.7");
  const auto folders =
      InterpreterFolders({{"PATH", shim.parent_path()}, {"HOME", home}}, temp.path() / "tools");
  const auto found = FindInterpreter("3.7", folders);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->program, fs::canonical(home / ".pyenv/versions/3.7.16/bin/python3.7"));
  EXPECT_EQ(found->prefix, fs::canonical(home / ".pyenv/versions/3.7.16"));
}

TEST(InterpretersTest, LinksLeadToTheRealPrefix) {
  const TempFolder temp;
  PlaceProgram(temp.path() / "opt/bin/python3.9");
  ASSERT_TRUE(MakeFolders(temp.path() / "bin").ok());
  fs::create_symlink(temp.path() / "opt/bin/python3.9", temp.path() / "bin/python3.9");
  const auto found = FindInterpreter("3.9", {temp.path() / "bin"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->prefix, fs::canonical(temp.path() / "opt"));
}

TEST(InterpretersTest, NoneIsNoneAndADeadLinkIsNone) {
  const TempFolder temp;
  fs::create_symlink(temp.path() / "gone", temp.path() / "python3.11");
  EXPECT_FALSE(FindInterpreter("3.11", {temp.path()}));
}

TEST(InterpretersTest, ThePlaceForAdministratorsComesBeforeTheHome) {
  const TempFolder temp;
  PlaceProgram(temp.path() / "home/.pyenv/versions/3.8.1/bin/python3.88");
  PlaceProgram(temp.path() / "tools/python/3.88/bin/python3.88");
  const auto found = FindInterpreter(
      "3.88", InterpreterFolders({{"HOME", temp.path() / "home"}}, temp.path() / "tools"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->prefix, fs::canonical(temp.path() / "tools/python/3.88"));
}

}  // namespace
}  // namespace cml::backends::local
