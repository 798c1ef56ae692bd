#include "service/webhooks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "service/webhook_courier.h"
#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

using namespace std::chrono_literals;

class StepClock final : public Clock {
 public:
  SysTime Now() const override { return SysTime{std::chrono::milliseconds{now.load()}}; }
  std::atomic<std::int64_t> now{1'700'000'000'000};
};

class PlainBox final : public SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view context) const override { return std::string(context) + "|" + std::string(plain); }
  Result<Secret> Open(std::string_view sealed, std::string_view context) const override {
    return Secret(std::string(sealed.substr(context.size() + 1)));
  }
};

class WebhooksTest : public ::testing::Test {
 protected:
  WebhooksTest() {
    me_.org = me_.home = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    me_.request = &request_;
    job_.meta.org = me_.org;
    job_.meta.name = "ranker";
    job_.meta.id = ResourceId{"id1"};
  }
  Webhooks::Created Create(std::vector<std::string> events) {
    codec::WebhookRequest request;
    request.url = "https://example.com/secret-path";
    request.events = std::move(events);
    return hooks_.Create(me_, request).value();
  }
  void Tell(std::string_view event) {
    const auto letters = hooks_.Letters(job_, event);
    store::Alongside with;
    Webhooks::Enclose(letters, with);
    ASSERT_TRUE(store_.Commit(with).ok());
    hooks_.Committed(letters);
  }
  Delivery Newest(const std::string& hook) {
    auto all = hooks_.Deliveries(me_, hook).value();
    return all.empty() ? Delivery() : all.front();
  }

  StepClock clock_;
  PlainBox box_;
  store::testing::MemoryStore store_;
  RequestContext request_;
  Caller me_;
  TrainJob job_;
  std::vector<Delivery> committed_;
  Webhooks hooks_{{store_, box_, clock_, [](const std::string&) -> Status { return Ok{}; },
                   [this](const std::vector<Delivery>& letters) {
                     committed_.insert(committed_.end(), letters.begin(), letters.end());
                   }}};
};

TEST_F(WebhooksTest, IsCreatedChangedListedAndDeleted) {
  const auto created = Create({"train_job.*"});
  EXPECT_EQ(created.secret.Reveal().size(), 40U);
  EXPECT_EQ(hooks_.List(me_).value().size(), 1U);
  codec::WebhookRequest off;
  off.active = false;
  EXPECT_FALSE(hooks_.Update(me_, created.hook.id, off).value().active);
  Webhooks again({store_, box_, clock_, {}, {}});
  ASSERT_TRUE(again.Load().ok());
  EXPECT_FALSE(again.Find(me_, created.hook.id).value().active) << "it is in the store";
  EXPECT_EQ(again.SecretOf(again.Find(me_, created.hook.id).value()).value().Reveal(), created.secret.Reveal());
  ASSERT_TRUE(hooks_.Delete(me_, created.hook.id).ok());
  EXPECT_EQ(hooks_.Find(me_, created.hook.id).error().code(), Code::kNotFound);
  Caller other = me_;
  other.org = OrgId{"77"};
  EXPECT_EQ(hooks_.List(other).value().size(), 0U);
}

TEST_F(WebhooksTest, TheAuditHasNeitherSecretNorPath) {
  const auto created = Create({"*"});
  for (const AuditLine& line : store_.ReadAudit({}).value()) {
    EXPECT_EQ(line.text.find("secret-path"), std::string::npos) << line.text;
    EXPECT_EQ(line.text.find(std::string(created.secret.Reveal())), std::string::npos);
  }
  EXPECT_TRUE(request_.audited);
}

TEST_F(WebhooksTest, WrongFieldsAreRefused) {
  codec::WebhookRequest request;
  EXPECT_EQ(hooks_.Create(me_, request).error().code(), Code::kInvalidArgument) << "no url";
  request.url = "https://example.com/";
  request.events = std::vector<std::string>{"train_job.exploded"};
  EXPECT_NE(hooks_.Create(me_, request).error().message().find("train_job.completed"), std::string::npos);
  request.events = std::vector<std::string>{"train_job.failed"};
  request.secret = "short";
  EXPECT_FALSE(hooks_.Create(me_, request).ok());
}

TEST_F(WebhooksTest, TellsOnlyWhatIsWanted) {
  const auto failures = Create({"train_job.failed"});
  EXPECT_TRUE(hooks_.Letters(job_, "train_job.running").empty());
  Tell("train_job.failed");
  ASSERT_EQ(committed_.size(), 1U);
  EXPECT_EQ(Newest(failures.hook.id).state, DeliveryState::kPending);
  TrainJob foreign = job_;
  foreign.meta.org = OrgId{"77"};
  EXPECT_TRUE(hooks_.Letters(foreign, "train_job.failed").empty());
}

TEST_F(WebhooksTest, TellsOfABudget) {
  const auto made = Create({"budget.*"});
  EXPECT_TRUE(hooks_.Letters(job_, "train_job.failed").empty());
  BudgetState state{me_.org, {2'000'000, {80, 100}, BudgetAction::kStop, "ann", {}}, Money::OfMicros(1'700'000)};
  const BudgetNotice warning{"2026-03", 80, {}}, end{"2026-03", 100, {}};
  const auto letters = hooks_.Letters(codec::BudgetNews{state, warning, "vision", "EUR"});
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].webhook, made.hook.id);
  EXPECT_EQ(letters[0].event, "budget.warning");
  EXPECT_NE(letters[0].body.find("\"percent\":85"), std::string::npos) << letters[0].body;
  EXPECT_NE(letters[0].body.find("\"amount\":\"2.000000\""), std::string::npos) << letters[0].body;
  EXPECT_EQ(hooks_.Letters(codec::BudgetNews{state, end, "vision", "EUR"}).at(0).event, "budget.exceeded");
  state.org = OrgId{"77"};
  EXPECT_TRUE(hooks_.Letters(codec::BudgetNews{state, end, "speech", "EUR"}).empty());
}

class CourierTest : public WebhooksTest {
 protected:
  Result<int> Post(const WebhookCourier::Letter& letter) {
    const std::scoped_lock lock(mu_);
    seen_.push_back(letter.id);
    cv_.notify_all();
    return answer_;
  }
  std::unique_ptr<WebhookCourier> Open() {
    auto courier = std::make_unique<WebhookCourier>(WebhookCourier::Deps{
        store_, hooks_, clock_, [this](const WebhookCourier::Letter& letter) { return Post(letter); }});
    EXPECT_TRUE(courier->Recover().ok());
    return courier;
  }
  bool Seen(std::size_t count) {
    std::unique_lock lock(mu_);
    return cv_.wait_for(lock, 10s, [&] { return seen_.size() >= count; });
  }
  bool Tried(const std::string& hook, std::int64_t attempts) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (Newest(hook).attempts < attempts && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return Newest(hook).attempts == attempts;
  }
  void WaitFor(const WebhookCourier& courier, std::size_t waiting) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (courier.waiting() != waiting && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  }

  std::mutex mu_;
  std::condition_variable cv_;
  std::vector<std::string> seen_;
  Result<int> answer_ = 200;
};

TEST_F(CourierTest, WhatAnEarlierProcessLeftIsDelivered) {
  const auto hook = Create({"*"}).hook;
  Tell("train_job.completed");
  const auto courier = Open();
  ASSERT_TRUE(Seen(1));
  WaitFor(*courier, 0);
  const Delivery delivery = Newest(hook.id);
  EXPECT_EQ(delivery.state, DeliveryState::kDelivered);
  EXPECT_EQ(delivery.id, seen_[0]);
}

TEST_F(CourierTest, AFailureIsTriedAgainUnderTheSameIdAndGivenUpAfterADay) {
  const auto hook = Create({"*"}).hook;
  Tell("train_job.completed");
  answer_ = 500;
  const auto courier = Open();
  ASSERT_TRUE(Seen(1));
  ASSERT_TRUE(Tried(hook.id, 1)) << "and written down";
  clock_.now += 6'000;
  ASSERT_TRUE(Seen(2)) << "after five seconds";
  ASSERT_TRUE(Tried(hook.id, 2));
  EXPECT_EQ(seen_[0], seen_[1]);
  clock_.now += 25LL * 3600 * 1000;
  ASSERT_TRUE(Seen(3));
  WaitFor(*courier, 0);
  const Delivery delivery = Newest(hook.id);
  EXPECT_EQ(delivery.state, DeliveryState::kFailed);
  EXPECT_EQ(delivery.status, 500);
  EXPECT_NE(delivery.message.find("given up after 3 attempts"), std::string::npos) << delivery.message;
  clock_.now += 80LL * 3600 * 1000;
  ASSERT_TRUE(courier->Sweep().ok());
  EXPECT_TRUE(hooks_.Deliveries(me_, hook.id).value().empty());
}

TEST_F(CourierTest, AWebhookThatIsSwitchedOffGetsNothing) {
  const auto hook = Create({"*"}).hook;
  Tell("train_job.completed");
  codec::WebhookRequest off;
  off.active = false;
  ASSERT_TRUE(hooks_.Update(me_, hook.id, off).ok());
  const auto courier = Open();
  WaitFor(*courier, 0);
  EXPECT_TRUE(seen_.empty());
  EXPECT_EQ(Newest(hook.id).state, DeliveryState::kFailed);
}

TEST(DeliveryPauseTest, DoublesUpToAnHour) {
  EXPECT_EQ(DeliveryPause(1), 5s);
  EXPECT_EQ(DeliveryPause(2), 10s);
  EXPECT_EQ(DeliveryPause(5), 80s);
  EXPECT_EQ(DeliveryPause(30), 1h);
}

}  // namespace
}  // namespace cml::service
