#include "objectstore/filesystem/filesystem_store.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iostream>
#include <random>

#include "base/strings.h"
#include "objectstore/testing/object_store_contract.h"

namespace cml::objectstore::testing {
namespace {
namespace fs = std::filesystem;

std::optional<FilesystemStore::Owner> Nobody(const OrgId&) { return std::nullopt; }

std::unique_ptr<ObjectStore> NewStore(FilesystemStore::AttributeMode mode) {
  static const TempFolder folder;  // goes with the process
  static int number = 0;
  auto store = FilesystemStore::Open(folder.path() / std::to_string(++number), Nobody, mode);
  EXPECT_TRUE(store.ok()) << store.error().message();
  return std::move(store).value();
}
INSTANTIATE_TEST_SUITE_P(Filesystem, ObjectStoreContract, ::testing::Values(MakeObjectStore{[] {
                           return NewStore(FilesystemStore::AttributeMode::kBestThereIs);
                         }}));
INSTANTIATE_TEST_SUITE_P(FilesystemWithoutExtendedAttributes, ObjectStoreContract,
                         ::testing::Values(MakeObjectStore{[] {
                           return NewStore(FilesystemStore::AttributeMode::kFilesBeside);
                         }}));

class FilesystemStoreTest : public ::testing::Test {
 protected:
  FilesystemStoreTest() {
    Reopen();
    EXPECT_TRUE(store_->MakeBucket(OrgId("1"), "data").ok());
    bucket_ = store_->BucketFolder(OrgId("1"), "data").value();
  }
  void Reopen() {
    store_.reset();
    store_ = FilesystemStore::Open(folder_.path() / "objects", Nobody).value();
  }
  // As a job does it.
  void Write(const std::string& name, const std::string& bytes) {
    fs::create_directories((bucket_ / name).parent_path());
    std::ofstream(bucket_ / name, std::ios::trunc) << bytes;
  }
  // So that it counts as settled.
  void MakeOld(const std::string& name) {
    timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (bucket_ / name).c_str(), times, 0), 0);
  }
  Result<ObjectInfo> Put(const std::string& key, const std::string& bytes) {
    return PutObject(*store_, {OrgId("1"), "data", key}, bytes);
  }
  Result<std::string> Get(const std::string& key) {
    return GetObject(*store_, {OrgId("1"), "data", key});
  }
  Result<ObjectInfo> Stat(const std::string& key) { return store_->Stat(OrgId("1"), "data", key); }
  ListPage List(const ListRequest& request = {}) {
    return store_->List(OrgId("1"), "data", request).value();
  }

  TempFolder folder_;
  std::unique_ptr<FilesystemStore> store_;
  fs::path bucket_;
};

TEST_F(FilesystemStoreTest, AnObjectIsAPlainFileForJobs) {
  ASSERT_TRUE(Put("model/1/weights", "w").ok());
  EXPECT_EQ(ReadFile(bucket_ / "model/1/weights").value(), "w");
  EXPECT_EQ(bucket_, folder_.path() / "objects/1/data");
}
TEST_F(FilesystemStoreTest, WhatAJobWroteIsAnObjectAtOnce) {
  Write("out/events", "hello");
  EXPECT_EQ(Get("out/events").value(), "hello");
  const ObjectInfo info = Stat("out/events").value();
  EXPECT_EQ(info.etag, "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(info.size, 5U);
  EXPECT_EQ(info.content_type, "application/octet-stream");
  EXPECT_EQ(Names(List()), (Keys{"out/events"}));
}
TEST_F(FilesystemStoreTest, TheChecksumOfAJobsFileIsRememberedWhenSomebodyHasAsked) {
  Write("file", "hello");
  MakeOld("file");
  EXPECT_EQ(List().objects.at(0).etag, "") << "a list computes nothing";
  ASSERT_TRUE(Stat("file").ok());
  EXPECT_EQ(List().objects.at(0).etag, "5d41402abc4b2a76b9719d911017c592");
  Write("file", "other");
  EXPECT_EQ(List().objects.at(0).etag, "") << "the file has changed";
  EXPECT_EQ(Stat("file").value().etag, "795f3202b17cb6bc3d4b771d8c6c9eaf");
}
TEST_F(FilesystemStoreTest, AnObjectThatAJobRewroteIsANewOne) {
  ASSERT_TRUE(
      PutObject(*store_, {OrgId("1"), "data", "file"}, "old", {"text/x", {{"a", "b"}}}).ok());
  Write("file", "newer");
  const ObjectInfo info = Stat("file").value();
  EXPECT_EQ(info.content_type, "application/octet-stream");
  EXPECT_TRUE(info.metadata.empty());
  EXPECT_EQ(Get("file").value(), "newer");
}
TEST_F(FilesystemStoreTest, ABigFileOfAJobIsNotReadToBeDescribed) {
  Write("big", "");
  fs::resize_file(bucket_ / "big", 65U << 20);
  MakeOld("big");
  const std::string etag = Stat("big").value().etag;
  EXPECT_TRUE(etag.ends_with("-0")) << etag;
  EXPECT_EQ(Stat("big").value().etag, etag);
  EXPECT_EQ(Get("big").value().size(), 65U << 20);
  EXPECT_EQ(Stat("big").value().etag, etag) << "also after it was read";
  fs::resize_file(bucket_ / "big", 66U << 20);
  EXPECT_NE(Stat("big").value().etag, etag);
}
TEST_F(FilesystemStoreTest, DamagedBytesAreDataLossAndNotDelivered) {
  ASSERT_TRUE(Put("file", "precious").ok());
  struct stat st {};
  ASSERT_EQ(::stat((bucket_ / "file").c_str(), &st), 0);
  {
    const Fd fd = OpenFile(bucket_ / "file", O_WRONLY).value();
    ASSERT_EQ(::pwrite(fd.get(), "P", 1, 0), 1);
    const timespec times[2] = {st.st_atim, st.st_mtim};
    ASSERT_EQ(::futimens(fd.get(), times), 0);
  }
  EXPECT_TRUE(Fails(Get("file"), Code::kDataLoss));
}
TEST_F(FilesystemStoreTest, AFileThatShrinksWhileItIsReadIsNoWholeObject) {
  ASSERT_TRUE(Put("file", "precious").ok());
  const auto reader = store_->Open(OrgId("1"), "data", "file").value();
  fs::resize_file(bucket_ / "file", 2);
  EXPECT_EQ(reader->Read(0, 100).value(), "pr");
  EXPECT_TRUE(Fails(reader->Read(2, 100), Code::kUnavailable));
}
TEST_F(FilesystemStoreTest, EmptyFoldersOfJobsAreNoObjects) {
  fs::create_directories(bucket_ / "a/b/c");
  EXPECT_EQ(Names(List()), Keys{});
  EXPECT_EQ(Names(List(Folder(""))), Keys{});
  EXPECT_TRUE(Fails(Stat("a/"), Code::kNotFound));
  EXPECT_TRUE(store_->RemoveBucket(OrgId("1"), "data").ok());
}
TEST_F(FilesystemStoreTest, AKeyBelowAnObjectIsRefusedAndNamed) {
  ASSERT_TRUE(Put("a", "x").ok());
  const auto below = Put("a/b/c", "y");
  ASSERT_TRUE(Fails(below, Code::kFailedPrecondition));
  EXPECT_NE(below.error().message().find("\"a\""), std::string::npos) << below.error().message();
  EXPECT_TRUE(Fails(Put("a/", ""), Code::kFailedPrecondition));
  EXPECT_EQ(Get("a").value(), "x");
}
TEST_F(FilesystemStoreTest, AKeyThatIsAFolderOfObjectsIsRefused) {
  ASSERT_TRUE(Put("a/b", "x").ok());
  const auto above = Put("a", "y");
  ASSERT_TRUE(Fails(above, Code::kFailedPrecondition));
  EXPECT_NE(above.error().message().find("\"a/\""), std::string::npos) << above.error().message();
  EXPECT_EQ(Get("a/b").value(), "x");
  fs::create_directories(bucket_ / "empty");
  EXPECT_TRUE(Put("empty", "z").ok()) << "a folder that nobody put makes way";
}
TEST_F(FilesystemStoreTest, NothingIsLeftOfWritesThatACrashCutOff) {
  const fs::path left = folder_.path() / "objects/.staging/put-left";
  std::ofstream(left) << "half";
  ASSERT_TRUE(Put("kept", "x").ok());
  const std::string upload = store_->BeginUpload(OrgId("1"), "data", "big", {}).value();
  Reopen();
  EXPECT_FALSE(fs::exists(left));
  EXPECT_EQ(Get("kept").value(), "x");
  EXPECT_TRUE(store_->Parts(OrgId("1"), "data", upload).ok()) << "uploads go on after a restart";
}
TEST_F(FilesystemStoreTest, UploadsThatNobodyTouchesGoAfterAWeek) {
  const std::string upload = store_->BeginUpload(OrgId("1"), "data", "big", {}).value();
  const fs::path folder = folder_.path() / "objects/.uploads/1/data" / upload;
  fs::last_write_time(folder, fs::file_time_type::clock::now() - std::chrono::hours(24 * 8));
  Reopen();
  EXPECT_FALSE(fs::exists(folder));
}
TEST_F(FilesystemStoreTest, ARemovedBucketTakesItsUploads) {
  const std::string upload = store_->BeginUpload(OrgId("1"), "data", "big", {}).value();
  ASSERT_TRUE(store_->RemoveBucket(OrgId("1"), "data").ok());
  ASSERT_TRUE(store_->MakeBucket(OrgId("1"), "data").ok());
  EXPECT_TRUE(Fails(store_->Parts(OrgId("1"), "data", upload), Code::kNotFound));
}
TEST_F(FilesystemStoreTest, AFullDiskIsAClearErrorAndLeavesNothing) {
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_TRUE(Put("old", "x").ok());
  rlimit was{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &was), 0);
  rlimit small = was;
  small.rlim_cur = 100000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto put = Put("old", std::string(200000, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &was), 0);
  ASSERT_TRUE(Fails(put, Code::kUnavailable));
  EXPECT_NE(put.error().message().find("no space left"), std::string::npos);
  EXPECT_EQ(Get("old").value(), "x");
  EXPECT_TRUE(fs::is_empty(folder_.path() / "objects/.staging"));
  EXPECT_TRUE(Put("old", std::string(200000, 'x')).ok());
}
// The child: puts new and replaced objects and says on `out` which were acknowledged.
[[noreturn]] void PutUntilKilled(ObjectStore& store, int round, int out) {
  for (int n = 0;; ++n) {
    const std::string key = "r" + std::to_string(round) + "/" + std::to_string(n % 20);
    const std::string bytes(1000 + static_cast<std::size_t>(n), static_cast<char>('a' + n % 26));
    if (!PutObject(store, {OrgId("1"), "data", key}, bytes).ok()) _exit(3);
    const std::string line = std::to_string(n) + "\n";
    if (::write(out, line.data(), line.size()) < 0) _exit(4);
  }
}
TEST_F(FilesystemStoreTest, AcknowledgedObjectsSurviveKillMinusNineWhole) {
  const unsigned seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) PutUntilKilled(*store_, round, ends[1]);
    ::close(ends[1]);
    std::string said;  // killed once it has said this much
    const std::size_t enough = 1 + random() % 200;
    char buffer[256];
    for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
      said.append(buffer, static_cast<std::size_t>(n));
      if (said.size() >= enough) ::kill(child, SIGKILL);
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child left by itself: " << WEXITSTATUS(status);
    Reopen();
    const auto acknowledged = static_cast<int>(std::ranges::count(said, '\n'));
    for (int key = 0; key < std::min(20, acknowledged); ++key) {
      const auto bytes = Get("r" + std::to_string(round) + "/" + std::to_string(key));
      ASSERT_TRUE(bytes.ok()) << bytes.error().message() << ", seed " << seed;
      // What was acknowledged last, or the one after it that had no time to say so.
      const int last = acknowledged - 1 - (acknowledged - 1 - key) % 20;
      const auto n = static_cast<int>(bytes.value().size()) - 1000;
      ASSERT_TRUE(n == last || (n == last + 20 && n == acknowledged)) << n << " for " << last;
      ASSERT_EQ(bytes.value(), std::string(bytes.value().size(), static_cast<char>('a' + n % 26)));
    }
    EXPECT_TRUE(fs::is_empty(folder_.path() / "objects/.staging"));
  }
}
TEST_F(FilesystemStoreTest, MessagesDoNotShowTheServersPaths) {
  const std::string path = folder_.path().string();
  EXPECT_EQ(Stat("a").error().message().find(path), std::string::npos);
  EXPECT_EQ(store_->Bucket(OrgId("1"), "nope").error().message().find(path), std::string::npos);
}

}  // namespace
}  // namespace cml::objectstore::testing
