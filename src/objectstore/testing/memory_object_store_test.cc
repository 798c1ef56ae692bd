#include "objectstore/testing/memory_object_store.h"

#include "objectstore/testing/object_store_contract.h"

namespace cml::objectstore::testing {
namespace {

const SystemClock kClock;
INSTANTIATE_TEST_SUITE_P(Memory, ObjectStoreContract, ::testing::Values(MakeObjectStore{[] {
                           return std::make_unique<MemoryObjectStore>(kClock);
                         }}));

}  // namespace
}  // namespace cml::objectstore::testing
