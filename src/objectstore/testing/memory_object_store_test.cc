#include "objectstore/testing/memory_object_store.h"

#include "objectstore/testing/object_store_contract.h"

namespace cml::objectstore::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, ObjectStoreContract, ::testing::Values(MakeObjectStore{[] {
                           static const SystemClock clock;
                           return std::make_unique<MemoryObjectStore>(clock);
                         }}));

}  // namespace
}  // namespace cml::objectstore::testing
