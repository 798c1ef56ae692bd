// store/testing/ledger_contract.h — the part of store_contract.h that is about quotas, documents, the
// audit, and what stands alongside a row. Included by it.
#pragma once
#include "codec/audit_json.h"
#include "store/audit_chain.h"
#include "store/testing/contract_fixture.h"

namespace cml::store::testing {

using Strings = std::vector<std::string>;
using Numbers = std::vector<std::uint64_t>;
using Act = DocumentWrite::Act;

// ---- quotas

TEST_P(StoreContract, WithoutAQuotaThereAreNoLimits) {
  const auto quota = store_->GetQuota(OrgId("1"));
  ASSERT_TRUE(quota.ok());
  EXPECT_EQ(quota.value(), Quota{});
  EXPECT_TRUE(store_->Insert(MakeHolder("a", Holds(1000)), {}).ok());
  EXPECT_EQ(Used(), Holds(1000).amounts);
}
TEST_P(StoreContract, AQuotaComesBackAsItWasPut) {
  Quota quota = GpuQuota(8);
  quota.of(QuotaGroup::kDev) = {100, 200, 0, 4, 5, 3};
  quota.total.memory_bytes = 0;
  ASSERT_TRUE(store_->PutQuota(OrgId("1"), quota).ok());
  EXPECT_EQ(store_->GetQuota(OrgId("1")).value(), quota);
  EXPECT_EQ(store_->GetQuota(OrgId("2")).value(), Quota{});
  ASSERT_TRUE(store_->PutQuota(OrgId("1"), Quota{}).ok());
  EXPECT_EQ(store_->GetQuota(OrgId("1")).value(), Quota{});
}
TEST_P(StoreContract, WhatARowHoldsComesBackWithIt) {
  const Reservation held{QuotaGroup::kDev, {1500, 1LL << 40, 2, 1, 1}};
  ASSERT_TRUE(store_->Insert(MakeHolder("a", held), {}).ok());
  EXPECT_EQ(store_->Get(kKind, ResourceId("a")).value().reserved, held);
  EXPECT_EQ(store_->Find(kKind, OrgId("1"), "na").value().reserved, held);
  EXPECT_EQ(store_->List(kKind, {}).value().at(0).reserved, held);
}
TEST_P(StoreContract, AnInsertAboveTheQuotaIsRefusedAndChangesNothing) {
  ASSERT_TRUE(store_->PutQuota(OrgId("1"), GpuQuota(8)).ok());
  ASSERT_TRUE(store_->Insert(MakeHolder("a", Holds(6)), {}).ok());
  Alongside with = With(MakeWrite(Act::kInsert, "ann"));
  with.events = {MakeEvent(1, "Created")};
  with.audit = {MakeEntry("create")};
  const auto refused = store_->Insert(MakeHolder("b", Holds(3)), with);
  ASSERT_TRUE(Fails(refused, Code::kQuotaExceeded));
  EXPECT_NE(refused.error().message().find("3 GPUs asked, 6 used, 8 allowed"), std::string::npos)
      << refused.error().message();
  EXPECT_TRUE(Fails(store_->Get(kKind, ResourceId("b")), Code::kNotFound));
  EXPECT_TRUE(Fails(User("ann"), Code::kNotFound));
  EXPECT_EQ(Lines({}), Numbers{});
  EXPECT_EQ(Used(), Holds(6).amounts);
  EXPECT_TRUE(store_->Insert(MakeHolder("c", Holds(2)), {}).ok()) << "what fits is let in";
  EXPECT_TRUE(store_->Insert(MakeHolder("d", Holds(3), "2"), {}).ok()) << "others have their own";
}
TEST_P(StoreContract, AWishThatAsksForMoreIsCheckedAndARecordIsNot) {
  const LeaderToken leader = store_->BecomeLeader().value();
  ASSERT_TRUE(store_->PutQuota(OrgId("1"), GpuQuota(8)).ok());
  Row row = Put(MakeHolder("a", Holds(6)));
  row.reserved = Holds(9);
  row.wish = "more";
  EXPECT_TRUE(Fails(store_->SaveWish(row, Audited("more")), Code::kQuotaExceeded));
  EXPECT_NE(store_->Get(kKind, row.meta.id).value().wish, "more");
  EXPECT_EQ(Used(), Holds(6).amounts);
  row.reserved = Holds(8);
  row.revision = store_->SaveWish(row, {}).value();
  row.reserved = Holds(20);
  row.revision = store_->SaveRecord(row, leader, {}).value();
  EXPECT_EQ(Used(), Holds(20).amounts) << "a record never waits";
  row.reserved = Holds(19);
  row.revision = store_->SaveWish(row, {}).value();
  EXPECT_EQ(Used(), Holds(19).amounts) << "what shrinks is never refused";
  EXPECT_TRUE(Fails(store_->Insert(MakeHolder("b", Holds(1)), {}), Code::kQuotaExceeded));
  EXPECT_TRUE(store_->VerifyQuotaUse().ok());
}
TEST_P(StoreContract, WhatIsHeldIsGivenBackByARecordAndByErasing) {
  const LeaderToken leader = store_->BecomeLeader().value();
  Row first = Put(MakeHolder("a", Holds(2)));
  Row second = Put(MakeHolder("b", Holds(3)));
  EXPECT_EQ(Used(), (Amounts{5000, 5LL << 30, 5, 2, 0}));
  first.reserved = Holds(0);
  first.revision = store_->SaveRecord(first, leader, {}).value();
  EXPECT_EQ(Used(), Holds(3).amounts);
  second.reserved = {};  // what the caller says is not asked: the row knows
  ASSERT_TRUE(store_->Erase(second, leader).ok());
  EXPECT_EQ(Used(), Amounts{});
  ASSERT_TRUE(store_->Erase(first, leader).ok());
  EXPECT_EQ(Used(), Amounts{});
  EXPECT_TRUE(store_->VerifyQuotaUse().ok());
}
TEST_P(StoreContract, AReservationMayMoveToAnotherGroup) {
  Row row = Put(MakeHolder("a", Holds(2)));
  row.reserved = Holds(3, QuotaGroup::kModel);
  ASSERT_TRUE(store_->SaveWish(row, {}).ok());
  EXPECT_EQ(Used(), Amounts{});
  EXPECT_EQ(Used("1", QuotaGroup::kModel), Holds(3).amounts);
  EXPECT_TRUE(store_->VerifyQuotaUse().ok());
}
TEST_P(StoreContract, ARefusedWriteHoldsNothing) {
  const LeaderToken leader = store_->BecomeLeader().value();
  Row row = Put(MakeHolder("a", Holds(1)));
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kInsert, "ann"))).ok());
  const Alongside taken = With(MakeWrite(Act::kInsert, "ann"));
  EXPECT_TRUE(Fails(store_->Insert(MakeHolder("b", Holds(5)), taken), Code::kAlreadyExists));
  Row twin = MakeHolder("c", Holds(5));
  twin.meta.name = row.meta.name;
  EXPECT_TRUE(Fails(store_->Insert(twin, {}), Code::kAlreadyExists));
  row.reserved = Holds(7);
  EXPECT_TRUE(Fails(store_->SaveWish(row, taken), Code::kAlreadyExists));
  EXPECT_TRUE(Fails(store_->SaveRecord(row, leader, taken), Code::kAlreadyExists));
  EXPECT_TRUE(Fails(store_->Erase(row, leader, taken), Code::kAlreadyExists));
  row.revision = Revision{99};
  EXPECT_TRUE(Fails(store_->SaveWish(row, {}), Code::kConflict));
  EXPECT_EQ(Used(), Holds(1).amounts);
  EXPECT_TRUE(store_->VerifyQuotaUse().ok());
}
TEST_P(StoreContract, OfManyAtOnceAsManyGetInAsTheQuotaHolds) {
  const LeaderToken leader = store_->BecomeLeader().value();
  for (int round = 0; round < 3; ++round) {
    const std::string org = std::to_string(round);
    ASSERT_TRUE(store_->PutQuota(OrgId(org), GpuQuota(10)).ok());
    std::atomic<int> in{0}, refused{0}, most{0};
    std::vector<std::thread> writers;
    for (int t = 0; t < 16; ++t) {
      writers.emplace_back([&, t] {
        for (int n = 0; n < 4; ++n) {
          const std::string id = org + "." + std::to_string(t) + "." + std::to_string(n);
          const auto inserted = store_->Insert(MakeHolder(id, Holds(1), org), Audited("create", org));
          if (inserted.ok()) ++in;
          if (Fails(inserted, Code::kQuotaExceeded)) ++refused;
          const int now = static_cast<int>(Used(org).gpus);
          if (now > most) most = now;
        }
      });
    }
    for (auto& writer : writers) writer.join();
    EXPECT_EQ(in, 10);
    EXPECT_EQ(refused, 54);
    EXPECT_LE(most, 10);
    EXPECT_EQ(Used(org), (Amounts{10000, 10LL << 30, 10, 10, 0}));
    ListQuery all;
    all.org = OrgId(org);
    for (const Row& row : store_->List(kKind, all).value()) EXPECT_TRUE(store_->Erase(row, leader).ok());
    EXPECT_EQ(Used(org), Amounts{});
    EXPECT_TRUE(store_->VerifyQuotaUse().ok());
  }
  EXPECT_EQ(Lines({}).size(), 30U) << "none of a refused one";
}
TEST_P(StoreContract, QuotasThatChangeAmidstWritersNeverLeaveAnythingHeld) {
  const LeaderToken leader = store_->BecomeLeader().value();
  std::atomic<bool> stop{false};
  std::atomic<int> in{0}, over{0};
  ASSERT_TRUE(store_->PutQuota(OrgId("1"), GpuQuota(5)).ok());  // before anybody writes
  std::thread changer([&] {
    for (int n = 0; !stop; ++n) {
      if (!store_->PutQuota(OrgId("1"), GpuQuota(n % 2 == 0 ? 3 : 5)).ok()) ++over;
      if (Used().gpus > 5) ++over;
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < 8; ++t) {
    writers.emplace_back([&, t] {
      for (int n = 0; n < 20; ++n) {
        Row row = MakeHolder(std::to_string(t) + "." + std::to_string(n), Holds(1));
        const auto revision = store_->Insert(row, {});
        if (!revision.ok()) continue;
        ++in;
        row.revision = revision.value();
        if (n % 2 == 0) {
          row.reserved = {};
          row.revision = store_->SaveRecord(row, leader, {}).value();
        }
        EXPECT_TRUE(store_->Erase(row, leader).ok());
      }
    });
  }
  for (auto& writer : writers) writer.join();
  stop = true;
  changer.join();
  EXPECT_GT(in, 0);
  EXPECT_EQ(over, 0);
  EXPECT_EQ(Used(), Amounts{});
  EXPECT_TRUE(store_->VerifyQuotaUse().ok());
}

// ---- documents

TEST_P(StoreContract, ADocumentComesBackAsItWasPut) {
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kPut, "ann", "{\"mail\":\"\xe4\xbd\xa0\"}"))).ok());
  const auto read = User("ann");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().kind, DocumentKind::kUser);
  EXPECT_EQ(read.value().org, OrgId("1"));
  EXPECT_EQ(read.value().key, "ann");
  EXPECT_EQ(read.value().body, "{\"mail\":\"\xe4\xbd\xa0\"}");
  EXPECT_EQ(read.value().updated, At(7));
  EXPECT_GT(read.value().revision, Revision{0});
  EXPECT_TRUE(Fails(User("ann", "2"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->GetDocument(DocumentKind::kBudget, OrgId("1"), "ann"), Code::kNotFound));
}
TEST_P(StoreContract, TheFourActsOnADocument) {
  EXPECT_TRUE(Fails(store_->Commit(With(MakeWrite(Act::kReplace, "ann"))), Code::kNotFound));
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kInsert, "ann", "1"))).ok());
  EXPECT_TRUE(Fails(store_->Commit(With(MakeWrite(Act::kInsert, "ann", "2"))), Code::kAlreadyExists));
  DocumentWrite replace = MakeWrite(Act::kReplace, "ann", "3");
  replace.document.revision = User("ann").value().revision;
  ASSERT_TRUE(store_->Commit(With(replace)).ok());
  EXPECT_EQ(User("ann").value().body, "3");
  EXPECT_TRUE(Fails(store_->Commit(With(replace)), Code::kConflict));
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kPut, "ann", "4"))).ok());
  EXPECT_EQ(User("ann").value().body, "4");
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kErase, "ann"))).ok());
  EXPECT_TRUE(Fails(User("ann"), Code::kNotFound));
  EXPECT_TRUE(store_->Commit(With(MakeWrite(Act::kErase, "ann"))).ok());
}
TEST_P(StoreContract, ADocumentThatWasErasedAndMadeAgainIsAnother) {
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kInsert, "ann", "1"))).ok());
  DocumentWrite replace = MakeWrite(Act::kReplace, "ann", "2");
  replace.document.revision = User("ann").value().revision;
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kErase, "ann"))).ok());
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kInsert, "ann", "3"))).ok());
  EXPECT_TRUE(Fails(store_->Commit(With(replace)), Code::kConflict));
  EXPECT_GT(User("ann").value().revision, replace.document.revision);
}
TEST_P(StoreContract, OfAllThatIsCommittedTogetherAllOrNothingIsThere) {
  ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kInsert, "taken"))).ok());
  Alongside all = Audited("both");
  all.documents = {MakeWrite(Act::kInsert, "new"), MakeWrite(Act::kErase, "taken"), MakeWrite(Act::kInsert, "taken"),
                   MakeWrite(Act::kInsert, "new")};
  EXPECT_TRUE(Fails(store_->Commit(all), Code::kAlreadyExists));
  EXPECT_EQ(Keys({}), Strings{});
  DocumentQuery users;
  users.kind = DocumentKind::kUser;
  EXPECT_EQ(Keys(users), (Strings{"1/taken"}));
  EXPECT_EQ(Lines({}), Numbers{});
  all.documents.pop_back();
  EXPECT_TRUE(store_->Commit(all).ok());
  EXPECT_EQ(Keys(users), (Strings{"1/new", "1/taken"}));
  EXPECT_EQ(Lines({}), (Numbers{1}));
}
TEST_P(StoreContract, DocumentsAreListedByOrganisationAndKey) {
  for (const auto& [org, key] : std::vector<std::pair<const char*, const char*>>{
           {"2", "b"}, {"1", "b2"}, {"1", "a"}, {"2", "a"}, {"1", "b1"}, {"1", "c"}}) {
    ASSERT_TRUE(store_->Commit(With(MakeWrite(Act::kInsert, key, "{}", org))).ok());
  }
  DocumentQuery query;
  query.kind = DocumentKind::kUser;
  EXPECT_EQ(Keys(query), (Strings{"1/a", "1/b1", "1/b2", "1/c", "2/a", "2/b"}));
  query.prefix = "b";
  EXPECT_EQ(Keys(query), (Strings{"1/b1", "1/b2", "2/b"}));
  query.org = OrgId("1");
  EXPECT_EQ(Keys(query), (Strings{"1/b1", "1/b2"}));
  query.most = 1;
  EXPECT_EQ(Keys(query), (Strings{"1/b1"}));
  query.after_org = OrgId("1");
  query.after_key = "b1";
  EXPECT_EQ(Keys(query), (Strings{"1/b2"}));
  query = {};
  query.kind = DocumentKind::kUser;
  query.most = 2;
  Strings all;
  for (int page = 0; page < 5; ++page) {
    const auto documents = store_->ListDocuments(query).value();
    if (documents.empty()) break;
    for (const Document& d : documents) all.push_back(d.org.str() + "/" + d.key);
    query.after_org = documents.back().org;
    query.after_key = documents.back().key;
  }
  EXPECT_EQ(all, (Strings{"1/a", "1/b1", "1/b2", "1/c", "2/a", "2/b"}));
}

// ---- audit

TEST_P(StoreContract, AuditLinesAreNumberedAndChainedInTheOrderOfTheirCommits) {
  ASSERT_TRUE(store_->Commit(Audited("first")).ok());
  Alongside two;
  two.audit = {MakeEntry("second", "2", 2000), MakeEntry("third", "1", 3000)};
  ASSERT_TRUE(store_->Commit(two).ok());
  const auto lines = store_->ReadAudit({});
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines.value().size(), 3U);
  std::string before(FirstAuditHash());
  for (std::size_t i = 0; i < 3; ++i) {
    const AuditLine& line = lines.value()[i];
    EXPECT_EQ(line.seq, i + 1);
    EXPECT_EQ(line.hash, AuditHash(before, line));
    before = line.hash;
  }
  EXPECT_EQ(lines.value()[1].org, OrgId("2"));
  EXPECT_EQ(lines.value()[1].at, At(2000));
  EXPECT_EQ(codec::DecodeAudit(lines.value()[2].text).value().action, "third");
  const auto verdict = store_->VerifyAudit();
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.value().lines, 3U);
  EXPECT_EQ(verdict.value().head, before);
  EXPECT_EQ(verdict.value().wrong, 0U) << verdict.value().message;
}
TEST_P(StoreContract, AnEmptyAuditIsWhole) {
  const auto verdict = store_->VerifyAudit();
  ASSERT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.value().lines, 0U);
  EXPECT_EQ(verdict.value().wrong, 0U) << verdict.value().message;
}
TEST_P(StoreContract, TheAuditIsReadByOrganisationTimeAndInBothDirections) {
  for (int i = 1; i <= 6; ++i) {
    Alongside with;
    with.audit = {MakeEntry("a", i % 2 == 0 ? "2" : "1", i * 1000)};
    ASSERT_TRUE(store_->Commit(with).ok());
  }
  AuditQuery query;
  EXPECT_EQ(Lines(query), (Numbers{1, 2, 3, 4, 5, 6}));
  query.after = 4;
  EXPECT_EQ(Lines(query), (Numbers{5, 6}));
  query = {};
  query.before = ~0ULL;
  query.most = 2;
  EXPECT_EQ(Lines(query), (Numbers{6, 5}));
  query.before = 5;
  EXPECT_EQ(Lines(query), (Numbers{4, 3}));
  query.org = OrgId("1");
  EXPECT_EQ(Lines(query), (Numbers{3, 1}));
  query = {};
  query.org = OrgId("2");
  query.after = 2;
  EXPECT_EQ(Lines(query), (Numbers{4, 6}));
  query = {};
  query.from = At(2000);
  query.until = At(5000);
  EXPECT_EQ(Lines(query), (Numbers{2, 3, 4}));
  query.before = 4;
  EXPECT_EQ(Lines(query), (Numbers{3, 2}));
}
TEST_P(StoreContract, EveryVerbCommitsWhatStandsAlongside) {
  const LeaderToken leader = store_->BecomeLeader().value();
  Org org = store_->CreateOrg({OrgId(), "vision", At(1), 0}, Audited("1")).value();
  org.name = "sound";
  ASSERT_TRUE(store_->UpdateOrg(org, Audited("2")).ok());
  ApiKey key;
  key.access_key = AccessKey("AK");
  key.org = org.id;
  ASSERT_TRUE(store_->PutKey(key, Audited("3")).ok());
  ASSERT_TRUE(store_->EraseKey(key.access_key, Audited("4")).ok());
  ASSERT_TRUE(store_->PutQuota(org.id, {}, Audited("5")).ok());
  Row row = MakeRow("a", "ranker");
  row.revision = store_->Insert(row, Audited("6")).value();
  row.revision = store_->SaveWish(row, Audited("7")).value();
  row.revision = store_->SaveRecord(row, leader, Audited("8")).value();
  ASSERT_TRUE(store_->Erase(row, leader, Audited("9")).ok());
  ASSERT_TRUE(store_->EraseOrg(org.id, Audited("10")).ok());
  const auto lines = store_->ReadAudit({}).value();
  ASSERT_EQ(lines.size(), 10U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(codec::DecodeAudit(lines[i].text).value().action, std::to_string(i + 1));
  }
}
TEST_P(StoreContract, ManyWritersMakeOneChain) {
  std::vector<std::thread> writers;
  for (int t = 0; t < 8; ++t) {
    writers.emplace_back([&, t] {
      for (int n = 0; n < 25; ++n) {
        const std::string id = std::to_string(t) + "." + std::to_string(n);
        EXPECT_TRUE(store_->Insert(MakeRow(id, id), Audited(id)).ok());
        EXPECT_FALSE(store_->Insert(MakeRow(id, id), Audited("refused")).ok());
      }
    });
  }
  for (auto& writer : writers) writer.join();
  const auto verdict = store_->VerifyAudit().value();
  EXPECT_EQ(verdict.lines, 200U);
  EXPECT_EQ(verdict.wrong, 0U) << verdict.message;
  for (const AuditLine& line : store_->ReadAudit({}).value()) {
    EXPECT_NE(codec::DecodeAudit(line.text).value().action, "refused");
  }
}

}  // namespace cml::store::testing
