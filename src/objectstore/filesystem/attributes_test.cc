#include "objectstore/filesystem/attributes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace cml::objectstore::filesystem {
namespace {

class AttributesTest : public ::testing::TestWithParam<AttributeMode> {
 protected:
  AttributesTest() {
    EXPECT_EQ(::write(file_.get(), "hello", 5), 5);
    EXPECT_EQ(::fstat(file_.get(), &st_), 0);
  }
  TempFolder folder_;
  AttributeStore store_ = AttributeStore::Open(folder_.path() / ".attributes", GetParam()).value();
  Fd file_ = OpenFile(folder_.path() / "file", O_RDWR | O_CREAT).value();
  struct stat st_ {};
  const Attributes full_{"5d41402abc4b2a76b9719d911017c592-3",
                         "5d41402abc4b2a76b9719d911017c592",
                         "text/plain; a=b",
                         {{"n%1", "100% = \xc3\xa9"}, {"x", ""}}};
};
INSTANTIATE_TEST_SUITE_P(Modes, AttributesTest,
                         ::testing::Values(AttributeMode::kBestThereIs,
                                           AttributeMode::kFilesBeside));

TEST_P(AttributesTest, ComeBackAsTheyWereSaved) {
  EXPECT_FALSE(store_.Load(file_.get(), st_).has_value());
  ASSERT_TRUE(store_.Save(file_.get(), full_).ok());
  const auto loaded = store_.Load(file_.get(), st_);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->etag, full_.etag);
  EXPECT_EQ(loaded->md5, full_.md5);
  EXPECT_EQ(loaded->content_type, full_.content_type);
  EXPECT_EQ(loaded->metadata, full_.metadata);
}
TEST_P(AttributesTest, AreOfAnotherObjectOnceTheFileHasChanged) {
  ASSERT_TRUE(store_.Save(file_.get(), full_).ok());
  timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::futimens(file_.get(), times), 0);
  ASSERT_EQ(::fstat(file_.get(), &st_), 0);
  EXPECT_FALSE(store_.Load(file_.get(), st_).has_value());
}
TEST_P(AttributesTest, OfAFolderStayWhenItsEntriesChange) {
  const Fd folder = OpenFile(folder_.path(), O_RDONLY | O_DIRECTORY).value();
  ASSERT_TRUE(store_.Save(folder.get(), full_).ok());
  ASSERT_TRUE(OpenFile(folder_.path() / "another", O_RDWR | O_CREAT).ok());
  ASSERT_EQ(::fstat(folder.get(), &st_), 0);
  EXPECT_TRUE(store_.Load(folder.get(), st_).has_value());
  store_.Forget(folder.get(), st_);
  EXPECT_FALSE(store_.Load(folder.get(), st_).has_value());
}
TEST(DecodeAttributes, RefusesWhatIsNotOurs) {
  struct stat st {};
  st.st_mode = S_IFREG;
  const std::string good = "1\n0\n0\nabc-1\nabc\ntext/plain";
  EXPECT_TRUE(Decode(good, st).has_value());
  for (const std::string& bad :
       {std::string(), std::string("1"), std::string("2\n0\n0\na\na\nt"),
        std::string("1\n1\n0\na\na\nt"), std::string("1\n0\n9\na\na\nt"),
        std::string("1\n0\n0\nno etag!\na\nt"), std::string("1\n0\n0\na\n\"\nt"),
        std::string("1\n0\n0\na\na\nevil%0d%0aSet-Cookie: x"), std::string("1\n0\n0\na\na\n%g0"),
        std::string("1\n0\n0\na\na\n%"), good + "\nno equals sign", good + "\na=%0a",
        good + "\n%00=b"}) {
    EXPECT_FALSE(Decode(bad, st).has_value()) << bad;
  }
}

}  // namespace
}  // namespace cml::objectstore::filesystem
