// store/testing/store_contract.h — every implementation of Store runs this suite:
//
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, ::testing::Values(MakeStore{[] { … }}));
//
// in one .cc of a test program, as this header defines the tests: here those of resources, in
// identity_contract.h those of organisations and keys, in ledger_contract.h and usage_contract.h those
// of quotas, documents, audit and usage. The maker returns an empty store.
// What outlives a process (promise 2) and a full disk (promise 5) need means of their own and are
// tested beside each implementation.
#pragma once
#include <set>

#include "store/testing/contract_fixture.h"
#include "store/testing/identity_contract.h"
#include "store/testing/ledger_contract.h"
#include "store/testing/usage_contract.h"

namespace cml::store::testing {

// ---- resources

TEST_P(StoreContract, ARowComesBackAsItWasPut) {
  Row row = MakeRow("a000000001", "ranker", "1", 123456789012);
  row.wish = std::string("{\"s\":\"\xe4\xbd\xa0 \\u0000 '\"}");
  row.record = R"({"reason":"x"})";
  row.meta.updated = At(123456789999);
  row.unfinished = false;
  row = Put(row);
  for (const auto& read :
       {store_->Find(kKind, OrgId("1"), "ranker"), store_->Get(kKind, ResourceId("a000000001"))}) {
    ASSERT_TRUE(read.ok());
    const Row& back = read.value();
    EXPECT_EQ(back.kind, kKind);
    EXPECT_EQ(back.meta.id, row.meta.id);
    EXPECT_EQ(back.meta.org, row.meta.org);
    EXPECT_EQ(back.meta.name, row.meta.name);
    EXPECT_EQ(back.meta.created, row.meta.created);
    EXPECT_EQ(back.meta.updated, row.meta.updated);
    EXPECT_EQ(back.wish, row.wish);
    EXPECT_EQ(back.record, row.record);
    EXPECT_EQ(back.state, row.state);
    EXPECT_TRUE(back.live);
    EXPECT_FALSE(back.unfinished);
    EXPECT_EQ(back.revision, row.revision);
    EXPECT_GT(back.revision, Revision{0});
  }
}
TEST_P(StoreContract, WhatIsNotThereIsNotFound) {
  EXPECT_TRUE(Fails(store_->Find(kKind, OrgId("1"), "ranker"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Get(kKind, ResourceId("a000000001")), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Events(kKind, ResourceId("a000000001")), Code::kNotFound));
  Row row = MakeRow("a000000001", "ranker");
  row.revision = Revision{1};
  EXPECT_TRUE(Fails(store_->SaveWish(row, {}), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->SaveRecord(row, LeaderToken{1}, {}), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Erase(row, LeaderToken{1}), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->AddEvent(kKind, row.meta.id, MakeEvent(1, "A")), Code::kNotFound));
}
TEST_P(StoreContract, ALiveNameIsTakenOnceInAnOrganisation) {
  Put(MakeRow("a000000001", "ranker", "1"));
  EXPECT_TRUE(Fails(store_->Insert(MakeRow("a000000002", "ranker", "1"), {{MakeEvent(1, "A")}}),
                    Code::kAlreadyExists));
  EXPECT_TRUE(Fails(store_->Get(kKind, ResourceId("a000000002")), Code::kNotFound));
  Put(MakeRow("a000000003", "ranker", "2"));
  EXPECT_EQ(store_->Find(kKind, OrgId("2"), "ranker").value().meta.id, ResourceId("a000000003"));
  EXPECT_EQ(store_->Find(kKind, OrgId("1"), "ranker").value().meta.id, ResourceId("a000000001"));
}
TEST_P(StoreContract, AnIdInUseIsAConflict) {
  Put(MakeRow("a000000001", "ranker", "1"));
  EXPECT_TRUE(Fails(store_->Insert(MakeRow("a000000001", "other", "2"), {}), Code::kConflict));
  EXPECT_EQ(store_->Get(kKind, ResourceId("a000000001")).value().meta.name, "ranker");
}
TEST_P(StoreContract, ANameIsFreeAgainWhileItsRowIsBeingDeleted) {
  Row old = Put(MakeRow("a000000001", "ranker", "1", 1000));
  old.live = false;
  ASSERT_TRUE(store_->SaveWish(old, {}).ok());
  EXPECT_FALSE(store_->Find(kKind, OrgId("1"), "ranker").value().live);
  Put(MakeRow("a000000002", "ranker", "1", 500));
  const auto found = store_->Find(kKind, OrgId("1"), "ranker");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found.value().meta.id, ResourceId("a000000002")) << "the live one, not the newest";
  EXPECT_TRUE(store_->Get(kKind, ResourceId("a000000001")).ok());
}
TEST_P(StoreContract, OfSeveralBeingDeletedTheNewestIsFound) {
  for (const char* id : {"a000000001", "a000000003", "a000000002"}) {
    Row row = Put(MakeRow(id, "ranker", "1", id[9] == '1' ? 900 : 800));
    row.live = false;
    ASSERT_TRUE(store_->SaveWish(row, {}).ok());
  }
  EXPECT_EQ(store_->Find(kKind, OrgId("1"), "ranker").value().meta.id, ResourceId("a000000001"));
}
TEST_P(StoreContract, ARowCannotComeAliveUnderANameThatIsTaken) {
  Row old = Put(MakeRow("a000000001", "ranker"));
  old.live = false;
  old.revision = store_->SaveWish(old, {}).value();
  Put(MakeRow("a000000002", "ranker"));
  old.live = true;
  EXPECT_TRUE(Fails(store_->SaveWish(old, {}), Code::kAlreadyExists));
  EXPECT_FALSE(store_->Get(kKind, old.meta.id).value().live);
}

// ---- two writers, one revision

TEST_P(StoreContract, AWishIsSavedAndTheRecordIsLeftAlone) {
  Row row = Put(MakeRow("a000000001", "ranker"));
  const Revision before = row.revision;
  row.wish = "new wish";
  row.record = "must not be written";
  row.state = "must not be written";
  row.meta.updated = At(2000);
  row.unfinished = false;
  const auto saved = store_->SaveWish(row, {});
  ASSERT_TRUE(saved.ok());
  EXPECT_GT(saved.value(), before);
  const Row back = store_->Get(kKind, row.meta.id).value();
  EXPECT_EQ(back.wish, "new wish");
  EXPECT_EQ(back.record, "{}");
  EXPECT_EQ(back.state, "enqueued");
  EXPECT_EQ(back.meta.updated, At(2000));
  EXPECT_FALSE(back.unfinished);
  EXPECT_EQ(back.revision, saved.value());
}
TEST_P(StoreContract, ARecordIsSavedAndTheWishIsLeftAlone) {
  Row row = Put(MakeRow("a000000001", "ranker"));
  const std::string wish = row.wish;
  row.wish = "must not be written";
  row.record = "new record";
  row.state = "running";
  row.live = false;
  const auto saved = store_->SaveRecord(row, store_->BecomeLeader().value(), {});
  ASSERT_TRUE(saved.ok());
  const Row back = store_->Get(kKind, row.meta.id).value();
  EXPECT_EQ(back.wish, wish);
  EXPECT_EQ(back.record, "new record");
  EXPECT_EQ(back.state, "running");
  EXPECT_TRUE(back.live);
  EXPECT_EQ(back.revision, saved.value());
}
TEST_P(StoreContract, TheStampOfANameMovesWithEveryChangeOfItsRowAndNotWithoutOne) {
  const OrgId org("1");
  if (store_->NameStamp(kKind, org, "ranker") == 0) return;  // this store cannot tell: allowed
  std::set<std::uint64_t> seen;
  const auto is_new = [&] { return seen.insert(store_->NameStamp(kKind, org, "ranker")).second; };
  EXPECT_TRUE(is_new());
  Row row = MakeRow("a000000001", "ranker");
  row.meta.org = org;
  row = Put(row);
  EXPECT_TRUE(is_new()) << "put";
  EXPECT_TRUE(store_->Find(kKind, org, "ranker").ok());
  EXPECT_FALSE(is_new()) << "read";
  row.revision = store_->SaveWish(row, {}).value();
  EXPECT_TRUE(is_new()) << "wish";
  const LeaderToken leader = store_->BecomeLeader().value();
  row.revision = store_->SaveRecord(row, leader, {}).value();
  EXPECT_TRUE(is_new()) << "record";
  EXPECT_TRUE(store_->Erase(row, leader).ok());
  EXPECT_TRUE(is_new()) << "erased";
}
TEST_P(StoreContract, TheSecondOfTwoWritersLosesAndChangesNothing) {
  const Row seen = Put(MakeRow("a000000001", "ranker"));
  const LeaderToken leader = store_->BecomeLeader().value();
  Row first = seen;
  first.wish = "first";
  ASSERT_TRUE(store_->SaveWish(first, {{MakeEvent(1, "First")}}).ok());
  Row second = seen;
  second.wish = second.record = "second";
  EXPECT_TRUE(Fails(store_->SaveWish(second, {{MakeEvent(2, "Second")}}), Code::kConflict));
  EXPECT_TRUE(Fails(store_->SaveRecord(second, leader, {{MakeEvent(2, "Second")}}), Code::kConflict));
  EXPECT_TRUE(Fails(store_->Erase(second, leader), Code::kConflict));
  const Row back = store_->Get(kKind, seen.meta.id).value();
  EXPECT_EQ(back.wish, "first");
  EXPECT_EQ(back.record, "{}");
  const auto events = store_->Events(kKind, seen.meta.id).value();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].reason, "First");
}
TEST_P(StoreContract, OfManyConcurrentWritersOneWinsEachRound) {
  Row row = Put(MakeRow("a000000001", "ranker"));
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> won{0}, lost{0};
    std::vector<std::thread> writers;
    for (int i = 0; i < 8; ++i) {
      writers.emplace_back([&, mine = row, i]() mutable {
        mine.wish = std::to_string(i);
        const auto saved = store_->SaveWish(mine, {});
        if (saved.ok()) ++won;
        if (!saved.ok() && saved.error().code() == Code::kConflict) ++lost;
      });
    }
    for (auto& writer : writers) writer.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, 7);
    row = store_->Get(kKind, row.meta.id).value();
  }
}
TEST_P(StoreContract, AWriteThatFailsTakesNoOtherWithIt) {
  Put(MakeRow("taken00000", "taken"));
  constexpr int kEach = 8;
  std::atomic<int> added{0}, refused{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < kEach; ++i) {
    writers.emplace_back([&, i] {
      for (int n = 0; n < 10; ++n) {
        const std::string tail = std::to_string(i) + "-" + std::to_string(n);
        if (store_->Insert(MakeRow("good" + tail, "good" + tail), {{MakeEvent(1, "A")}}).ok())
          ++added;
        const auto bad = store_->Insert(MakeRow("bad" + tail, "taken"), {{MakeEvent(1, "A")}});
        if (Fails(bad, Code::kAlreadyExists)) ++refused;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(added, kEach * 10);
  EXPECT_EQ(refused, kEach * 10);
  EXPECT_EQ(Ids({.org = {}, .most = 1000, .after_created = {}, .after_id = {}}).size(),
            1U + kEach * 10U);
}
TEST_P(StoreContract, AWriteIsSeenByEveryReadAfterIt) {
  std::atomic<int> missing{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      for (int n = 0; n < 25; ++n) {
        const std::string id = std::to_string(i) + "-" + std::to_string(n);
        if (!store_->Insert(MakeRow(id, id), {}).ok() || !store_->Get(kKind, ResourceId(id)).ok()) {
          ++missing;
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(missing, 0);
}

// ---- leadership

TEST_P(StoreContract, EachLeaderHasAGreaterToken) {
  const LeaderToken first = store_->BecomeLeader().value();
  const LeaderToken second = store_->BecomeLeader().value();
  EXPECT_GT(first, LeaderToken{0});
  EXPECT_GT(second, first);
}
TEST_P(StoreContract, AnOldLeaderIsRefusedAndChangesNothing) {
  Row row = Put(MakeRow("a000000001", "ranker"));
  const LeaderToken old = store_->BecomeLeader().value();
  const LeaderToken current = store_->BecomeLeader().value();
  row.record = "old leader";
  EXPECT_TRUE(Fails(store_->SaveRecord(row, old, {{MakeEvent(1, "A")}}), Code::kFailedPrecondition));
  EXPECT_TRUE(Fails(store_->Erase(row, old), Code::kFailedPrecondition));
  EXPECT_EQ(store_->Get(kKind, row.meta.id).value().record, "{}");
  EXPECT_TRUE(store_->Events(kKind, row.meta.id).value().empty());
  row.record = "new leader";
  row.revision = store_->SaveRecord(row, current, {}).value();
  EXPECT_TRUE(store_->Erase(row, current).ok());
}
TEST_P(StoreContract, ATokenFromElsewhereThatIsNewerShutsOutTheOlder) {
  Row row = Put(MakeRow("a000000001", "ranker"));
  row.revision = store_->SaveRecord(row, LeaderToken{50}, {}).value();
  EXPECT_TRUE(Fails(store_->SaveRecord(row, LeaderToken{49}, {}), Code::kFailedPrecondition));
  EXPECT_GT(store_->BecomeLeader().value(), LeaderToken{50});
}

// ---- erasing

TEST_P(StoreContract, ErasingTakesTheRowAndItsEvents) {
  const LeaderToken leader = store_->BecomeLeader().value();
  Row row = Put(MakeRow("a000000001", "ranker"), {{MakeEvent(1, "A"), MakeEvent(2, "B")}});
  const Row other = Put(MakeRow("a000000002", "other"), {{MakeEvent(3, "C")}});
  ASSERT_TRUE(store_->Erase(row, leader).ok());
  EXPECT_TRUE(Fails(store_->Get(kKind, row.meta.id), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Find(kKind, OrgId("1"), "ranker"), Code::kNotFound));
  EXPECT_TRUE(Fails(store_->Events(kKind, row.meta.id), Code::kNotFound));
  EXPECT_EQ(store_->Events(kKind, other.meta.id).value().size(), 1U);
  Put(MakeRow("a000000001", "ranker"));
  EXPECT_TRUE(store_->Events(kKind, row.meta.id).value().empty());
}

// ---- lists

TEST_P(StoreContract, PagesGoFromNewToOldAndByIdWhereTimesAreEqual) {
  Put(MakeRow("b", "n1", "1", 100));
  Put(MakeRow("d", "n2", "1", 200));
  Put(MakeRow("c", "n3", "2", 100));
  Put(MakeRow("a", "n4", "1", 100));
  Put(MakeRow("e", "n5", "1", 50));
  EXPECT_EQ(Ids({}), (Names{"d", "c", "b", "a", "e"}));
  ListQuery query;
  query.most = 2;
  Names all;
  for (int page = 0; page < 5; ++page) {
    const auto rows = store_->List(kKind, query).value();
    if (rows.empty()) break;
    EXPECT_LE(rows.size(), 2U);
    for (const Row& row : rows) all.push_back(row.meta.id.str());
    query.after_created = rows.back().meta.created;
    query.after_id = rows.back().meta.id;
  }
  EXPECT_EQ(all, (Names{"d", "c", "b", "a", "e"}));
  query = {};
  query.org = OrgId("1");
  EXPECT_EQ(Ids(query), (Names{"d", "b", "a", "e"}));
  query.after_created = At(100);
  query.after_id = ResourceId("b");
  EXPECT_EQ(Ids(query), (Names{"a", "e"}));
  query.org = OrgId("3");
  EXPECT_EQ(Ids(query), Names{});
  query = {};
  query.most = 0;
  EXPECT_EQ(Ids(query), Names{});
}
TEST_P(StoreContract, AListHasWhatIsBeingDeletedToo) {
  Row row = Put(MakeRow("a", "ranker"));
  row.live = false;
  ASSERT_TRUE(store_->SaveWish(row, {}).ok());
  EXPECT_EQ(Ids({}), (Names{"a"}));
}
TEST_P(StoreContract, UnfinishedRowsAreListedAndCountedOldestFirst) {
  const LeaderToken leader = store_->BecomeLeader().value();
  Row done = Put(MakeRow("a", "n1", "1", 1));
  Put(MakeRow("b", "n2", "2", 3));
  Put(MakeRow("c", "n3", "1", 2));
  done.unfinished = false;
  done.revision = store_->SaveRecord(done, leader, {}).value();
  const auto ids = store_->ListUnfinished(kKind);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids.value(), (std::vector{ResourceId("c"), ResourceId("b")}));
  EXPECT_EQ(store_->CountUnfinished(kKind).value(), 2U);
  done.unfinished = true;  // started again
  ASSERT_TRUE(store_->SaveWish(done, {}).ok());
  EXPECT_EQ(store_->CountUnfinished(kKind).value(), 3U);
}

// ---- events

TEST_P(StoreContract, EventsComeBackOldestFirst) {
  const LeaderToken leader = store_->BecomeLeader().value();
  Row row = Put(MakeRow("a", "ranker"), {{MakeEvent(1, "Created", "one")}});
  row.revision = store_->SaveWish(row, {{MakeEvent(2, "Started", "two")}}).value();
  row.revision = store_->SaveRecord(row, leader, {{MakeEvent(3, "Running", "three")}}).value();
  Event warning = MakeEvent(4, "OutOfMemory", "four");
  warning.type = EventType::kWarning;
  ASSERT_TRUE(store_->AddEvent(kKind, row.meta.id, warning).ok());
  const auto events = store_->Events(kKind, row.meta.id).value();
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].message, "one");
  EXPECT_EQ(events[1].reason, "Started");
  EXPECT_EQ(events[2].first, At(3));
  EXPECT_EQ(events[3].type, EventType::kWarning);
  EXPECT_EQ(events[3].count, 1);
  EXPECT_EQ(store_->Get(kKind, row.meta.id).value().revision, row.revision)
      << "an event alone is no change of the row";
}
TEST_P(StoreContract, AnEventLikeTheNewestRaisesItsCount) {
  const Row row = Put(MakeRow("a", "ranker"), {{MakeEvent(1, "Waiting"), MakeEvent(5, "Waiting")}});
  ASSERT_TRUE(store_->AddEvent(kKind, row.meta.id, MakeEvent(9, "Waiting")).ok());
  auto events = store_->Events(kKind, row.meta.id).value();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].count, 3);
  EXPECT_EQ(events[0].first, At(1));
  EXPECT_EQ(events[0].last, At(9));
  Event other = MakeEvent(10, "Waiting");
  other.type = EventType::kWarning;
  ASSERT_TRUE(store_->AddEvent(kKind, row.meta.id, other).ok());
  ASSERT_TRUE(store_->AddEvent(kKind, row.meta.id, MakeEvent(11, "Waiting", "Else.")).ok());
  ASSERT_TRUE(store_->AddEvent(kKind, row.meta.id, MakeEvent(12, "Waiting")).ok());
  events = store_->Events(kKind, row.meta.id).value();
  EXPECT_EQ(events.size(), 4U) << "only the newest is counted, not one further back";
}

// ---- upkeep

TEST_P(StoreContract, PingIsOkWhereItCanWrite) { EXPECT_TRUE(store_->Ping().ok()); }
TEST_P(StoreContract, ABackupIsAFileAndReplacesAnOlderOne) {
  const TempFolder folder;
  Put(MakeRow("a", "ranker"));
  ASSERT_TRUE(store_->Backup(folder.path() / "copy").ok());
  Put(MakeRow("b", "other"));
  ASSERT_TRUE(store_->Backup(folder.path() / "copy").ok());
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "copy"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "no temporary file is left";
  EXPECT_FALSE(store_->Backup(folder.path() / "no/such/folder/copy").ok());
}

}  // namespace cml::store::testing
