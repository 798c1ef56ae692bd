// Creates of organisations, users and keys that are sent twice under one idempotency key.
#include <gtest/gtest.h>

#include <thread>

#include "objectstore/testing/memory_object_store.h"
#include "service/keys.h"
#include "service/org_admin.h"
#include "service/users.h"
#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

using namespace std::chrono_literals;

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::seconds{1'800'000'000}};
};

class OpenBox final : public SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view) const override { return std::string(plain); }
  Result<Secret> Open(std::string_view sealed, std::string_view) const override { return Secret(std::string(sealed)); }
};

// Loses the power before the write with this number.
class FailingStore final : public store::testing::MemoryStore {
 public:
  Status UpdateOrg(const Org& org, const store::Alongside& with) override {
    return Fails() ? Status(Error(Code::kUnavailable, "no space")) : MemoryStore::UpdateOrg(org, with);
  }
  Status PutKey(const ApiKey& key, const store::Alongside& with) override {
    return Fails() ? Status(Error(Code::kUnavailable, "no space")) : MemoryStore::PutKey(key, with);
  }
  int fails_at = 0;  // 1: the next one; 0: none

 private:
  bool Fails() { return fails_at > 0 && --fails_at == 0; }
};

class IdentityOnceTest : public ::testing::Test {
 protected:
  IdentityOnceTest() {
    EXPECT_TRUE(orgs_.EnsureDefaultOrg(5000).ok());
    const AccessKey root = orgs_.MakeAdministratorKey(orgs_.first()).value().key.access_key;
    admin_ = {orgs_.first(), KeyRole::kPlatformAdmin, root, "", orgs_.first(), nullptr};
  }
  // A new request; `what` stands for its method, path and body.
  const Caller& Sends(const std::string& key, const std::string& what) {
    request_ = {};
    request_.idempotency_key = key;
    request_.fingerprint = what;
    admin_.request = &request_;
    return admin_;
  }
  static codec::OrgFields Named(const std::string& name) {
    codec::OrgFields fields;
    fields.name = name;
    return fields;
  }
  static codec::UserFields User(const std::string& name) {
    codec::UserFields fields;
    fields.name = name;
    return fields;
  }
  std::size_t CountKeys() { return store_.ListKeys(orgs_.first()).value().size(); }

  HandClock clock_;
  OpenBox box_;
  FailingStore store_;
  objectstore::MemoryObjectStore objects_{clock_};
  Orgs orgs_{store_, box_, clock_};
  OrgAdmin org_admin_{{store_, orgs_, objects_, clock_, [](const Org&) {}}};
  Keys keys_{{store_, orgs_, clock_}};
  Users users_{{store_, orgs_, keys_, clock_}};
  RequestContext request_;
  Caller admin_;
};

TEST_F(IdentityOnceTest, AnOrganisationIsMadeOnce) {
  clock_.now += 1s;  // after the first organisation
  const auto made = org_admin_.Create(Sends("k", "vision"), Named("vision"));
  ASSERT_TRUE(made.ok()) << made.error().message();
  const Org first = made.value();
  EXPECT_FALSE(request_.replayed);
  clock_.now += 5s;
  const auto again = org_admin_.Create(Sends("k", "vision"), Named("vision"));
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE(request_.replayed);
  EXPECT_EQ(again.value().id, first.id);
  EXPECT_EQ(org_admin_.Create(Sends("k", "speech"), Named("speech")).error().code(), Code::kKeyReused);
  EXPECT_EQ(org_admin_.Create(Sends("l", "vision"), Named("vision")).error().code(), Code::kAlreadyExists);
  // It is the same one under another name, and another one of its name is not.
  ASSERT_TRUE(org_admin_.Update(Sends("", ""), first.id.str(), Named("sight")).ok());
  ASSERT_TRUE(org_admin_.Create(Sends("", ""), Named("vision")).ok());
  EXPECT_EQ(org_admin_.Create(Sends("k", "vision"), Named("vision")).value().id, first.id);
  ASSERT_TRUE(org_admin_.Delete(Sends("", ""), first.id.str()).ok());
  EXPECT_EQ(org_admin_.Create(Sends("k", "vision"), Named("vision")).error().code(), Code::kFailedPrecondition);
}

TEST_F(IdentityOnceTest, ACrashBetweenTheWritesOfAnOrganisationLeavesItToTheRepetition) {
  store_.fails_at = 1;
  EXPECT_EQ(org_admin_.Create(Sends("k", "vision"), Named("vision")).error().code(), Code::kUnavailable);
  Orgs restarted(store_, box_, clock_);
  ASSERT_TRUE(restarted.EnsureDefaultOrg(5000).ok());
  OrgAdmin admin({store_, restarted, objects_, clock_, [](const Org&) {}});
  const auto again = admin.Create(Sends("k", "vision"), Named("vision"));
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again.value().unix_uid, 5001);
  EXPECT_TRUE(objects_.Bucket(again.value().id, "default").ok());
  EXPECT_EQ(orgs_.List().value().size(), 2U);
}

TEST_F(IdentityOnceTest, AUserIsMadeOnce) {
  ASSERT_TRUE(users_.Create(Sends("k", "ann"), User("ann")).ok());
  ASSERT_TRUE(users_.Create(Sends("k", "ann"), User("ann")).ok());
  EXPECT_TRUE(request_.replayed);
  EXPECT_EQ(users_.Create(Sends("l", "ann"), User("ann")).error().code(), Code::kAlreadyExists);
  ASSERT_TRUE(users_.Delete(Sends("", ""), "ann").ok());
  EXPECT_EQ(users_.Create(Sends("k", "ann"), User("ann")).error().code(), Code::kFailedPrecondition);
  clock_.now += 1s;
  ASSERT_TRUE(users_.Create(Sends("m", "ann"), User("ann")).ok());
  EXPECT_EQ(users_.Create(Sends("k", "ann"), User("ann")).error().code(), Code::kFailedPrecondition)
      << "another one of the name";
}

TEST_F(IdentityOnceTest, AKeyIsMadeOnceAndItsSecretGivenAgain) {
  ASSERT_TRUE(users_.Create(Sends("", ""), User("ann")).ok());
  codec::KeyFields fields;
  fields.user = "ann";
  const auto first = keys_.Create(Sends("k", "key"), fields).value();
  const std::size_t count = CountKeys();
  const auto again = keys_.Create(Sends("k", "key"), fields);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_TRUE(request_.replayed);
  EXPECT_EQ(again.value().key.key.access_key, first.key.key.access_key);
  EXPECT_EQ(again.value().secret.Reveal(), first.secret.Reveal());
  EXPECT_EQ(CountKeys(), count);
  // To another key's holder it says nothing: the idempotency key is of the access key that sent it.
  Caller other = Sends("k", "key");
  other.key = AccessKey{"AKother"};
  EXPECT_NE(keys_.Create(other, fields).value().key.key.access_key, first.key.key.access_key);
  // Nor to one who may less than the key that he once made.
  fields.role = KeyRole::kPlatformAdmin;
  ASSERT_TRUE(keys_.Create(Sends("p", "key"), fields).ok());
  Caller less = Sends("p", "key");
  less.role = KeyRole::kOrgAdmin;
  EXPECT_EQ(keys_.Create(less, fields).error().code(), Code::kPermissionDenied);
  ASSERT_TRUE(keys_.Delete(Sends("", ""), first.key.key.access_key).ok());
  EXPECT_EQ(keys_.Create(Sends("k", "key"), fields).error().code(), Code::kFailedPrecondition);
}

TEST_F(IdentityOnceTest, ManyAtOnceMakeOneKey) {
  std::vector<std::string> got(8);
  {
    std::vector<std::jthread> senders;
    for (std::string& mine : got) {
      senders.emplace_back([this, &mine] {
        RequestContext request;
        request.idempotency_key = "k";
        request.fingerprint = "key";
        Caller caller = admin_;
        caller.request = &request;
        mine = keys_.Create(caller, {}).value().secret.Reveal();
      });
    }
  }
  EXPECT_EQ(got, std::vector<std::string>(got.size(), got[0]));
}

TEST_F(IdentityOnceTest, ARotationIsDoneOnceAndFinishedAfterACrash) {
  const AccessKey old = keys_.Create(Sends("", ""), {}).value().key.key.access_key;
  codec::KeyFields fields;
  fields.overlap = 60;
  store_.fails_at = 2;  // the new key is there, the old one has no end
  EXPECT_FALSE(keys_.Rotate(Sends("k", "rotate"), old, fields).ok());
  EXPECT_EQ(store_.GetKey(old).value().expires, SysTime{});
  const std::size_t count = CountKeys();
  const SysTime made = clock_.now;
  clock_.now += 5s;
  const auto next = keys_.Rotate(Sends("k", "rotate"), old, fields);
  ASSERT_TRUE(next.ok()) << next.error().message();
  EXPECT_EQ(CountKeys(), count);
  EXPECT_EQ(store_.GetKey(old).value().expires, made + 60s);
  EXPECT_EQ(next.value().secret.Reveal(), orgs_.Key(next.value().key.key.access_key).value()->secret.Reveal());

  const auto other = keys_.Rotate(Sends("l", "rotate"), old, fields).value();
  codec::KeyFields longer;
  longer.expires_in = 86'400;
  ASSERT_TRUE(keys_.Update(Sends("", ""), old, longer).ok());
  const SysTime end = store_.GetKey(old).value().expires;
  const auto again = keys_.Rotate(Sends("l", "rotate"), old, fields);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again.value().key.key.access_key, other.key.key.access_key);
  EXPECT_EQ(store_.GetKey(old).value().expires, end) << "a repetition of what is done changes nothing";
}

}  // namespace
}  // namespace cml::service
