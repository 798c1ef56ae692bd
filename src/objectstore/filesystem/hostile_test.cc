// What jobs plant in their buckets, against a server that may be root.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "objectstore/filesystem/filesystem_store.h"
#include "objectstore/testing/values.h"

namespace cml::objectstore::testing {
namespace {
namespace fs = std::filesystem;

using Keys = std::vector<std::string>;
constexpr uid_t kOrgUid = 61234;

class HostileTest : public ::testing::Test {
 protected:
  HostileTest() {
    EXPECT_TRUE(store_->MakeBucket(OrgId("1"), "data").ok());
    bucket_ = store_->BucketFolder(OrgId("1"), "data").value();
    fs::create_directories(outside_);
    std::ofstream(outside_ / "secret") << "secret";
  }
  static std::optional<FilesystemStore::Owner> OwnerOf(const OrgId&) {
    if (::geteuid() != 0) return std::nullopt;
    return FilesystemStore::Owner{kOrgUid, kOrgUid};
  }
  Result<ObjectInfo> Put(const std::string& key, const std::string& bytes) {
    return PutObject(*store_, {OrgId("1"), "data", key}, bytes);
  }
  Result<std::string> Get(const std::string& key) {
    return GetObject(*store_, {OrgId("1"), "data", key});
  }
  Keys List(const std::string& delimiter = "") {
    return Names(
        store_->List(OrgId("1"), "data", {.prefix = {}, .delimiter = delimiter, .start_after = {}})
            .value());
  }
  void ExpectOutsideUntouched() {
    EXPECT_EQ(ReadFile(outside_ / "secret").value(), "secret");
    EXPECT_EQ(std::distance(fs::directory_iterator(outside_), {}), 1);
  }

  TempFolder folder_;
  std::unique_ptr<FilesystemStore> store_ =
      FilesystemStore::Open(folder_.path() / "objects", OwnerOf).value();
  fs::path bucket_;
  const fs::path outside_ = folder_.path() / "outside";
};

TEST_F(HostileTest, ALinkToAFileIsNoObjectAndAPutReplacesTheLink) {
  fs::create_symlink(outside_ / "secret", bucket_ / "link");
  EXPECT_TRUE(Fails(Get("link"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Stat(OrgId("1"), "data", "link"), Code::kNotFound));
  EXPECT_EQ(List(), Keys{});
  ASSERT_TRUE(Put("link", "mine").ok());
  EXPECT_FALSE(fs::is_symlink(bucket_ / "link"));
  EXPECT_EQ(Get("link").value(), "mine");
  ExpectOutsideUntouched();
}
TEST_F(HostileTest, ALinkToAFolderLeadsNowhere) {
  fs::create_directory_symlink(outside_, bucket_ / "folder");
  fs::create_directory_symlink("/proc/self/root", bucket_ / "root");
  EXPECT_TRUE(Fails(Get("folder/secret"), Code::kNotFound));
  EXPECT_TRUE(Fails(Get("root/etc/passwd"), Code::kNotFound));
  EXPECT_TRUE(Fails(Put("folder/new", "x"), Code::kFailedPrecondition));
  EXPECT_TRUE(Fails(Put("folder/sub/new", "x"), Code::kFailedPrecondition));
  EXPECT_TRUE(Fails(Put("folder/", ""), Code::kFailedPrecondition));
  EXPECT_TRUE(store_->Remove(OrgId("1"), "data", "folder/secret").ok())
      << "there is no such object";
  EXPECT_TRUE(store_->Remove(OrgId("1"), "data", "folder/").ok());
  EXPECT_EQ(List(), Keys{});
  EXPECT_EQ(List("/"), Keys{});
  EXPECT_EQ(Names(store_
                      ->List(OrgId("1"), "data",
                             {.prefix = "folder/", .delimiter = {}, .start_after = {}})
                      .value()),
            Keys{});
  ExpectOutsideUntouched();
  EXPECT_TRUE(store_->RemoveBucket(OrgId("1"), "data").ok());
  ExpectOutsideUntouched();
}
TEST_F(HostileTest, ABucketThatIsALinkIsNoBucket) {
  fs::create_directory_symlink(outside_, bucket_.parent_path() / "linked");
  EXPECT_TRUE(Fails(store_->Bucket(OrgId("1"), "linked"), Code::kNotFound));
  EXPECT_EQ(store_->Buckets(OrgId("1")).value().size(), 1U);
  EXPECT_TRUE(Fails(store_->MakeBucket(OrgId("1"), "linked"), Code::kAlreadyExists));
}
TEST_F(HostileTest, AFifoIsNoObjectAndNobodyWaitsForIt) {
  ASSERT_EQ(::mkfifo((bucket_ / "fifo").c_str(), 0666), 0);
  EXPECT_TRUE(Fails(Get("fifo"), Code::kNotFound));
  EXPECT_TRUE(Fails(Get("fifo/below"), Code::kNotFound));
  EXPECT_EQ(List(), Keys{});
  ASSERT_TRUE(Put("fifo", "mine").ok());
  EXPECT_EQ(Get("fifo").value(), "mine");
}
TEST_F(HostileTest, ASocketAndADeviceAreNoObjects) {
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (bucket_ / "s").string();
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(Fails(Get("s"), Code::kNotFound));
  if (::mknod((bucket_ / "zero").c_str(), S_IFCHR | 0666, static_cast<dev_t>(0x105)) == 0) {
    EXPECT_TRUE(Fails(Get("zero"), Code::kNotFound));  // as root; nobody else can plant one
  }
  EXPECT_EQ(List(), Keys{});
}
TEST_F(HostileTest, AHardLinkToAFileOfSomebodyElseIsNoObject) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root serves files of several users; run the tests as root to see this";
  }
  fs::create_hard_link(outside_ / "secret", bucket_ / "hard");
  EXPECT_TRUE(Fails(Get("hard"), Code::kNotFound));
  EXPECT_EQ(List(), Keys{});
  ASSERT_TRUE(Put("hard", "mine").ok());
  EXPECT_EQ(Get("hard").value(), "mine");
  ExpectOutsideUntouched();
}
TEST_F(HostileTest, WhatTheServerMakesIsTheOrganisations) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root can give files away; run the tests as root to see this";
  }
  ASSERT_TRUE(Put("a/b/c", "x").ok());
  ASSERT_TRUE(Put("m/", "").ok());
  for (const char* name : {"", "a", "a/b", "a/b/c", "m"}) {
    struct stat st {};
    ASSERT_EQ(::stat((bucket_ / name).c_str(), &st), 0) << name;
    EXPECT_EQ(st.st_uid, kOrgUid) << name;
    EXPECT_EQ(st.st_gid, kOrgUid) << name;
    EXPECT_EQ(st.st_mode & 0077, 0U) << name;
  }
  struct stat st {};
  ASSERT_EQ(::stat(bucket_.parent_path().c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 0U) << "jobs must not rename buckets";
}
TEST_F(HostileTest, AFolderThatTurnsIntoALinkWhileWeWriteLeadsNowhere) {
  std::atomic<bool> stop{false};
  std::thread job([&] {
    while (!stop) {
      std::error_code ignored;
      fs::create_directory(bucket_ / "f", ignored);
      fs::rename(bucket_ / "f", bucket_ / "g", ignored);
      fs::create_directory_symlink(outside_, bucket_ / "f", ignored);
      fs::remove(bucket_ / "f", ignored);
      fs::remove_all(bucket_ / "g", ignored);
    }
  });
  for (int i = 0; i < 60; ++i) {
    (void)Put("f/secret", "overwritten").ok();
    const auto read = Get("f/secret");
    if (read.ok()) {
      EXPECT_EQ(read.value(), "overwritten");
    }
    (void)store_->Remove(OrgId("1"), "data", "f/secret").ok();
    (void)List();
  }
  stop = true;
  job.join();
  ExpectOutsideUntouched();
}
TEST_F(HostileTest, NamesThatNoKeyCanHaveAreNotListedButKeepTheBucket) {
  std::ofstream(bucket_ / "bad\xff name") << "x";
  EXPECT_EQ(List(), Keys{});
  EXPECT_TRUE(Fails(store_->RemoveBucket(OrgId("1"), "data"), Code::kFailedPrecondition));
}
TEST_F(HostileTest, AttributesThatAJobForgedDoNotReachAHeader) {
  std::ofstream(bucket_ / "file") << "hello";
  const std::string forged = "1\n5\n0\nx\r\nSet-Cookie: a\n\ntext/plain";
  if (::setxattr((bucket_ / "file").c_str(), "user.cloudml.object", forged.data(), forged.size(),
                 0) != 0) {
    GTEST_SKIP() << "the temporary folder's file system has no extended attributes to forge";
  }
  const ObjectInfo info = store_->Stat(OrgId("1"), "data", "file").value();
  EXPECT_EQ(info.etag, "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(info.content_type, "application/octet-stream");
}
TEST_F(HostileTest, AVeryDeepTreeIsWalkedWithFewDescriptors) {
  fs::path deep = bucket_;
  for (int i = 0; i < 480; ++i) {
    deep /= "d";
    fs::create_directory(deep);
  }
  std::ofstream(deep / "leaf") << "x";
  const auto names = List();
  ASSERT_EQ(names.size(), 1U);
  EXPECT_TRUE(names[0].ends_with("/leaf"));
  EXPECT_EQ(List("/"), (Keys{"d/"}));
}

}  // namespace
}  // namespace cml::objectstore::testing
