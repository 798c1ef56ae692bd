#include "app/package_fetch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "base/archive.h"
#include "base/file.h"
#include "net/http_server.h"
#include "net/signing.h"
#include "net/testing/test_server.h"
#include "objectstore/testing/memory_object_store.h"
#include "store/testing/memory_store.h"

namespace cml::app {
namespace {

class FixedClock final : public Clock {
 public:
  SysTime Now() const override { return SysTime{std::chrono::seconds{1519107399}}; }  // 20 Feb 2018 06:16:39
};
class PlainBox final : public service::SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view) const override { return std::string(plain); }
  Result<Secret> Open(std::string_view sealed, std::string_view) const override { return Secret(std::string(sealed)); }
};

// A web server whose answers the test lays out by path; it remembers what it was asked.
class PackageFetchTest : public ::testing::Test {
 protected:
  PackageFetchTest() {
    org_ = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    ApiKey key;
    key.access_key = AccessKey{"ak"};
    key.org = org_;
    key.sealed_secret = "sk";
    EXPECT_TRUE(store_.PutKey(key).ok());
    EXPECT_TRUE(objects_.MakeBucket(org_, "default").ok());
    const auto tree = folder_.path() / "trainer";
    EXPECT_TRUE(MakeFolders(tree / "trainer").ok());
    EXPECT_TRUE(WriteFileAtomically(tree / "setup.py", "# setup\n").ok());
    EXPECT_TRUE(WriteFileAtomically(tree / "trainer" / "task.py", "print(1)\n").ok());
    EXPECT_TRUE(PackFolder(tree, folder_.path() / "packed").ok());
    package_ = ReadFile(folder_.path() / "packed").value();
    server_ = net::testing::Start({}, [this](const net::Request&) {
      net::Route route;
      route.handle = [this](const net::Request& rq) { return Answer(rq); };
      return route;
    });
  }

  net::Response Answer(const net::Request& rq) {
    net::Response r;
    const std::lock_guard lock(mu_);
    asked_.push_back(rq);
    const auto it = pages_.find(rq.path);
    r.status = it == pages_.end() ? 404 : it->second.first;
    if (r.status == 302) {
      r.headers.Add("Location", it->second.second);
      r.body = "it has moved";
    } else {
      r.body = it == pages_.end() ? "no such page" : it->second.second;
    }
    return r;
  }
  void Serve(const std::string& path, int status, std::string body) {
    const std::lock_guard lock(mu_);
    pages_[path] = {status, std::move(body)};
  }
  std::vector<net::Request> Asked() {
    const std::lock_guard lock(mu_);
    return asked_;
  }
  std::string Host() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  void Store(const std::string& key, const std::string& bytes) {
    auto writer = objects_.Put(org_, "default", key, {}).value();
    EXPECT_TRUE(writer->Write(bytes).ok());
    EXPECT_TRUE(writer->Commit().ok());
  }
  Status Fetch(const std::string& uri, const std::string& endpoint = "", const std::string& as = "ak") {
    to_ = folder_.path() / std::to_string(++fetched_);
    return fetch_(org_, {uri, "package", endpoint, AccessKey{as}}, to_);
  }
  Code CodeOf(const Status& s) { return s.ok() ? Code::kInternal : s.error().code(); }

  const TempFolder folder_;
  FixedClock clock_;
  PlainBox box_;
  store::testing::MemoryStore store_;
  objectstore::MemoryObjectStore objects_{clock_};
  service::Orgs orgs_{store_, box_, clock_};
  OrgId org_;
  PackageFetch fetch_{objects_, orgs_, clock_};
  std::string package_;
  std::filesystem::path to_;
  int fetched_ = 0;
  std::mutex mu_;
  std::map<std::string, std::pair<int, std::string>> pages_;  // guarded by mu_
  std::vector<net::Request> asked_;                           // guarded by mu_
  std::unique_ptr<net::HttpServer> server_;                   // last: ends before what it uses
};

TEST_F(PackageFetchTest, FromThePlatformsOwnStore) {
  Store("user_packages/trainer-1.0.tar.gz", package_);
  ASSERT_TRUE(Fetch("fds://default/user_packages/trainer-1.0.tar.gz").ok());
  EXPECT_EQ(ReadFile(to_).value(), package_);
  EXPECT_TRUE(Asked().empty());
  EXPECT_EQ(CodeOf(Fetch("fds://default/other.tar.gz")), Code::kNotFound);
  EXPECT_EQ(CodeOf(Fetch("fds://nobodys/other.tar.gz")), Code::kNotFound);
  EXPECT_EQ(CodeOf(Fetch("fds://default")), Code::kInvalidArgument);
}

TEST_F(PackageFetchTest, AnotherOrganisationsBucketIsNotThere) {
  Store("trainer.tar.gz", package_);
  const Status refused = fetch_(OrgId{"99"}, {"fds://default/trainer.tar.gz", "p", "", AccessKey{"ak"}}, folder_.path() / "x");
  EXPECT_EQ(CodeOf(refused), Code::kNotFound);
}

TEST_F(PackageFetchTest, FromAWebServer) {
  Serve("/trainer.tar.gz", 200, package_);
  Serve("/moved", 302, "/trainer.tar.gz");
  ASSERT_TRUE(Fetch("http://" + Host() + "/trainer.tar.gz").ok());
  EXPECT_EQ(ReadFile(to_).value(), package_);
  ASSERT_TRUE(Fetch("http://" + Host() + "/moved").ok());
  EXPECT_EQ(ReadFile(to_).value(), package_) << "without the page that said where it went";
  for (const net::Request& rq : Asked()) EXPECT_FALSE(rq.headers.Has("Authorization")) << "no key of ours";
}

TEST_F(PackageFetchTest, WhatAWebServerRefusesIsNamed) {
  Serve("/forbidden", 403, "");
  Serve("/busy", 503, "");
  Serve("/loop", 302, "/loop");
  const auto missing = Fetch("http://" + Host() + "/missing.tar.gz");
  EXPECT_EQ(CodeOf(missing), Code::kNotFound);
  EXPECT_NE(missing.error().message().find("/missing.tar.gz"), std::string::npos);
  EXPECT_EQ(CodeOf(Fetch("http://" + Host() + "/forbidden")), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf(Fetch("http://" + Host() + "/busy")), Code::kUnavailable) << "worth another try";
  EXPECT_FALSE(Fetch("http://" + Host() + "/loop").ok());
  EXPECT_EQ(Asked().size(), 3U + 6U) << "five redirects and no more";
}

TEST_F(PackageFetchTest, NoOtherSchemeOpensAFile) {
  const auto secret = folder_.path() / "secret";
  ASSERT_TRUE(WriteFileAtomically(secret, package_).ok());
  EXPECT_FALSE(Fetch("file://" + secret.string()).ok());
  Serve("/sly", 302, "file://" + secret.string());
  EXPECT_FALSE(Fetch("http://" + Host() + "/sly").ok());
}

TEST_F(PackageFetchTest, WhatIsNoPackageIsRefused) {
  Store("text.tar.gz", "this is no archive");
  const auto text = Fetch("fds://default/text.tar.gz");
  EXPECT_EQ(CodeOf(text), Code::kInvalidArgument);
  EXPECT_NE(text.error().message().find("fds://default/text.tar.gz is refused"), std::string::npos);
}

TEST_F(PackageFetchTest, ABombIsRefusedUnopened) {
  const auto tree = folder_.path() / "bomb";
  ASSERT_TRUE(MakeFolders(tree).ok());
  const Fd zeros = OpenFile(tree / "zeros", O_WRONLY | O_CREAT).value();
  ASSERT_EQ(::ftruncate(zeros.get(), 64 << 20), 0);
  ASSERT_TRUE(PackFolder(tree, folder_.path() / "bomb.tar.gz").ok());
  Store("bomb.tar.gz", ReadFile(folder_.path() / "bomb.tar.gz").value());
  EXPECT_EQ(CodeOf(Fetch("fds://default/bomb.tar.gz")), Code::kInvalidArgument);
}

TEST_F(PackageFetchTest, AnotherStoreIsAskedWithTheSubmittersSignature) {
  Serve("/team/a%20b%2Bc/t.tar.gz", 200, package_);
  ASSERT_TRUE(Fetch("fds://team/a b+c/t.tar.gz", "http://" + Host()).ok());
  EXPECT_EQ(ReadFile(to_).value(), package_);
  ASSERT_EQ(Asked().size(), 1U);
  const net::Request rq = Asked().front();
  EXPECT_EQ(rq.method, "GET");
  EXPECT_EQ(rq.headers.Get("Date"), "Tue, 20 Feb 2018 06:16:39 GMT");
  EXPECT_EQ(rq.headers.Get("Authorization"),
            "Galaxy-V2 ak:" + net::GalaxyV2Signature(Secret(std::string("sk")), rq.method, rq.target, rq.headers));
}

TEST_F(PackageFetchTest, ASignedRequestFollowsNoRedirect) {
  Serve("/team/t.tar.gz", 302, "http://" + Host() + "/elsewhere");
  Serve("/elsewhere", 200, package_);
  EXPECT_EQ(CodeOf(Fetch("fds://team/t.tar.gz", "http://" + Host())), Code::kPermissionDenied);
  EXPECT_EQ(Asked().size(), 1U);
}

TEST_F(PackageFetchTest, AnotherStoreNeedsAKeyThatIsKnown) {
  EXPECT_EQ(CodeOf(Fetch("fds://team/t.tar.gz", "http://" + Host(), "nobody")), Code::kNotFound);
  EXPECT_TRUE(Asked().empty());
}

TEST_F(PackageFetchTest, AKeyThatWasDisabledSinceSignsNothing) {
  ASSERT_TRUE(orgs_.SetDisabled(AccessKey{"ak"}, true).ok());
  EXPECT_EQ(CodeOf(Fetch("fds://team/t.tar.gz", "http://" + Host())), Code::kPermissionDenied);
  EXPECT_TRUE(Asked().empty());
}

}  // namespace
}  // namespace cml::app
