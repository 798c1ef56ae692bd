// Pages of random buckets against the plain meaning of a list: all keys sorted, filtered, rolled
// up.
#include <algorithm>
#include <iostream>
#include <random>
#include <set>

#include "base/file.h"
#include "objectstore/filesystem/filesystem_store.h"
#include "objectstore/testing/values.h"

namespace cml::objectstore::testing {
namespace {

using Keys = std::vector<std::string>;

std::optional<FilesystemStore::Owner> Nobody(const OrgId&) { return std::nullopt; }

// What S3's ListObjectsV2 gives for these keys.
Keys Expected(const std::set<std::string>& keys, const ListRequest& request) {
  Keys listed;
  for (const std::string& key : keys) {
    if (!key.starts_with(request.prefix) || key <= request.start_after) continue;
    const std::size_t cut = request.delimiter.empty()
                                ? std::string::npos
                                : key.find(request.delimiter, request.prefix.size());
    const std::string name = cut == std::string::npos ? key : key.substr(0, cut + 1);
    if (name == request.start_after) continue;
    if (listed.empty() || listed.back() != name) listed.push_back(name);
  }
  return listed;
}

class ListerTest : public ::testing::Test {
 protected:
  std::string Pick(const Keys& from) { return from[random_() % from.size()]; }

  // Short parts of few characters around '/', so that all orders occur.
  std::string RandomKey() {
    const Keys parts{"a", "b", "a.", "a-", "a0", "aa", ".a", "-", "0", "\xc3\xa9", "a b", "~"};
    std::string key = Pick(parts);
    while (random_() % 2 == 0) key += "/" + Pick(parts);
    if (random_() % 8 == 0) key += "/";
    return key;
  }

  void FillBucket() {
    for (int i = 0; i < 60; ++i) {
      const std::string key = RandomKey();
      if (PutObject(*store_, {OrgId("1"), "data", key}, "").ok()) keys_.insert(key);
    }
    for (int i = 0; i < 15; ++i) {
      const std::string key = RandomKey();
      ASSERT_TRUE(store_->Remove(OrgId("1"), "data", key).ok());
      keys_.erase(key);
    }
  }

  Keys AllPages(ListRequest request) {
    Keys all;
    for (;;) {
      const ListPage page = store_->List(OrgId("1"), "data", request).value();
      const Keys names = Names(page);
      all.insert(all.end(), names.begin(), names.end());
      if (!page.truncated || all.size() > 1000) return all;
      request.start_after = page.next;
    }
  }

  const unsigned seed_ = std::random_device()();
  std::mt19937 random_{seed_};
  TempFolder folder_;
  std::unique_ptr<FilesystemStore> store_ =
      FilesystemStore::Open(folder_.path() / "objects", Nobody).value();
  std::set<std::string> keys_;
};

TEST_F(ListerTest, PagesOfRandomBucketsAreWhatTheyShouldBe) {
  std::cout << "seed " << seed_ << "\n";
  ASSERT_TRUE(store_->MakeBucket(OrgId("1"), "data").ok());
  for (int round = 0; round < 3; ++round) {
    FillBucket();
    for (int i = 0; i < 60; ++i) {
      ListRequest request;
      request.delimiter = random_() % 2 == 0 ? "/" : "";
      if (random_() % 2 == 0) request.prefix = RandomKey().substr(0, 1 + random_() % 4);
      if (random_() % 2 == 0) request.start_after = RandomKey();
      request.most = 1 + random_() % 9;
      ASSERT_EQ(AllPages(request), Expected(keys_, request))
          << "seed " << seed_ << " prefix '" << request.prefix << "' after '" << request.start_after
          << "' delimiter '" << request.delimiter << "' most " << request.most;
    }
  }
}

}  // namespace
}  // namespace cml::objectstore::testing
