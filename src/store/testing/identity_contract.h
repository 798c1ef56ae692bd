// store/testing/identity_contract.h — the part of store_contract.h that is about organisations and keys.
// Included by it, with the words of the other parts.
#pragma once
#include "store/testing/ledger_contract.h"
#include "store/testing/usage_contract.h"

namespace cml::store::testing {

using Names = std::vector<std::string>;

// ---- organisations and keys

TEST_P(StoreContract, AnOrganisationGetsTheNextNumberAsItsId) {
  const auto first = store_->CreateOrg({OrgId(), "default", At(5), 61000});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first.value().id, OrgId("1"));
  const auto second = store_->CreateOrg({OrgId(), "vision", At(6), 61001});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second.value().id, OrgId("2"));
  const auto read = store_->GetOrg(OrgId("2"));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().name, "vision");
  EXPECT_EQ(read.value().created, At(6));
  EXPECT_EQ(read.value().unix_uid, 61001);
}
TEST_P(StoreContract, AGivenOrganisationIdIsKeptAndNotGivenAgain) {
  ASSERT_TRUE(store_->CreateOrg({OrgId("7"), "seven", At(1), 0}).ok());
  const auto next = store_->CreateOrg({OrgId(), "next", At(2), 0});
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next.value().id, OrgId("8"));
  EXPECT_TRUE(Fails(store_->CreateOrg({OrgId("7"), "other", At(3), 0}), Code::kAlreadyExists));
}
TEST_P(StoreContract, AnOrganisationNameIsTakenOnce) {
  ASSERT_TRUE(store_->CreateOrg({OrgId(), "default", At(5), 0}).ok());
  EXPECT_TRUE(Fails(store_->CreateOrg({OrgId(), "default", At(6), 0}), Code::kAlreadyExists));
  EXPECT_EQ(store_->ListOrgs().value().size(), 1U);
  EXPECT_TRUE(Fails(store_->GetOrg(OrgId("99")), Code::kNotFound));
}
TEST_P(StoreContract, AKeyComesBackWholeAndIsReplacedByASecondPut) {
  ApiKey key{AccessKey("AK1"), OrgId("1"), KeyRole::kOrgAdmin, "v1:sealed", "laptop", false, At(9)};
  ASSERT_TRUE(store_->PutKey(key).ok());
  key.disabled = true;
  key.role = KeyRole::kViewer;
  key.label = "old laptop";
  ASSERT_TRUE(store_->PutKey(key).ok());
  const auto read = store_->GetKey(AccessKey("AK1"));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().org, OrgId("1"));
  EXPECT_EQ(read.value().role, KeyRole::kViewer);
  EXPECT_EQ(read.value().sealed_secret, "v1:sealed");
  EXPECT_EQ(read.value().label, "old laptop");
  EXPECT_TRUE(read.value().disabled);
  EXPECT_EQ(read.value().created, At(9));
  EXPECT_TRUE(Fails(store_->GetKey(AccessKey("AK2")), Code::kNotFound));
}
TEST_P(StoreContract, KeysAreListedForTheirOrganisationAlone) {
  ApiKey key;
  for (const auto& [name, org] : {std::pair{"A", "1"}, {"B", "2"}, {"C", "1"}}) {
    key.access_key = AccessKey(name);
    key.org = OrgId(org);
    ASSERT_TRUE(store_->PutKey(key).ok());
  }
  const auto keys = store_->ListKeys(OrgId("1"));
  ASSERT_TRUE(keys.ok());
  ASSERT_EQ(keys.value().size(), 2U);
  EXPECT_EQ(keys.value()[0].access_key, AccessKey("A"));
  EXPECT_EQ(keys.value()[1].access_key, AccessKey("C"));
}

TEST_P(StoreContract, AnOrganisationIsChangedInAllButIdBirthAndUid) {
  Org org{OrgId(), "default", At(5), 0};
  org.mail = "a@b";
  org = store_->CreateOrg(org).value();
  ASSERT_TRUE(store_->CreateOrg({OrgId(), "taken", At(6), 0}).ok());
  org.name = "vision";
  org.created = At(99);
  org.unix_uid = 61000;
  org.state = OrgState::kSuspended;
  org.reason = "unpaid";
  org.mail = "c@d";
  org.description = "eyes";
  org.project = "p1";
  ASSERT_TRUE(store_->UpdateOrg(org).ok());
  org.unix_uid = 62000;
  ASSERT_TRUE(store_->UpdateOrg(org).ok());
  const Org back = store_->GetOrg(org.id).value();
  EXPECT_EQ(back.name, "vision");
  EXPECT_EQ(back.created, At(5));
  EXPECT_EQ(back.unix_uid, 61000);
  EXPECT_EQ(back.state, OrgState::kSuspended);
  EXPECT_EQ(back.reason, "unpaid");
  EXPECT_EQ(back.mail, "c@d");
  EXPECT_EQ(back.description, "eyes");
  EXPECT_EQ(back.project, "p1");
  EXPECT_EQ(store_->ListOrgs().value().at(0).reason, "unpaid");
  org.name = "taken";
  EXPECT_TRUE(Fails(store_->UpdateOrg(org), Code::kAlreadyExists));
  org.id = OrgId("99");
  EXPECT_TRUE(Fails(store_->UpdateOrg(org), Code::kNotFound));
}
TEST_P(StoreContract, AnOrganisationGoesWithAllItHasAndItsIdAndUidStayItsOwn) {
  const LeaderToken leader = store_->BecomeLeader().value();
  const Org org = store_->CreateOrg({OrgId(), "vision", At(1), 61000}).value();
  const std::string id = org.id.str();
  ApiKey key;
  key.access_key = AccessKey("AK1");
  key.org = org.id;
  ASSERT_TRUE(store_->PutKey(key).ok());
  ASSERT_TRUE(store_->PutQuota(org.id, GpuQuota(4)).ok());
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kPut, "ann", "{}", id))).ok());
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kPut, "ann", "{}", "99"))).ok());
  UsageRecord used = MakeUsage("u", kFirstDay, kFirstDay + std::chrono::hours(1));
  used.org = org.id;
  ASSERT_TRUE(store_->Commit(testing::Used(used)).ok());
  Row row = Put(MakeHolder("a", Holds(4), id));
  EXPECT_TRUE(Fails(store_->EraseOrg(org.id), Code::kFailedPrecondition));
  EXPECT_TRUE(store_->GetKey(AccessKey("AK1")).ok());
  ASSERT_TRUE(store_->Erase(row, leader).ok());

  ASSERT_TRUE(store_->EraseOrg(org.id, Audited("org.delete", id)).ok());
  EXPECT_TRUE(Fails(store_->EraseOrg(org.id), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->GetOrg(org.id), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->GetKey(AccessKey("AK1")), Code::kNotFound));
  EXPECT_EQ(store_->GetQuota(org.id).value(), Quota{});
  EXPECT_TRUE(Fails(User("ann", id), Code::kNotFound));
  EXPECT_TRUE(User("ann", "99").ok()) << "another's";
  EXPECT_EQ(Lines({}), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(store_->ListUsage({}).value().size(), 1U);
  EXPECT_TRUE(Fails(store_->CreateOrg({org.id, "again", At(2), 0}), Code::kAlreadyExists));
  EXPECT_TRUE(Fails(store_->CreateOrg({OrgId(), "again", At(2), 61000}), Code::kAlreadyExists));
  const auto next = store_->CreateOrg({OrgId(), "vision", At(2), 61001});
  ASSERT_TRUE(next.ok()) << "its name is free";
  EXPECT_NE(next.value().id, org.id);
  EXPECT_EQ(Used(next.value().id.str()), Amounts{});
}
TEST_P(StoreContract, AKeyKeepsItsLastUseWhenItIsReplacedAndIsErased) {
  ApiKey key;
  key.access_key = AccessKey("AK1");
  key.org = OrgId("1");
  key.user = "ann";
  key.expires = At(9000);
  key.replaces = AccessKey("AK0");
  ASSERT_TRUE(store_->PutKey(key).ok());
  ASSERT_TRUE(store_->TouchKeys({{AccessKey("AK1"), At(60)}, {AccessKey("gone"), At(60)}}).ok());
  ASSERT_TRUE(store_->TouchKeys({{AccessKey("AK1"), At(50)}}).ok());
  key.label = "new";
  ASSERT_TRUE(store_->PutKey(key).ok());
  const ApiKey back = store_->GetKey(AccessKey("AK1")).value();
  EXPECT_EQ(back.user, "ann");
  EXPECT_EQ(back.expires, At(9000));
  EXPECT_EQ(back.last_used, At(60));
  EXPECT_EQ(back.replaces, AccessKey("AK0"));
  EXPECT_EQ(back.label, "new");
  ASSERT_TRUE(store_->EraseKey(AccessKey("AK1")).ok());
  EXPECT_TRUE(Fails(store_->GetKey(AccessKey("AK1")), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->EraseKey(AccessKey("AK1"), Audited("x")), Code::kNotFound));
  EXPECT_EQ(Lines({}).size(), 0U);
}

}  // namespace cml::store::testing
