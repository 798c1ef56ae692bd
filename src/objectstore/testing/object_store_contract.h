// objectstore/testing/object_store_contract.h — every implementation of ObjectStore runs this
// suite, in one .cc of a test program, as this header defines the tests:
//
//   INSTANTIATE_TEST_SUITE_P(Files, ObjectStoreContract, ::testing::Values(MakeObjectStore{…}));
//
// The maker returns a store in which organisations 1 and 2 have no bucket yet.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "objectstore/object_store.h"
#include "objectstore/testing/values.h"

namespace cml::objectstore::testing {

using MakeObjectStore = std::function<std::unique_ptr<ObjectStore>()>;
using Keys = std::vector<std::string>;

inline ListRequest Below(const std::string& prefix) {
  return {.prefix = prefix, .delimiter = {}, .start_after = {}};
}
inline ListRequest Folder(const std::string& prefix) {
  return {.prefix = prefix, .delimiter = "/", .start_after = {}};
}

class ObjectStoreContract : public ::testing::TestWithParam<MakeObjectStore> {
 protected:
  ObjectStoreContract() { EXPECT_TRUE(store_->MakeBucket(kOrg, kBucket).ok()); }

  Result<ObjectInfo> Put(const std::string& key, const std::string& bytes,
                         PutOptions options = {}) {
    return PutObject(*store_, {kOrg, kBucket, key}, bytes, std::move(options));
  }
  Result<std::string> Get(const std::string& key) {
    return GetObject(*store_, {kOrg, kBucket, key});
  }
  Result<ObjectInfo> Stat(const std::string& key) { return store_->Stat(kOrg, kBucket, key); }
  ListPage List(const ListRequest& request = {}) {
    auto page = store_->List(kOrg, kBucket, request);
    EXPECT_TRUE(page.ok()) << page.error().message();
    return page.ok() ? std::move(page).value() : ListPage{};
  }
  // Keys and common prefixes of all pages of `most`, in the order they came.
  Keys AllPages(ListRequest request, std::size_t most) {
    request.most = most;
    Keys all;
    for (int pages = 0; pages < 1000; ++pages) {
      const ListPage page = List(request);
      const Keys names = Names(page);
      EXPECT_LE(names.size(), most);
      all.insert(all.end(), names.begin(), names.end());
      if (!page.truncated) return all;
      EXPECT_FALSE(names.empty());
      request.start_after = page.next;
    }
    ADD_FAILURE() << "the list has no end";
    return all;
  }

  std::unique_ptr<ObjectStore> store_ = GetParam()();
  const OrgId kOrg{"1"};
  const OrgId kOther{"2"};
  const std::string kBucket = "data";
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ObjectStoreContract);

// ---- buckets

TEST_P(ObjectStoreContract, BucketsAreMadeListedAndRemoved) {
  ASSERT_TRUE(store_->MakeBucket(kOrg, "abc").ok());
  const auto buckets = store_->Buckets(kOrg);
  ASSERT_TRUE(buckets.ok());
  ASSERT_EQ(buckets.value().size(), 2U);
  EXPECT_EQ(buckets.value()[0].name, "abc");
  EXPECT_EQ(buckets.value()[1].name, "data");
  EXPECT_GT(buckets.value()[0].created, SysTime{});
  EXPECT_EQ(store_->Bucket(kOrg, "abc").value().name, "abc");
  EXPECT_TRUE(Fails(store_->MakeBucket(kOrg, "abc"), Code::kAlreadyExists));
  ASSERT_TRUE(store_->RemoveBucket(kOrg, "abc").ok());
  EXPECT_TRUE(Fails(store_->Bucket(kOrg, "abc"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->RemoveBucket(kOrg, "abc"), Code::kNotFound));
  EXPECT_TRUE(store_->MakeBucket(kOrg, "abc").ok());
}
TEST_P(ObjectStoreContract, OnlyAnEmptyBucketIsRemoved) {
  ASSERT_TRUE(Put("deep/down/key", "x").ok());
  EXPECT_TRUE(Fails(store_->RemoveBucket(kOrg, kBucket), Code::kFailedPrecondition));
  EXPECT_EQ(Get("deep/down/key").value(), "x");
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "deep/down/key").ok());
  EXPECT_TRUE(store_->RemoveBucket(kOrg, kBucket).ok());
}
TEST_P(ObjectStoreContract, AFolderMarkerKeepsABucket) {
  ASSERT_TRUE(Put("folder/", "").ok());
  EXPECT_TRUE(Fails(store_->RemoveBucket(kOrg, kBucket), Code::kFailedPrecondition));
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "folder/").ok());
  EXPECT_TRUE(store_->RemoveBucket(kOrg, kBucket).ok());
}
TEST_P(ObjectStoreContract, AnOrganisationSeesItsOwnBucketsOnly) {
  ASSERT_TRUE(Put("key", "mine").ok());
  EXPECT_TRUE(store_->Buckets(kOther).value().empty());
  EXPECT_TRUE(Fails(store_->Bucket(kOther, kBucket), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Stat(kOther, kBucket, "key"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Open(kOther, kBucket, "key"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Put(kOther, kBucket, "key", {}), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Remove(kOther, kBucket, "key"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->List(kOther, kBucket, {}), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->BeginUpload(kOther, kBucket, "key", {}), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->RemoveBucket(kOther, kBucket), Code::kNotFound));
  ASSERT_TRUE(store_->MakeBucket(kOther, kBucket).ok()) << "both may use the name";
  ASSERT_TRUE(PutObject(*store_, {kOther, kBucket, "key"}, "theirs").ok());
  EXPECT_EQ(Get("key").value(), "mine");
}
TEST_P(ObjectStoreContract, AllOfAnOrganisationGoesAtOnce) {
  ASSERT_TRUE(Put("deep/down/key", "x").ok());
  ASSERT_TRUE(store_->MakeBucket(kOrg, "another").ok());
  ASSERT_TRUE(store_->BeginUpload(kOrg, kBucket, "big", {}).ok());
  ASSERT_TRUE(store_->MakeBucket(kOther, kBucket).ok());
  ASSERT_TRUE(PutObject(*store_, {kOther, kBucket, "key"}, "theirs").ok());
  ASSERT_TRUE(store_->RemoveAllOf(kOrg).ok());
  EXPECT_TRUE(store_->Buckets(kOrg).value().empty());
  EXPECT_TRUE(Fails(store_->Stat(kOrg, kBucket, "deep/down/key"), Code::kNotFound));
  EXPECT_TRUE(store_->Stat(kOther, kBucket, "key").ok());
  EXPECT_TRUE(store_->RemoveAllOf(kOrg).ok()) << "again";
  ASSERT_TRUE(store_->MakeBucket(kOrg, kBucket).ok());
  EXPECT_TRUE(store_->List(kOrg, kBucket, {}).value().objects.empty());
}
TEST_P(ObjectStoreContract, BadNamesAreRefused) {
  for (const char* bucket : {"", "ab", "Upper", "under_score", "-a-", "a..b", "10.0.0.1", "../x",
                             "healthz", "openapi.yaml", "cloud_ml", "a/b"}) {
    EXPECT_TRUE(Fails(store_->MakeBucket(kOrg, bucket), Code::kInvalidArgument)) << bucket;
  }
  const Keys bad{"",         "/a",
                 "a//b",     ".",
                 "..",       "a/../b",
                 "a/./b",    "../../etc/passwd",
                 "/",        "a/..",
                 "\xff\xfe", std::string("a\0b", 3),
                 "a//",      std::string(256, 'x')};
  for (const std::string& key : bad) {
    EXPECT_TRUE(Fails(store_->Put(kOrg, kBucket, key, {}), Code::kInvalidArgument)) << key;
    EXPECT_TRUE(Fails(store_->Open(kOrg, kBucket, key), Code::kInvalidArgument)) << key;
    EXPECT_TRUE(Fails(store_->Stat(kOrg, kBucket, key), Code::kInvalidArgument)) << key;
    EXPECT_TRUE(Fails(store_->Remove(kOrg, kBucket, key), Code::kInvalidArgument)) << key;
  }
}
TEST_P(ObjectStoreContract, AKeyHasAtMost1024Bytes) {
  std::string longest;
  while (longest.size() + 101 < 1024) longest += std::string(100, 'k') + "/";
  longest += std::string(1024 - longest.size(), 'k');
  EXPECT_TRUE(Put(longest, "x").ok());
  EXPECT_TRUE(Fails(store_->Put(kOrg, kBucket, longest + "k", {}), Code::kInvalidArgument));
  EXPECT_EQ(Names(List()), Keys{longest});
}

TEST_P(ObjectStoreContract, TheSizeIsOfAllObjectsOfTheOrganisation) {
  EXPECT_EQ(store_->Size(kOrg).value(), 0U);
  EXPECT_EQ(store_->Size(kOther).value(), 0U);
  ASSERT_TRUE(store_->MakeBucket(kOrg, "more").ok());
  ASSERT_TRUE(store_->MakeBucket(kOther, kBucket).ok());
  ASSERT_TRUE(Put("a/b/c", std::string(1000, 'x')).ok());
  ASSERT_TRUE(Put("a/d", std::string(3 << 20, 'y')).ok());
  ASSERT_TRUE(PutObject(*store_, {kOrg, "more", "z"}, std::string(7, 'z')).ok());
  ASSERT_TRUE(PutObject(*store_, {kOther, kBucket, "z"}, std::string(5, 'z')).ok());
  EXPECT_EQ(store_->Size(kOrg).value(), 1007U + (3 << 20));
  EXPECT_EQ(store_->Size(kOther).value(), 5U);
  const auto upload = store_->BeginUpload(kOrg, kBucket, "up", {});
  ASSERT_TRUE(upload.ok());
  {
    const auto part = store_->PutPart(kOrg, kBucket, upload.value(), 1);
    ASSERT_TRUE(part.ok());
    ASSERT_TRUE(part.value()->Write(std::string(2000, 'p')).ok());
    ASSERT_TRUE(part.value()->Commit().ok());
  }
  const std::uint64_t with_part = store_->Size(kOrg).value();
  EXPECT_GE(with_part, 3007U + (3 << 20));  // and what the store itself notes of the upload
  EXPECT_LE(with_part, 4007U + (3 << 20));
  ASSERT_TRUE(store_->AbortUpload(kOrg, kBucket, upload.value()).ok());
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "a/d").ok());
  EXPECT_EQ(store_->Size(kOrg).value(), 1007U);
}

// ---- objects

TEST_P(ObjectStoreContract, AnObjectComesBackWithWhatWasSaidOfIt) {
  const std::map<std::string, std::string> metadata{{"who", "m\xc3\xa9 = 100%"}};
  const auto put = Put("a/b.txt", "hello", {"text/plain; charset=utf-8", metadata});
  ASSERT_TRUE(put.ok()) << put.error().message();
  const auto reader = store_->Open(kOrg, kBucket, "a/b.txt");
  ASSERT_TRUE(reader.ok());
  for (const ObjectInfo& info :
       {put.value(), Stat("a/b.txt").value(), reader.value()->info(), List().objects.at(0)}) {
    EXPECT_EQ(info.key, "a/b.txt");
    EXPECT_EQ(info.size, 5U);
    EXPECT_EQ(info.etag, "5d41402abc4b2a76b9719d911017c592");
    EXPECT_EQ(info.content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(info.metadata, metadata);
    EXPECT_GT(info.modified, SysTime{});
  }
  EXPECT_EQ(Get("a/b.txt").value(), "hello");
}
TEST_P(ObjectStoreContract, TypeAndMetadataHaveTheirDefaultsAndLimits) {
  ASSERT_TRUE(Put("key", "").ok());
  const ObjectInfo info = Stat("key").value();
  EXPECT_EQ(info.content_type, "application/octet-stream");
  EXPECT_EQ(info.etag, "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Get("key").value(), "");
  EXPECT_TRUE(Put("key", "", {"text/plain", {{"a", std::string(2040, 'v')}}}).ok());
  EXPECT_EQ(Stat("key").value().metadata.at("a").size(), 2040U);
  EXPECT_TRUE(Fails(Put("key", "", {"text/plain", {{"a", std::string(2048, 'v')}}}),
                    Code::kInvalidArgument));
}
TEST_P(ObjectStoreContract, RangesAreReadFromAnywhere) {
  ASSERT_TRUE(Put("key", "0123456789").ok());
  const auto reader = store_->Open(kOrg, kBucket, "key").value();
  EXPECT_EQ(reader->Read(7, 2).value(), "78");
  EXPECT_EQ(reader->Read(0, 3).value(), "012");
  EXPECT_EQ(reader->Read(8, 100).value(), "89");
  EXPECT_EQ(reader->Read(10, 100).value(), "");
  EXPECT_EQ(reader->Read(1000, 1).value(), "");
}
TEST_P(ObjectStoreContract, AnythingMayBeInAnObject) {
  std::string bytes;
  for (int i = 0; i < 3000000; ++i) bytes += static_cast<char>(i * 31 >> 3);
  const std::string key = "big \xe4\xbd\xa0\n name?*'\"<>&";
  ASSERT_TRUE(Put(key, bytes).ok());
  EXPECT_TRUE(Get(key).value() == bytes);
  EXPECT_EQ(Names(List()), Keys{key});
}
TEST_P(ObjectStoreContract, WhatIsNotThereIsNotFound) {
  EXPECT_TRUE(Fails(Stat("key"), Code::kNotFound));
  EXPECT_TRUE(Fails(Get("a/b/key"), Code::kNotFound));
  EXPECT_TRUE(store_->Remove(kOrg, kBucket, "key").ok());
  EXPECT_TRUE(store_->Remove(kOrg, kBucket, "a/b/key").ok());
  EXPECT_TRUE(Fails(store_->Stat(kOrg, "nothing", "key"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Put(kOrg, "nothing", "key", {}), Code::kNotFound));
  ASSERT_TRUE(Put("a/b", "x").ok());
  EXPECT_TRUE(Fails(Stat("a"), Code::kNotFound)) << "a folder is no object";
  EXPECT_TRUE(Fails(Stat("a/"), Code::kNotFound)) << "nobody put a marker";
  EXPECT_TRUE(Fails(Stat("a/b/"), Code::kNotFound));
  EXPECT_TRUE(Fails(Stat("a/b/c"), Code::kNotFound));
  EXPECT_TRUE(store_->Remove(kOrg, kBucket, "a").ok());
  EXPECT_TRUE(store_->Remove(kOrg, kBucket, "a/").ok());
  EXPECT_TRUE(store_->Remove(kOrg, kBucket, "a/b/c").ok());
  EXPECT_EQ(Get("a/b").value(), "x");
}
TEST_P(ObjectStoreContract, APutThatIsNotCommittedChangesNothing) {
  ASSERT_TRUE(Put("key", "old").ok());
  {
    const auto writer = store_->Put(kOrg, kBucket, "key", {}).value();
    ASSERT_TRUE(writer->Write("new").ok());
    EXPECT_EQ(Get("key").value(), "old");
  }
  EXPECT_EQ(Get("key").value(), "old");
  EXPECT_EQ(List().objects.size(), 1U) << "nothing of it is seen in the bucket";
}
TEST_P(ObjectStoreContract, AReaderKeepsTheObjectItHasOpened) {
  ASSERT_TRUE(Put("key", "old", {"text/old", {}}).ok());
  const auto reader = store_->Open(kOrg, kBucket, "key").value();
  ASSERT_TRUE(Put("key", "newer", {"text/new", {}}).ok());
  EXPECT_EQ(reader->Read(0, 100).value(), "old");
  EXPECT_EQ(reader->info().content_type, "text/old");
  EXPECT_EQ(Get("key").value(), "newer");
  EXPECT_EQ(Stat("key").value().content_type, "text/new");
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "key").ok());
  EXPECT_EQ(reader->Read(0, 2).value(), "ol");
}
TEST_P(ObjectStoreContract, ReadersSeeOneOfTheConcurrentPutsWhole) {
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  ASSERT_TRUE(Put("key", std::string(10000, '0')).ok());
  std::thread reader([&] {
    while (!stop) {
      const auto bytes = Get("key");
      if (!bytes.ok() || bytes.value() != std::string(10000, bytes.value()[0])) ++torn;
    }
  });
  std::vector<std::thread> writers;
  for (int t = 1; t <= 3; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        if (!Put("key", std::string(10000, static_cast<char>('0' + t))).ok()) ++torn;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}
TEST_P(ObjectStoreContract, PutsAndRemovesInOneFolderDoNotHurtEachOther) {
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string key = "shared/folder/" + std::to_string(t);
      for (int i = 0; i < 25; ++i) {
        if (!Put(key, "x").ok() || !Stat(key).ok()) ++failed;
        if (!store_->Remove(kOrg, kBucket, key).ok()) ++failed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(AllPages({}, 10), Keys{});
}

// ---- lists

TEST_P(ObjectStoreContract, KeysAreListedInTheOrderOfTheirBytes) {
  const Keys all{"B",     "a",   "a-b", "a.b", "a0",  "ab/c", "ab0",     "b/a/1",
                 "b/a/2", "b/b", "c",   "d.x", "d/x", "d0",   "\xc3\xa9"};
  for (auto it = all.rbegin(); it != all.rend(); ++it) ASSERT_TRUE(Put(*it, "x").ok()) << *it;
  EXPECT_EQ(Names(List()), all);
  for (const std::size_t most : {1U, 2U, 3U, 7U, 14U, 15U}) {
    EXPECT_EQ(AllPages({}, most), all) << most;
  }
  EXPECT_EQ(Names(List(Below("b/"))), (Keys{"b/a/1", "b/a/2", "b/b"}));
  EXPECT_EQ(Names(List(Below("a"))), (Keys{"a", "a-b", "a.b", "a0", "ab/c", "ab0"}));
  EXPECT_EQ(Names(List(Below("b/a"))), (Keys{"b/a/1", "b/a/2"}));
  EXPECT_EQ(Names(List(Below("zzz"))), Keys{});
  EXPECT_EQ(Names(List(Below("b/a/1/"))), Keys{});
  EXPECT_EQ(Names(List(Below("/"))), Keys{});
  EXPECT_EQ(Names(List(Below("../"))), Keys{});
  EXPECT_EQ(Names(List(Below("b/../b/"))), Keys{});
  ListRequest request;
  request.start_after = "b/a/1";
  EXPECT_EQ(Names(List(request)), (Keys{"b/a/2", "b/b", "c", "d.x", "d/x", "d0", "\xc3\xa9"}));
  request.prefix = "b/";
  request.start_after = "b/a/9";
  EXPECT_EQ(Names(List(request)), (Keys{"b/b"}));
}
TEST_P(ObjectStoreContract, ADelimiterRollsKeysUp) {
  for (const char* key : {"a", "b/1", "b/2", "b/c/3", "d.x", "d/4", "e"}) {
    ASSERT_TRUE(Put(key, "x").ok());
  }
  const ListPage page = List(Folder(""));
  EXPECT_EQ(page.common_prefixes, (Keys{"b/", "d/"}));
  EXPECT_EQ(page.objects.size(), 3U);
  EXPECT_FALSE(page.truncated);
  for (const std::size_t most : {1U, 2U, 4U, 5U}) {
    EXPECT_EQ(AllPages(Folder(""), most), (Keys{"a", "b/", "d.x", "d/", "e"})) << most;
  }
  EXPECT_EQ(Names(List(Folder("b/"))), (Keys{"b/1", "b/2", "b/c/"}));
  EXPECT_EQ(Names(List(Folder("b"))), (Keys{"b/"}));
  ListRequest request = Folder("");
  request.start_after = "b/2";
  EXPECT_EQ(Names(List(request)), (Keys{"b/", "d.x", "d/", "e"})) << "b/c/3 is still to come";
  request.start_after = "b/z";
  EXPECT_EQ(Names(List(request)), (Keys{"d.x", "d/", "e"}));
  request.delimiter = "x";
  EXPECT_TRUE(Fails(store_->List(kOrg, kBucket, request), Code::kInvalidArgument));
}
TEST_P(ObjectStoreContract, APageSaysWhetherThereIsMore) {
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(Put(key, "x").ok());
  ListRequest request;
  request.most = 2;
  ListPage page = List(request);
  EXPECT_TRUE(page.truncated);
  EXPECT_EQ(page.next, "b");
  request.most = 3;
  page = List(request);
  EXPECT_FALSE(page.truncated);
  EXPECT_EQ(page.next, "");
  request.most = 0;
  page = List(request);
  EXPECT_FALSE(page.truncated);
  EXPECT_TRUE(page.objects.empty());
}
TEST_P(ObjectStoreContract, AFolderWithoutObjectsIsNotListed) {
  ASSERT_TRUE(Put("a/b/c/d", "x").ok());
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "a/b/c/d").ok());
  EXPECT_EQ(Names(List(Folder(""))), Keys{});
  EXPECT_TRUE(Put("a", "now an object").ok());
}

// ---- folder markers

TEST_P(ObjectStoreContract, AFolderMarkerIsAnObjectWithoutBytes) {
  ASSERT_TRUE(Put("f/", "", {"application/x-directory", {{"a", "b"}}}).ok());
  const auto info = Stat("f/");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info.value().size, 0U);
  EXPECT_EQ(info.value().content_type, "application/x-directory");
  EXPECT_EQ(info.value().metadata.at("a"), "b");
  EXPECT_EQ(Get("f/").value(), "");
  ASSERT_TRUE(Put("f/x", "1").ok());
  EXPECT_EQ(Names(List()), (Keys{"f/", "f/x"}));
  EXPECT_EQ(AllPages({}, 1), (Keys{"f/", "f/x"}));
  EXPECT_EQ(Names(List(Folder(""))), (Keys{"f/"}));
  EXPECT_EQ(Names(List(Folder("f/"))), (Keys{"f/", "f/x"}));
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "f/x").ok());
  EXPECT_EQ(Names(List()), (Keys{"f/"})) << "the marker stays";
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "f/").ok());
  EXPECT_EQ(Names(List()), Keys{});
  EXPECT_TRUE(Fails(Stat("f/"), Code::kNotFound));
  EXPECT_TRUE(Fails(Put("g/", "bytes"), Code::kInvalidArgument));
}
TEST_P(ObjectStoreContract, RemovingAMarkerLeavesWhatIsBelow) {
  ASSERT_TRUE(Put("f/", "").ok());
  ASSERT_TRUE(Put("f/x", "1").ok());
  ASSERT_TRUE(store_->Remove(kOrg, kBucket, "f/").ok());
  EXPECT_EQ(Names(List()), (Keys{"f/x"}));
}

// ---- multipart uploads

TEST_P(ObjectStoreContract, AnUploadInPartsBecomesOneObject) {
  const std::string big(5 << 20, 'a');
  const std::string upload =
      store_->BeginUpload(kOrg, kBucket, "dir/big", {"text/x", {{"k", "v"}}}).value();
  const auto put = [&](int number, const std::string& bytes) {
    const auto writer = store_->PutPart(kOrg, kBucket, upload, number).value();
    EXPECT_TRUE(writer->Write(bytes).ok());
    return writer->Commit().value();
  };
  put(2, "to be replaced");
  put(1, big);
  const ObjectInfo last = put(2, "the end");
  const auto parts = store_->Parts(kOrg, kBucket, upload).value();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].number, 1);
  EXPECT_EQ(parts[0].size, big.size());
  EXPECT_EQ(parts[1].etag, last.etag);
  EXPECT_EQ(parts[1].size, 7U);
  EXPECT_TRUE(Fails(Stat("dir/big"), Code::kNotFound)) << "not yet";
  EXPECT_EQ(Names(List()), Keys{});
  const auto info = store_->CompleteUpload(kOrg, kBucket, upload, parts);
  ASSERT_TRUE(info.ok()) << info.error().message();
  // The MD5 of the two parts' MD5s, from Python's hashlib.
  EXPECT_EQ(info.value().etag, "dc2bc882b07e1e67a48bed8997ce6caf-2");
  EXPECT_EQ(info.value().content_type, "text/x");
  EXPECT_EQ(Stat("dir/big").value().etag, info.value().etag);
  EXPECT_EQ(Stat("dir/big").value().metadata.at("k"), "v");
  EXPECT_TRUE(Get("dir/big").value() == big + "the end");
  EXPECT_TRUE(Fails(store_->Parts(kOrg, kBucket, upload), Code::kNotFound));
}
TEST_P(ObjectStoreContract, PartsMustBeThereWholeAndInOrder) {
  const std::string upload = store_->BeginUpload(kOrg, kBucket, "key", {}).value();
  EXPECT_TRUE(Fails(store_->CompleteUpload(kOrg, kBucket, upload, {}), Code::kInvalidArgument));
  for (const int number : {1, 2}) {
    const auto writer = store_->PutPart(kOrg, kBucket, upload, number).value();
    ASSERT_TRUE(writer->Write("small").ok());
    ASSERT_TRUE(writer->Commit().ok());
  }
  const std::string md5 = "eb5c1399a871211c7e7ed732d15e3a8b";
  const std::vector<std::vector<PartInfo>> wrong{
      {{1, 5, md5}, {2, 5, md5}},  // the first is too small
      {{2, 5, md5}, {1, 5, md5}},
      {{3, 5, md5}},
      {{1, 5, "5d41402abc4b2a76b9719d911017c592"}},
      {{1, 5, md5}, {1, 5, md5}}};
  for (const auto& parts : wrong) {
    EXPECT_TRUE(
        Fails(store_->CompleteUpload(kOrg, kBucket, upload, parts), Code::kInvalidArgument));
  }
  EXPECT_TRUE(Fails(store_->PutPart(kOrg, kBucket, upload, 0), Code::kInvalidArgument));
  EXPECT_TRUE(Fails(store_->PutPart(kOrg, kBucket, upload, 10001), Code::kInvalidArgument));
  EXPECT_TRUE(store_->CompleteUpload(kOrg, kBucket, upload, {{2, 5, md5}}).ok());
  EXPECT_EQ(Get("key").value(), "small");
}
TEST_P(ObjectStoreContract, AnAbortedUploadIsGone) {
  const std::string upload = store_->BeginUpload(kOrg, kBucket, "key", {}).value();
  EXPECT_TRUE(Fails(store_->Parts(kOther, kBucket, upload), Code::kNotFound));
  ASSERT_TRUE(store_->MakeBucket(kOther, kBucket).ok());
  EXPECT_TRUE(Fails(store_->Parts(kOther, kBucket, upload), Code::kNotFound));
  ASSERT_TRUE(store_->AbortUpload(kOrg, kBucket, upload).ok());
  EXPECT_TRUE(Fails(store_->AbortUpload(kOrg, kBucket, upload), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->PutPart(kOrg, kBucket, upload, 1), Code::kNotFound));
  for (const char* id : {"", "../../1/data", "."}) {
    EXPECT_TRUE(Fails(store_->Parts(kOrg, kBucket, id), Code::kNotFound)) << id;
  }
}

}  // namespace cml::objectstore::testing
