// The contract of all backends, on the local one: with control groups and without.
#include <gtest/gtest.h>

#include "backends/local/local_test_support.h"
#include "backends/testing/backend_contract.h"

namespace cml::testing {
namespace {

using backends::local::CgroupChoice;
using backends::local::LocalBackend;
using backends::local::LocalOptions;

class LocalHarness final : public BackendHarness {
 public:
  explicit LocalHarness(CgroupChoice cgroups) {
    options_.data = folder_.path() / "data";
    options_.launcher = &backends::local::TestLauncher();
    options_.uid_of = [](const OrgId&) { return 20'001U; };
    options_.cgroups = cgroups;
    RestartServer();
  }
  backends::Backend& Get() override { return *backend_; }
  void RestartServer() override {
    backend_.reset();
    auto backend = LocalBackend::Open(options_);
    ASSERT_TRUE(backend.ok()) << backend.error().message();
    backend_ = std::move(backend).value();
  }

 private:
  TempFolder folder_;
  LocalOptions options_;
  std::unique_ptr<LocalBackend> backend_;
};

MakeHarness Local(CgroupChoice cgroups) {
  return [cgroups] { return std::make_unique<LocalHarness>(cgroups); };
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Local, BackendContract, ::testing::Values(Local(CgroupChoice::kBest)));
INSTANTIATE_TEST_SUITE_P(LocalWithoutGroups, BackendContract,
                         ::testing::Values(Local(CgroupChoice::kNone)));

}  // namespace cml::testing
