// Organisations, users and keys: the rules that nobody may get around.
#include <gtest/gtest.h>

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

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest() {
    EXPECT_TRUE(orgs_.EnsureDefaultOrg(5000).ok());
    root_ = orgs_.MakeAdministratorKey(orgs_.first()).value().key.access_key;
    admin_ = As(orgs_.first(), KeyRole::kPlatformAdmin, root_);
  }
  static Caller As(const OrgId& org, KeyRole role, AccessKey key = AccessKey{"AKnobody"}, std::string user = "") {
    return {org, role, std::move(key), std::move(user), org, nullptr};
  }
  Org Make(const std::string& name) {
    codec::OrgFields fields;
    fields.name = name;
    auto made = admin_use_.Create(admin_, fields);
    EXPECT_TRUE(made.ok()) << made.error().message();
    return std::move(made).value();
  }
  Keys::Made MakeKey(const Caller& caller, KeyRole role, const std::string& user = "") {
    codec::KeyFields fields;
    fields.role = role;
    fields.user = user;
    auto made = keys_.Create(caller, fields);
    EXPECT_TRUE(made.ok()) << made.error().message();
    return std::move(made).value();
  }
  bool Valid(const AccessKey& key) {
    const auto known = orgs_.Key(key);
    return known.ok() && known.value()->ValidAt(clock_.now);
  }

  HandClock clock_;
  OpenBox box_;
  store::testing::MemoryStore store_;
  objectstore::MemoryObjectStore objects_{clock_};
  Orgs orgs_{store_, box_, clock_};
  std::vector<Org> changed_;
  OrgAdmin admin_use_{{store_, orgs_, objects_, clock_, [this](const Org& org) { changed_.push_back(org); }}};
  Keys keys_{{store_, orgs_, clock_}};
  Users users_{{store_, orgs_, keys_, clock_}};
  AccessKey root_;
  Caller admin_;
};

TEST_F(IdentityTest, AnOrganisationHasItsUidAndItsBucket) {
  const Org vision = Make("vision"), speech = Make("speech");
  EXPECT_EQ(vision.unix_uid, 5001);
  EXPECT_EQ(speech.unix_uid, 5002);
  EXPECT_EQ(store_.GetOrg(vision.id).value().unix_uid, 5001);
  EXPECT_TRUE(objects_.Bucket(vision.id, "default").ok());
  codec::OrgFields taken;
  taken.name = "vision";
  EXPECT_EQ(admin_use_.Create(admin_, taken).error().code(), Code::kAlreadyExists);
  // Never used twice.
  ASSERT_TRUE(orgs_.Erase(speech.id).ok());
  EXPECT_EQ(Make("speech").unix_uid, 5003);
}

TEST_F(IdentityTest, ACrashInTheMiddleOfACreateIsRepaired) {
  Org half;
  half.name = "half";
  const OrgId id = store_.CreateOrg(half).value().id;
  EXPECT_EQ(orgs_.UidOf(id), 5001) << "never root's";
  Orgs again(store_, box_, clock_);
  ASSERT_TRUE(again.EnsureDefaultOrg(9999).ok());
  EXPECT_EQ(store_.GetOrg(id).value().unix_uid, 5001) << "the first start's uid counts, not a later configuration";
  ASSERT_TRUE(admin_use_.Repair().ok());
  EXPECT_TRUE(objects_.Bucket(id, "default").ok());
}

TEST_F(IdentityTest, ARenameIsSeenAtOnce) {
  const Org vision = Make("vision");
  EXPECT_EQ(orgs_.NameOf(vision.id).value(), "vision");
  const auto version = orgs_.names_version();
  codec::OrgFields fields;
  fields.name = "sight";
  ASSERT_TRUE(admin_use_.Update(admin_, "vision", fields).ok());
  EXPECT_EQ(orgs_.NameOf(vision.id).value(), "sight");
  EXPECT_GT(orgs_.names_version(), version);
  EXPECT_EQ(admin_use_.Describe(admin_, "vision").error().code(), Code::kNotFound);
  // Its own administrator may change what is his, not the name.
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  fields.name = "eyes";
  EXPECT_EQ(admin_use_.Update(own, "sight", fields).error().code(), Code::kPermissionDenied);
  codec::OrgFields mail;
  mail.mail = "a@b";
  EXPECT_EQ(admin_use_.Update(own, "sight", mail).value().mail, "a@b");
  mail.mail = "nonsense";
  EXPECT_EQ(admin_use_.Update(own, "sight", mail).error().code(), Code::kInvalidArgument);
}

TEST_F(IdentityTest, OthersDoNotLearnThatAnOrganisationExists) {
  const Org vision = Make("vision"), speech = Make("speech");
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  EXPECT_TRUE(admin_use_.Describe(own, vision.id.str()).ok());
  const auto theirs = admin_use_.Describe(own, "speech"), nobody = admin_use_.Describe(own, "hearing");
  EXPECT_EQ(theirs.error().code(), Code::kNotFound);
  EXPECT_EQ(nobody.error().code(), Code::kNotFound);
  EXPECT_EQ(admin_use_.List(own).value().size(), 1U);
  EXPECT_EQ(admin_use_.List(admin_).value().size(), 3U);
  EXPECT_EQ(keys_.Describe(own, root_).error().code(), Code::kNotFound);
  EXPECT_EQ(keys_.Delete(own, root_).error().code(), Code::kNotFound);
}

TEST_F(IdentityTest, ASuspendedOrganisationReadsAndChangesNothing) {
  const Org vision = Make("vision");
  const Caller member = As(vision.id, KeyRole::kMember);
  EXPECT_TRUE(orgs_.MayChange(member).ok());
  EXPECT_EQ(admin_use_.Suspend(admin_, "vision", " ").error().code(), Code::kInvalidArgument);
  ASSERT_TRUE(admin_use_.Suspend(admin_, "vision", "not paid").ok());
  EXPECT_EQ(changed_.size(), 1U);
  const Status refused = orgs_.MayChange(member);
  EXPECT_EQ(refused.error().code(), Code::kPermissionDenied);
  EXPECT_NE(refused.error().message().find("not paid"), std::string::npos);
  EXPECT_EQ(orgs_.WhyHeldBack(vision.id), "organisation vision is suspended: not paid");
  EXPECT_TRUE(orgs_.MayChange(admin_).ok());
  ASSERT_TRUE(admin_use_.Resume(admin_, "vision").ok());
  EXPECT_TRUE(orgs_.MayChange(member).ok());
  EXPECT_EQ(orgs_.WhyHeldBack(vision.id), "");
  EXPECT_EQ(admin_use_.Resume(admin_, "vision").error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(admin_use_.Suspend(admin_, "default", "x").error().code(), Code::kFailedPrecondition);
}

TEST_F(IdentityTest, TheKeysOfOneThatIsDeletedAreRefusedAtOnce) {
  const Org vision = Make("vision");
  const auto key = MakeKey(As(vision.id, KeyRole::kOrgAdmin), KeyRole::kMember).key.key.access_key;
  EXPECT_TRUE(Valid(key));
  ASSERT_TRUE(admin_use_.Delete(admin_, "vision").ok());
  EXPECT_FALSE(Valid(key));
  EXPECT_EQ(changed_.back().state, OrgState::kDeleting);
  EXPECT_TRUE(admin_use_.Delete(admin_, "vision").ok()) << "again";
  codec::OrgFields fields;
  fields.mail = "a@b";
  EXPECT_EQ(admin_use_.Update(admin_, "vision", fields).error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(admin_use_.Delete(admin_, "default").error().code(), Code::kFailedPrecondition);
}

TEST_F(IdentityTest, NobodyGivesMoreThanHeHas) {
  const Org vision = Make("vision");
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  codec::KeyFields fields;
  fields.role = KeyRole::kPlatformAdmin;
  EXPECT_EQ(keys_.Create(own, fields).error().code(), Code::kPermissionDenied);
  const auto made = MakeKey(own, KeyRole::kOrgAdmin);
  const AccessKey key = made.key.key.access_key;
  const Caller himself = As(vision.id, KeyRole::kOrgAdmin, key);
  EXPECT_EQ(keys_.Update(himself, key, fields).error().code(), Code::kPermissionDenied) << "raises his own role";
  fields.role = KeyRole::kViewer;
  EXPECT_EQ(keys_.Update(himself, key, fields).value().key.role, KeyRole::kViewer);
  EXPECT_EQ(orgs_.Key(key).value()->caller.role, KeyRole::kViewer) << "seen at once";
  // A platform administrator's key in his own organisation is above him.
  const auto above = MakeKey(Caller{vision.id, KeyRole::kPlatformAdmin, root_, "", orgs_.first(), nullptr}, KeyRole::kPlatformAdmin);
  codec::KeyFields off;
  off.disabled = true;
  EXPECT_EQ(keys_.Delete(own, above.key.key.access_key).error().code(), Code::kPermissionDenied);
  EXPECT_EQ(keys_.Update(own, above.key.key.access_key, off).error().code(), Code::kPermissionDenied);
  EXPECT_EQ(keys_.Rotate(own, above.key.key.access_key, {}).error().code(), Code::kPermissionDenied);
}

TEST_F(IdentityTest, AKeyEndsWhenItIsDisabledExpiredOrDeleted) {
  const Org vision = Make("vision");
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  codec::KeyFields fields;
  fields.expires_in = 60;
  const AccessKey key = keys_.Create(own, fields).value().key.key.access_key;
  EXPECT_EQ(key.str().find_first_of("/+"), std::string::npos);
  EXPECT_TRUE(Valid(key));
  clock_.now += 59s;
  EXPECT_TRUE(Valid(key));
  clock_.now += 1s;
  EXPECT_FALSE(Valid(key));
  codec::KeyFields never;
  never.expires = SysTime{};
  ASSERT_TRUE(keys_.Update(own, key, never).ok());
  EXPECT_TRUE(Valid(key));
  codec::KeyFields off;
  off.disabled = true;
  ASSERT_TRUE(keys_.Update(own, key, off).ok());
  EXPECT_FALSE(Valid(key));
  off.disabled = false;
  ASSERT_TRUE(keys_.Update(own, key, off).ok());
  EXPECT_TRUE(Valid(key));
  ASSERT_TRUE(keys_.Delete(own, key).ok());
  EXPECT_FALSE(Valid(key));
  EXPECT_EQ(keys_.Delete(own, key).error().code(), Code::kNotFound);
}

TEST_F(IdentityTest, ARotatedKeyGoesOnForAWhile) {
  const Org vision = Make("vision");
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  ASSERT_TRUE(users_.Create(own, {"ann", std::nullopt}).ok());
  const AccessKey old = MakeKey(own, KeyRole::kViewer, "ann").key.key.access_key;
  const auto made = keys_.Rotate(own, old, {}).value();
  EXPECT_EQ(made.key.key.role, KeyRole::kViewer);
  EXPECT_EQ(made.key.key.user, "ann");
  EXPECT_EQ(made.key.key.replaces, old);
  EXPECT_TRUE(Valid(old));
  EXPECT_TRUE(Valid(made.key.key.access_key));
  clock_.now += 24h;
  EXPECT_FALSE(Valid(old));
  EXPECT_TRUE(Valid(made.key.key.access_key));
  EXPECT_EQ(keys_.Rotate(own, old, {}).error().code(), Code::kFailedPrecondition);
  // An earlier end is not put off.
  codec::KeyFields soon;
  soon.expires_in = 10;
  const AccessKey brief = keys_.Create(own, soon).value().key.key.access_key;
  ASSERT_TRUE(keys_.Rotate(own, brief, {}).ok());
  clock_.now += 10s;
  EXPECT_FALSE(Valid(brief));
}

TEST_F(IdentityTest, ThereIsAlwaysALastingAdministrator) {
  codec::KeyFields off, end, lower;
  off.disabled = true;
  end.expires_in = 60;
  lower.role = KeyRole::kMember;
  for (const auto& fields : {off, end, lower}) {
    EXPECT_EQ(keys_.Update(admin_, root_, fields).error().code(), Code::kFailedPrecondition);
  }
  EXPECT_EQ(keys_.Delete(admin_, root_).error().code(), Code::kFailedPrecondition);
  const AccessKey second = MakeKey(admin_, KeyRole::kPlatformAdmin).key.key.access_key;
  EXPECT_TRUE(keys_.Delete(admin_, root_).ok());
  EXPECT_EQ(keys_.Delete(admin_, second).error().code(), Code::kFailedPrecondition);
  codec::KeyFields brief;
  brief.expires_in = 60;
  EXPECT_EQ(keys_.Rotate(admin_, second, brief).error().code(), Code::kFailedPrecondition);
  const auto third = keys_.Rotate(admin_, second, {}).value();
  EXPECT_TRUE(keys_.Delete(admin_, second).ok()) << "the new one lasts";
  // An organisation that holds the last one stays, too.
  const Org vision = Make("vision");
  const Caller there{vision.id, KeyRole::kPlatformAdmin, third.key.key.access_key, "", orgs_.first(), nullptr};
  MakeKey(there, KeyRole::kPlatformAdmin);
  ASSERT_TRUE(keys_.Delete(admin_, third.key.key.access_key).ok());
  EXPECT_EQ(admin_use_.Delete(admin_, "vision").error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(admin_use_.Suspend(admin_, "vision", "x").error().code(), Code::kFailedPrecondition);
}

TEST_F(IdentityTest, AUsersKeysGoWithHim) {
  const Org vision = Make("vision");
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  codec::KeyFields fields;
  fields.user = "ann";
  EXPECT_EQ(keys_.Create(own, fields).error().code(), Code::kNotFound) << "no such user yet";
  ASSERT_TRUE(users_.Create(own, {"ann", "ann@example.com"}).ok());
  EXPECT_EQ(users_.Create(own, {"ann", std::nullopt}).error().code(), Code::kAlreadyExists);
  const AccessKey one = MakeKey(own, KeyRole::kMember, "ann").key.key.access_key;
  const AccessKey other = MakeKey(own, KeyRole::kMember).key.key.access_key;
  EXPECT_EQ(users_.Describe(own, "ann").value().keys, 1U);
  EXPECT_EQ(users_.Update(own, "ann", {std::nullopt, "b@c"}).value().user.mail, "b@c");
  EXPECT_EQ(users_.Describe(As(orgs_.first(), KeyRole::kOrgAdmin), "ann").error().code(), Code::kNotFound);
  ASSERT_TRUE(users_.Delete(own, "ann").ok());
  EXPECT_FALSE(Valid(one));
  EXPECT_TRUE(Valid(other));
  EXPECT_EQ(users_.Delete(own, "ann").error().code(), Code::kNotFound);
  EXPECT_TRUE(users_.List(own, Keys::Scope::kOwn).value().empty());
}

TEST_F(IdentityTest, MembersSeeTheirOwnKeysAlone) {
  const Org vision = Make("vision");
  const Caller own = As(vision.id, KeyRole::kOrgAdmin);
  ASSERT_TRUE(users_.Create(own, {"ann", std::nullopt}).ok());
  const AccessKey first = MakeKey(own, KeyRole::kMember, "ann").key.key.access_key;
  MakeKey(own, KeyRole::kMember, "ann");
  const AccessKey other = MakeKey(own, KeyRole::kMember).key.key.access_key;
  const Caller ann = As(vision.id, KeyRole::kMember, first, "ann");
  EXPECT_EQ(keys_.List(ann, Keys::Scope::kOwn).value().size(), 2U);
  EXPECT_EQ(keys_.Describe(ann, other).error().code(), Code::kNotFound);
  EXPECT_EQ(keys_.List(As(vision.id, KeyRole::kMember, other), Keys::Scope::kOwn).value().size(), 1U);
  EXPECT_EQ(keys_.List(own, Keys::Scope::kOwn).value().size(), 3U);
}

TEST_F(IdentityTest, TheLastUseIsKeptToTheMinute) {
  const AccessKey key = MakeKey(admin_, KeyRole::kMember).key.key.access_key;
  EXPECT_EQ(orgs_.Row(key).value().last_used, SysTime{});
  orgs_.Key(key).value()->UsedAt(clock_.now);
  const SysTime minute = std::chrono::floor<std::chrono::minutes>(clock_.now);
  EXPECT_EQ(orgs_.Row(key).value().last_used, minute) << "shown before it is in the store";
  EXPECT_EQ(store_.GetKey(key).value().last_used, SysTime{});
  ASSERT_TRUE(orgs_.FlushUses().ok());
  EXPECT_EQ(store_.GetKey(key).value().last_used, minute);
  // A change forgets the opened key, and not its use.
  clock_.now += 5min;
  orgs_.Key(key).value()->UsedAt(clock_.now);
  codec::KeyFields label;
  label.label = "x";
  ASSERT_TRUE(keys_.Update(admin_, key, label).ok());
  EXPECT_EQ(store_.GetKey(key).value().last_used, minute + 5min);
}

TEST_F(IdentityTest, ALostAdministratorsKeyIsReplaced) {
  const auto again = orgs_.MakeAdministratorKey(orgs_.first()).value();
  ASSERT_EQ(again.disabled.size(), 1U);
  EXPECT_EQ(again.disabled.front(), root_);
  EXPECT_FALSE(Valid(root_));
  EXPECT_TRUE(Valid(again.key.access_key));
}

TEST_F(IdentityTest, EveryChangeIsAudited) {
  RequestContext request;
  request.action = "org.create";
  request.id = "r1";
  Caller caller = admin_;
  caller.request = &request;
  codec::OrgFields fields;
  fields.name = "vision";
  const Org vision = admin_use_.Create(caller, fields).value();
  EXPECT_TRUE(request.audited);
  request.audited = false;
  caller.org = vision.id;
  codec::KeyFields key;
  const auto made = keys_.Create(caller, key).value();
  EXPECT_TRUE(request.audited);
  store::AuditQuery query;
  query.org = vision.id;
  const auto lines = store_.ReadAudit(query).value();
  ASSERT_EQ(lines.size(), 2U) << "in the audit of the organisation that was changed";
  EXPECT_EQ(lines[1].text.find(made.secret.Reveal()), std::string::npos);
}

}  // namespace
}  // namespace cml::service
