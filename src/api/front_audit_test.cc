// What the front does around a request: its line in the audit, its rate, its idempotency key.
#include "api/testing/api_world.h"

namespace cml::api {
namespace {

using store::testing::MemoryStore;

class FrontAuditTest : public testing::ApiWorld {
 protected:
  std::vector<codec::Document> Lines() {
    std::vector<codec::Document> lines;
    for (const AuditLine& line : store_.ReadAudit({}).value()) lines.push_back(codec::Document::Parse(line.text).value());
    return lines;
  }
  net::Response Prepare() { return Send(Signed("admin", "POST", "/cloud_ml/v1/runtimes/tensorflow/2.15.1/prepare")); }
  void Break() { store_.FailNext(MemoryStore::FailWhen::kBefore, Error(Code::kUnavailable, "no space left")); }
  // A front of its own, whose other paths belong to a store that knows the key "member".
  std::unique_ptr<Front> WithObjects(FrontOptions options = {}) {
    return std::make_unique<Front>(Front::Deps{auth_, &trail_, clock_, options}, RouteTable(),
                                   [this](const net::Request&, Admit admit) {
                                     net::Route route;
                                     route.handle = [this, admit](const net::Request& request) {
                                       net::Response response;
                                       if (request.headers.Has("Wrong")) {
                                         response.status = 403;
                                         response.body = "<Error><Message>the signature is wrong</Message></Error>";
                                         return response;
                                       }
                                       const Status admitted = admit(orgs_.Key(AccessKey{"member"}).value()->caller);
                                       response.status = admitted.ok() ? 200 : 503;
                                       ++objects_written_;
                                       return response;
                                     };
                                     return route;
                                   });
  }
  static net::Response SendTo(Front& front, const net::Request& rq) { return front.Route(rq).handle(rq); }

  int objects_written_ = 0;
};

TEST_F(FrontAuditTest, EachChangeLeavesOneLineAndAReadNone) {
  Submit("ranker");
  Get("/cloud_ml/v1/train/ranker");
  EXPECT_EQ(Prepare().status, 200);
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].Get("action").Str(), "train_job.create");
  EXPECT_EQ(lines[0].Get("target").Str(), "train_job ranker");
  EXPECT_EQ(lines[0].Get("key").Str(), "member");
  EXPECT_EQ(lines[0].Get("request_id").Str(), "request-1");
  EXPECT_EQ(lines[1].Get("action").Str(), "runtime.prepare");
  EXPECT_EQ(lines[1].Get("target").Str(), "runtime tensorflow/2.15.1");
  EXPECT_EQ(lines[1].Get("status").Int(), 200);
}

TEST_F(FrontAuditTest, ARefusalIsThereWithItsReason) {
  EXPECT_EQ(Send(Signed("viewer", "POST", "/cloud_ml/v1/train", Body("mine"))).status, 403);
  EXPECT_EQ(Send(Signed("member", "POST", "/cloud_ml/v1/train", "not json")).status, 400);
  EXPECT_EQ(Send(Signed("member", "POST", "/cloud_ml/v1/train?dry_run=1", Body("dry"))).status, 200);
  EXPECT_EQ(Send(Signed("member", "DELETE", "/cloud_ml/v1/train/none?dry_run=1")).status, 404) << "only a create has dry runs";
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].Get("status").Int(), 403);
  EXPECT_EQ(lines[0].Get("role").Str(), "viewer");
  EXPECT_NE(lines[0].Get("message").Str(), "");
  EXPECT_EQ(lines[2].Get("status").Int(), 404);
}

TEST_F(FrontAuditTest, TheSubjectOfACertificateStandsBesideTheAddress) {
  net::Request rq = Signed("member", "DELETE", "/cloud_ml/v1/train/none");
  rq.peer = "192.0.2.7";
  rq.client_subject = "CN=ann,O=Example";
  Send(rq);
  EXPECT_EQ(Lines().at(0).Get("peer").Str(), "192.0.2.7 (CN=ann,O=Example)");
}

TEST_F(FrontAuditTest, WhatIsDoneAndNotAuditedSaysSoAndNothingMoreIsTaken) {
  ASSERT_EQ(Prepare().status, 200) << "the key is known from now on";
  Break();
  const auto done = Prepare();
  EXPECT_EQ(done.status, 503);
  EXPECT_NE(Message(done).find("it is done"), std::string::npos) << Message(done);
  Break();
  const auto refused = Prepare();
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(Message(refused).find("no change is taken"), std::string::npos) << Message(refused);
  EXPECT_EQ(Prepare().status, 200) << "the disk has room again";
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 4U) << "none is lost";
  EXPECT_EQ(lines[1].Get("status").Int(), 200);
  EXPECT_EQ(lines[2].Get("status").Int(), 503);
}

TEST_F(FrontAuditTest, ChangesOfObjectsAreAuditedAndStopWithTheAudit) {
  const auto front = WithObjects();
  EXPECT_EQ(SendTo(*front, Plain("GET", "/default/a")).status, 200);
  EXPECT_TRUE(Lines().empty());
  EXPECT_EQ(SendTo(*front, Plain("PUT", "/default/a%20b/c?x")).status, 200);
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_EQ(Lines()[0].Get("action").Str(), "object.write");
  EXPECT_EQ(Lines()[0].Get("target").Str(), "object default/a b/c");
  EXPECT_EQ(Lines()[0].Get("org").Str(), vision_.str());
  Break();
  EXPECT_EQ(SendTo(*front, Plain("DELETE", "/default/a")).status, 503);
  Break();
  EXPECT_EQ(SendTo(*front, Plain("DELETE", "/default/a")).status, 503);
  EXPECT_EQ(SendTo(*front, Plain("DELETE", "/default/a")).status, 200);
}

TEST_F(FrontAuditTest, WrongSignaturesAreAddedUpAndSlowedDown) {
  const auto front = WithObjects({.per_key = {0, 1}, .refused = {0.001, 3}, .log = LogRequests::kNone});
  net::Request wrong = Plain("PUT", "/default/a");
  wrong.peer = "192.0.2.7";
  wrong.headers.Add("Wrong", "yes");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(SendTo(*front, wrong).status, 403) << i;
  const auto slow = SendTo(*front, wrong);
  EXPECT_EQ(slow.status, 429);
  EXPECT_TRUE(slow.headers.Has("Retry-After"));
  EXPECT_EQ(SendTo(*front, Plain("GET", "/default/a")).status, 200);
  trail_.Flush(service::AuditTrail::Which::kAll);
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].Get("key").Str(), "") << "nobody knows who it was";
  EXPECT_NE(lines[1].Get("message").Str().find("3 more since"), std::string::npos);
}

TEST_F(FrontAuditTest, AKeyHasARate) {
  const auto front = WithObjects({.per_key = {0.001, 2}, .refused = {0, 1}, .log = LogRequests::kNone});
  EXPECT_EQ(SendTo(*front, Plain("PUT", "/default/a")).status, 200);
  EXPECT_EQ(SendTo(*front, Plain("GET", "/default/a")).status, 200);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(SendTo(*front, Plain("PUT", "/default/a")).status, 503);
  EXPECT_EQ(front->throttled(), 5U);
  trail_.Flush(service::AuditTrail::Which::kAll);
  EXPECT_EQ(Lines().size(), 3U) << "what was done, the first refusal, and the sum of the others";
}

TEST_F(FrontAuditTest, ACreateThatIsSentTwiceIsDoneOnce) {
  net::Request rq = Signed("member", "POST", "/cloud_ml/v1/train", Body("ranker"));
  rq.headers.Add("Idempotency-Key", "k1");
  const auto first = Send(rq), again = Send(rq);
  EXPECT_FALSE(first.headers.Has("Idempotency-Replayed"));
  EXPECT_EQ(again.headers.Get("Idempotency-Replayed"), "true");
  EXPECT_EQ(Json(first).Get("job_id").Str(), Json(again).Get("job_id").Str());
  net::Request other = Signed("member", "POST", "/cloud_ml/v1/train", Body("other"));
  other.headers.Add("Idempotency-Key", "k1");
  EXPECT_EQ(Send(other).status, 422);
  net::Request malformed = Signed("member", "POST", "/cloud_ml/v1/train", Body("other"));
  malformed.headers.Add("Idempotency-Key", "a b");
  EXPECT_EQ(Send(malformed).status, 400);
  EXPECT_EQ(Lines().size(), 4U) << "one line each, the repetition's says what it is";
  EXPECT_NE(Lines()[1].Get("message").Str().find("Idempotency-Key"), std::string::npos);
}

}  // namespace
}  // namespace cml::api
