#include "store/resources.h"

#include "store/testing/memory_store.h"
#include "store/testing/values.h"

namespace cml {
namespace toys {

struct Toy {
  static constexpr ResourceKind kKind = ResourceKind::kTrainJob;
  Meta meta;
  struct {
    std::string colour;
    bool deleted = false;
  } wish;
  struct {
    std::string state = "new";
  } record;
};
bool IsUnfinished(const Toy& toy) { return toy.wish.deleted || toy.record.state != "done"; }
Reservation ReservationOf(const Toy& toy) { return {QuotaGroup::kTrain, {.count = IsUnfinished(toy) ? 1 : 0}}; }

}  // namespace toys

template <>
struct codec::ResourceCodec<toys::Toy> {
  static std::string Wish(const toys::Toy& t) {
    return t.wish.colour + (t.wish.deleted ? "-" : "+");
  }
  static std::string Record(const toys::Toy& t) { return t.record.state; }
  static std::string State(const toys::Toy& t) { return t.record.state; }
  static Status FromWish(std::string_view text, toys::Toy& t) {
    if (text.empty()) return Error(Code::kDataLoss, "empty");
    t.wish.colour = text.substr(0, text.size() - 1);
    t.wish.deleted = text.back() == '-';
    return Ok{};
  }
  static Status FromRecord(std::string_view text, toys::Toy& t) {
    t.record.state = text;
    return Ok{};
  }
};

namespace store::testing {
namespace {

class ResourcesTest : public ::testing::Test {
 protected:
  ResourcesTest() {
    toy_.meta = {ResourceId("a"), OrgId("1"), "bear", At(1), At(1)};
    toy_.wish.colour = "brown";
  }
  MemoryStore store_;
  Resources<toys::Toy> toys_{store_};
  toys::Toy toy_;
};

TEST_F(ResourcesTest, AValueComesBackAsItWasCreated) {
  const auto revision = toys_.Create(toy_, {{MakeEvent(1, "Created")}});
  ASSERT_TRUE(revision.ok());
  for (const auto& stored : {toys_.Find(OrgId("1"), "bear"), toys_.Get(ResourceId("a"))}) {
    ASSERT_TRUE(stored.ok());
    EXPECT_EQ(stored.value().revision, revision.value());
    EXPECT_EQ(stored.value().value.wish.colour, "brown");
    EXPECT_EQ(stored.value().value.record.state, "new");
    EXPECT_EQ(stored.value().value.meta.name, "bear");
  }
  EXPECT_EQ(toys_.List({}).value().size(), 1U);
  EXPECT_EQ(toys_.Events(ResourceId("a")).value().size(), 1U);
  EXPECT_EQ(toys_.CountUnfinished().value(), 1U);
}
TEST_F(ResourcesTest, WishAndRecordAreSavedApart) {
  ASSERT_TRUE(toys_.Create(toy_, {}).ok());
  auto stored = toys_.Get(ResourceId("a")).value();
  stored.value.wish.colour = "white";
  stored.value.record.state = "done";
  stored.revision = toys_.SaveWish(stored).value();
  EXPECT_EQ(toys_.Get(ResourceId("a")).value().value.record.state, "new");
  stored.value.wish.colour = "black";
  stored.revision = toys_.SaveRecord(stored, LeaderToken{1}).value();
  const auto back = toys_.Get(ResourceId("a")).value();
  EXPECT_EQ(back.value.wish.colour, "white");
  EXPECT_EQ(back.value.record.state, "done");
  EXPECT_EQ(store_.Get(ResourceKind::kTrainJob, ResourceId("a")).value().state, "done");
  EXPECT_EQ(toys_.CountUnfinished().value(), 0U);
  EXPECT_TRUE(toys_.Erase(back, LeaderToken{1}).ok());
  EXPECT_TRUE(Fails(toys_.Get(ResourceId("a")), Code::kNotFound));
}
TEST_F(ResourcesTest, ADeletedWishFreesTheName) {
  ASSERT_TRUE(toys_.Create(toy_, {}).ok());
  auto stored = toys_.Get(ResourceId("a")).value();
  stored.value.wish.deleted = true;
  ASSERT_TRUE(toys_.SaveWish(stored).ok());
  toy_.meta.id = ResourceId("b");
  EXPECT_TRUE(toys_.Create(toy_, {}).ok());
  EXPECT_EQ(toys_.Find(OrgId("1"), "bear").value().value.meta.id, ResourceId("b"));
}
TEST_F(ResourcesTest, ARowThatTheCodecCannotReadIsDataLossAndNamed) {
  Row row = MakeRow("a", "bear");
  row.wish = "";
  ASSERT_TRUE(store_.Insert(row, {}).ok());
  const auto read = toys_.Find(OrgId("1"), "bear");
  ASSERT_TRUE(Fails(read, Code::kDataLoss));
  EXPECT_NE(read.error().message().find("bear"), std::string::npos);
}

TEST_F(ResourcesTest, RowsThatHoldWhatAnOlderVersionWroteAreRepairedOnce) {
  const LeaderToken leader = store_.BecomeLeader().value();
  const auto put = [&](const char* id, const char* record, bool unfinished) {
    Row row = MakeRow(id, id);
    row.wish = "brown+";
    row.record = record;
    row.unfinished = unfinished;
    ASSERT_TRUE(store_.Insert(row, {}).ok());
  };
  const auto held = [&] { return store_.GetQuotaUse(OrgId("1")).value().of(QuotaGroup::kTrain).count; };
  put("a", "new", true);
  put("b", "new", true);
  put("c", "done", false);
  ASSERT_TRUE(toys_.RepairReservations(leader).ok());
  EXPECT_EQ(held(), 2);
  EXPECT_EQ(store_.Get(ResourceKind::kTrainJob, ResourceId("a")).value().record, "new");
  EXPECT_TRUE(store_.VerifyQuotaUse().ok());
  put("d", "new", true);  // nobody writes such a row any more: not looked for again
  ASSERT_TRUE(toys_.RepairReservations(leader).ok());
  EXPECT_EQ(held(), 2);
}

}  // namespace
}  // namespace store::testing
}  // namespace cml
