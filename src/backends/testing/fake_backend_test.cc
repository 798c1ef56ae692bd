#include "backends/testing/fake_backend.h"

#include <gtest/gtest.h>

#include "backends/testing/backend_contract.h"

namespace cml::testing {
namespace {

class FakeHarness final : public BackendHarness {
 public:
  backends::Backend& Get() override { return *backend_; }
  void RestartServer() override { backend_ = std::make_unique<FakeBackend>(cluster_); }

 private:
  std::shared_ptr<FakeCluster> cluster_ = std::make_shared<FakeCluster>();
  std::unique_ptr<FakeBackend> backend_ = std::make_unique<FakeBackend>(cluster_);
};

class Misbehaviour : public ::testing::Test {
 protected:
  static Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(1); }
  static RunSpec Command(std::vector<std::string> words) {
    RunSpec spec;
    spec.roles = {Role{}};
    spec.roles[0].command = std::move(words);
    return spec;
  }
  FakeBackend fake_;
  const RunKey key_{ResourceId{"job"}, 1};
};

TEST_F(Misbehaviour, AnAnswerCanBeLostAfterTheDeed) {
  fake_.FailNextCall(FakeBackend::When::kAfter, Error(Code::kDeadlineExceeded, "unknown"));
  EXPECT_EQ(fake_.Ensure(key_, Command({"true"}), Soon()).error().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(fake_.StartsOf(key_), 1);
  EXPECT_TRUE(fake_.Ensure(key_, Command({"true"}), Soon()).ok());
  EXPECT_EQ(fake_.StartsOf(key_), 1);
}

TEST_F(Misbehaviour, ACallCanFailBeforeTheDeedAndAllCallsWhileItIsDown) {
  fake_.FailNextCall(FakeBackend::When::kBefore, Error(Code::kUnavailable, "busy"));
  EXPECT_FALSE(fake_.Ensure(key_, Command({"true"}), Soon()).ok());
  EXPECT_EQ(fake_.StartsOf(key_), 0);
  fake_.SetDown(Error(Code::kUnavailable, "down"));
  EXPECT_FALSE(fake_.Observe(key_, Soon()).ok());
  EXPECT_FALSE(fake_.Nodes(Soon()).ok());
  fake_.SetDown(std::nullopt);
  EXPECT_TRUE(fake_.Nodes(Soon()).ok());
}

TEST_F(Misbehaviour, RunsCanBeHeldFinishedAndLost) {
  fake_.HoldNewRuns();
  ASSERT_TRUE(fake_.Ensure(key_, Command({"sleep"}), Soon()).ok());
  EXPECT_EQ(fake_.Observe(key_, Soon()).value()->state, RunState::kPending);
  fake_.Start(key_);
  EXPECT_EQ(fake_.Observe(key_, Soon()).value()->state, RunState::kRunning);
  fake_.Finish(key_, 137, "OutOfMemory", "out of memory");
  EXPECT_EQ(fake_.Observe(key_, Soon()).value()->reason, "OutOfMemory");
  fake_.Lose(key_);
  EXPECT_FALSE(fake_.Observe(key_, Soon()).value().has_value());
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Fake, BackendContract, ::testing::Values(MakeHarness{[] {
                           return std::make_unique<FakeHarness>();
                         }}));

}  // namespace cml::testing
