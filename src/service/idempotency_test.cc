#include "service/idempotency.h"

#include <gtest/gtest.h>

#include "store/testing/memory_store.h"

namespace cml::service {
namespace {

using namespace std::chrono_literals;

class IdempotencyTest : public ::testing::Test {
 protected:
  IdempotencyTest() {
    caller_.org = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    caller_.key = AccessKey{"member"};
    caller_.request = &request_;
    request_.idempotency_key = "k1";
    request_.fingerprint = "f1";
  }
  // A thing is a document of settings; `once` is what a use case would do.
  Result<std::string> Create(const std::string& name) {
    request_.replayed = false;
    return Once<std::string>(
        store_, caller_, now_,
        [&](const std::string& ref) -> Result<std::string> {
          CML_ASSIGN_OR_RETURN(const auto found, store_.GetDocument(store::DocumentKind::kSetting, caller_.org, ref));
          return found.key;
        },
        [&](const KeepOnce& keep) -> Result<std::string> {
          ++made_;
          if (meanwhile_) std::exchange(meanwhile_, nullptr)();
          store::Alongside with;
          with.documents.push_back({Setting(name), store::DocumentWrite::Act::kInsert});
          keep(name, with);
          CML_RETURN_IF_ERROR(store_.Commit(with));
          return name;
        });
  }
  store::Document Setting(const std::string& name) {
    store::Document document;
    document.org = caller_.org;
    document.key = name;
    document.body = "{}";
    return document;
  }

  std::size_t Count(store::DocumentKind kind) {
    store::DocumentQuery query;
    query.kind = kind;
    return store_.ListDocuments(query).value().size();
  }

  store::testing::MemoryStore store_;
  RequestContext request_;
  Caller caller_;
  SysTime now_{1'000'000s};
  int made_ = 0;
  std::function<void()> meanwhile_;
};

TEST_F(IdempotencyTest, ARepetitionGivesTheSameThingAndDoesNothing) {
  EXPECT_EQ(Create("a").value(), "a");
  EXPECT_FALSE(request_.replayed);
  EXPECT_EQ(Create("b").value(), "a") << "whatever it would make now";
  EXPECT_TRUE(request_.replayed);
  EXPECT_EQ(made_, 1);
}

TEST_F(IdempotencyTest, AnotherRequestWithTheKeyIsRefused) {
  ASSERT_TRUE(Create("a").ok());
  request_.fingerprint = "f2";
  const auto refused = Create("b");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kKeyReused);
  EXPECT_EQ(made_, 1);
}

TEST_F(IdempotencyTest, KeysBelongToTheOneWhoSentThem) {
  ASSERT_TRUE(Create("a").ok());
  caller_.key = AccessKey{"another"};
  EXPECT_EQ(Create("b").value(), "b");
  request_.idempotency_key.clear();
  EXPECT_EQ(Create("c").value(), "c");
  EXPECT_EQ(Create("c").error().code(), Code::kAlreadyExists) << "without a key nothing is repeated";
}

TEST_F(IdempotencyTest, OfTwoAtOnceOneCreatesAndTheOtherGetsIt) {
  meanwhile_ = [this] { ASSERT_EQ(Create("a").value(), "a"); };
  EXPECT_EQ(Create("a").value(), "a");
  EXPECT_TRUE(request_.replayed);
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(Count(store::DocumentKind::kSetting), 1U);
}

TEST_F(IdempotencyTest, ARefusedCreateKeepsNoKey) {
  store::Alongside taken;
  taken.documents.push_back({Setting("a"), store::DocumentWrite::Act::kInsert});
  ASSERT_TRUE(store_.Commit(taken).ok());
  EXPECT_EQ(Create("a").error().code(), Code::kAlreadyExists);
  EXPECT_EQ(Create("b").value(), "b") << "the key is free";
}

TEST_F(IdempotencyTest, WhatIsGoneIsNotMadeAgain) {
  ASSERT_TRUE(Create("a").ok());
  store::Alongside gone;
  gone.documents.push_back({Setting("a"), store::DocumentWrite::Act::kErase});
  ASSERT_TRUE(store_.Commit(gone).ok());
  EXPECT_EQ(Create("a").error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(made_, 1);
}

TEST_F(IdempotencyTest, AfterADayAKeyIsFreeAndSwept) {
  ASSERT_TRUE(Create("a").ok());
  now_ += 24h + 1s;
  request_.fingerprint = "f2";
  EXPECT_EQ(Create("b").value(), "b");
  EXPECT_EQ(Create("b").value(), "b");
  EXPECT_TRUE(request_.replayed);
  ASSERT_TRUE(SweepIdempotency(store_, now_).ok());
  EXPECT_EQ(Count(store::DocumentKind::kIdempotency), 1U);
  ASSERT_TRUE(SweepIdempotency(store_, now_ + 25h).ok());
  EXPECT_EQ(Count(store::DocumentKind::kIdempotency), 0U);
}

}  // namespace
}  // namespace cml::service
