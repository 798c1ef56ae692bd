#include "store/testing/memory_store.h"

#include "store/testing/store_contract.h"

namespace cml::store::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract, ::testing::Values(MakeStore{[] {
                           return std::make_unique<MemoryStore>();
                         }}));

TEST(MemoryStore, FailsBeforeOrAfterTheNextCallWhenTold) {
  MemoryStore store;
  const Error lost(Code::kDeadlineExceeded, "lost");
  store.FailNext(MemoryStore::FailWhen::kBefore, lost);
  EXPECT_TRUE(Fails(store.Insert(MakeRow("a", "one"), {}), Code::kDeadlineExceeded));
  EXPECT_TRUE(Fails(store.Get(ResourceKind::kTrainJob, ResourceId("a")), Code::kNotFound));
  store.FailNext(MemoryStore::FailWhen::kAfter, lost);
  EXPECT_TRUE(Fails(store.Insert(MakeRow("a", "one"), {}), Code::kDeadlineExceeded));
  EXPECT_TRUE(store.Get(ResourceKind::kTrainJob, ResourceId("a")).ok());
}

}  // namespace
}  // namespace cml::store::testing
