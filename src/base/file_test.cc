#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace cml {
namespace {

TEST(FileTest, AtomicWriteReplacesAndSetsTheMode) {
  const TempFolder folder;
  const auto path = folder.path() / "a";
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0640).ok());
  EXPECT_EQ(ReadFile(path).value(), "two");
  struct stat st{};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0640U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(FileTest, ErrorsNameThePathAndTheCause) {
  const auto missing = ReadFile("/nowhere/file");
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  EXPECT_NE(missing.error().message().find("/nowhere/file"), std::string::npos);
  const TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "a", "12345").ok());
  EXPECT_EQ(ReadFile(folder.path() / "a", 4).error().code(), Code::kInvalidArgument);
}

TEST(FileTest, MakesParentsAndRemovesTrees) {
  const TempFolder folder;
  ASSERT_TRUE(MakeFolders(folder.path() / "x/y/z").ok());
  ASSERT_TRUE(MakeFolders(folder.path() / "x/y/z").ok());
  ASSERT_TRUE(WriteFileAtomically(folder.path() / "f", "").ok());
  EXPECT_FALSE(MakeFolders(folder.path() / "f").ok());
  EXPECT_TRUE(RemoveTree(folder.path() / "x").ok());
  EXPECT_TRUE(RemoveTree(folder.path() / "x").ok());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "x"));
}

}  // namespace
}  // namespace cml
