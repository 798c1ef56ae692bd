#include "api/train_jobs.h"

#include "api/testing/api_world.h"

namespace cml::api {
namespace {

using namespace std::chrono_literals;
using State = TrainJobState;

const std::string kTrain = "/cloud_ml/v1/train";

class TrainJobRoutesTest : public testing::ApiWorld {
 protected:
  net::Response Post(const std::string& body, const std::string& query = "") {
    return Send(Signed("member", "POST", kTrain + query, body));
  }
  std::vector<std::string> Names(const net::Response& r) {
    std::vector<std::string> names;
    for (const auto& job : Json(r).Get("data").Items()) names.push_back(job.Get("job_name").Str());
    return names;
  }
  TrainJob Running(const std::string& name) {
    const TrainJob job = Submit(name);
    Record(job, [](TrainJobRecord& r) {
      r.state = State::kRunning;
      r.incarnation = 1;
    });
    return job;
  }
  // All pieces that are there now; `last` says whether that was the end.
  static std::string Drain(net::BodySource& source, bool& last) {
    std::string text;
    for (int i = 0; i < 100; ++i) {
      auto piece = source.Next();
      EXPECT_TRUE(piece.ok());
      if (!piece.ok()) return text;
      text += piece.value().bytes;
      last = piece.value().last;
      if (last || piece.value().wait > 0ms) return text;
    }
    ADD_FAILURE() << "a source without an end";
    return text;
  }
};

TEST_F(TrainJobRoutesTest, ASubmitAnswersWithTheWholeJob) {
  const auto r = Post(Body("ranker", R"(, "gpu_limit": "1", "labels": {"team": "search"})"));
  ASSERT_EQ(r.status, 200) << r.body;
  const auto job = Json(r);
  EXPECT_EQ(job.Get("state").Str(), "enqueued");
  EXPECT_EQ(job.Get("org_name").Str(), "vision");
  EXPECT_EQ(job.Get("cpu_limit").Str(), "2");
  EXPECT_EQ(job.Get("gpu_limit").Int(), 1);
  EXPECT_EQ(job.Get("labels").Get("team").Str(), "search");
  const auto stored = rows_.Find(vision_, "ranker").value().value;
  EXPECT_EQ(job.Get("job_id").Str(), stored.meta.id.str());
  EXPECT_EQ(stored.wish.submitted_by, AccessKey{"member"});
  EXPECT_EQ(changed_, std::vector{stored.meta.id});
}

TEST_F(TrainJobRoutesTest, ABadRequestNamesItsFieldAndStoresNothing) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "body"},
      {"[]", "body"},
      {"{", "body"},
      {R"({"job_name": "a", "job_name": "b", "docker_command": "true"})", "job_name"},
      {Body("Not A Name"), "job_name"},
      {Body("a", R"(, "cpu_limit": "-1")"), "cpu_limit"},
      {Body("a", R"(, "gpu_limit": 1.5)"), "gpu_limit"},
      {Body("a", R"(, "priority_class": "high")"), "priority_class"},
      {Body("a", R"(, "env": ["A"])"), "env"},
      {Body("a", R"(, "ps_count": -2)"), "ps_count"},
      {Body("a", R"(, "cluster_spec": {"ps": {"count": 1}})"), "cluster_spec"},
      {Body("a", R"(, "docker_image": "x")"), "docker_image"},
      {R"({"job_name": "a", "module_name": "t.task", "trainer_uri": "fds://default/none.tar.gz"})", "trainer_uri"},
  };
  for (const auto& [body, field] : cases) {
    const auto r = Post(body);
    EXPECT_EQ(r.status, 400) << body;
    EXPECT_NE(Message(r).find(field), std::string::npos) << Message(r);
  }
  EXPECT_TRUE(Names(Get(kTrain)).empty());
  EXPECT_TRUE(changed_.empty());
}

TEST_F(TrainJobRoutesTest, ADryRunChecksAndStoresNothing) {
  EXPECT_EQ(Post(Body("ranker"), "?dry_run=True").status, 200);
  EXPECT_EQ(Post(Body("Not A Name"), "?dry_run=true").status, 400);
  EXPECT_EQ(Post(Body("ranker"), "?dry_run=perhaps").status, 400);
  EXPECT_TRUE(Names(Get(kTrain)).empty());
  EXPECT_TRUE(changed_.empty());
}

TEST_F(TrainJobRoutesTest, ANameIsTakenInItsOrganisationAlone) {
  Submit("ranker");
  const auto again = Post(Body("ranker"));
  EXPECT_EQ(again.status, 409);
  EXPECT_NE(Message(again).find("cloudml jobs delete ranker"), std::string::npos) << Message(again);
  Submit("ranker", "", "speaker");
}

TEST_F(TrainJobRoutesTest, AnotherOrganisationsJobDoesNotExist) {
  const TrainJob theirs = Submit("theirs", "", "speaker");
  for (const std::string& name : {std::string("theirs"), theirs.meta.id.str()}) {
    for (const char* rest : {"", "/logs", "/logs?follow=True", "/events", "/metrics", "/start", "/hyperparameters"}) {
      const auto r = Get(kTrain + "/" + name + rest);
      EXPECT_EQ(r.status, 404) << name << rest;
      EXPECT_EQ(Message(r), "Train job doesn't exist");
    }
    EXPECT_EQ(Send(Signed("member", "DELETE", kTrain + "/" + name)).status, 404);
  }
  EXPECT_FALSE(rows_.Get(theirs.meta.id).value().value.wish.deleted);
}

TEST_F(TrainJobRoutesTest, ListsAreFilteredAndCutIntoPages) {
  Submit("a", R"(, "labels": {"team": "search"})");
  Submit("b", R"(, "labels": {"team": "ads", "tier": "1"})");
  const TrainJob c = Submit("c", R"(, "labels": {"team": "search", "tier": "1"})");
  Move(c, State::kRunning);
  EXPECT_EQ(Names(Get(kTrain)), (std::vector<std::string>{"c", "b", "a"}));
  EXPECT_EQ(Names(Get(kTrain + "?state=running")), std::vector<std::string>{"c"});
  EXPECT_EQ(Names(Get(kTrain + "?label=team=search")), (std::vector<std::string>{"c", "a"}));
  EXPECT_EQ(Names(Get(kTrain + "?label=team=search,tier=1")), std::vector<std::string>{"c"});

  std::vector<std::string> seen;
  std::string page;
  for (int i = 0; i < 5; ++i) {
    const auto r = Get(kTrain + "?limit=1" + (page.empty() ? "" : "&page=" + page));
    for (const auto& name : Names(r)) seen.push_back(name);
    page = Json(r).Get("next_page").Str();
    if (page.empty()) break;
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"c", "b", "a"}));
  for (const char* bad : {"?limit=many", "?limit=-1", "?limit=1001", "?label=team", "?label==x", "?page=x"}) {
    EXPECT_EQ(Get(kTrain + bad).status, 400) << bad;
  }
}

TEST_F(TrainJobRoutesTest, StartAndDeleteAreAsked) {
  const TrainJob job = Submit("ranker");
  const auto early = Get(kTrain + "/ranker/start");
  EXPECT_EQ(early.status, 409);
  EXPECT_NE(Message(early).find("enqueued"), std::string::npos) << Message(early);
  Move(job, State::kCompleted);
  const auto started = Get(kTrain + "/ranker/start");
  EXPECT_EQ(started.status, 200);
  EXPECT_EQ(Json(started).Get("state").Str(), "enqueued");
  EXPECT_EQ(rows_.Get(job.meta.id).value().value.wish.starts, 2U);

  const auto deleted = Send(Signed("member", "DELETE", kTrain + "/ranker?is_cluster_name=True"));
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(Message(deleted), "Successfully delete ranker");
  EXPECT_FALSE(Json(deleted).Get("error").Bool(true));
  EXPECT_EQ(Json(Get(kTrain + "/ranker")).Get("state").Str(), "deleting");
  EXPECT_EQ(Get(kTrain + "/ranker/start").status, 404);
  Erase(job);
  EXPECT_EQ(Get(kTrain + "/ranker").status, 404);
}

TEST_F(TrainJobRoutesTest, EventsMetricsAndHyperparameters) {
  const TrainJob job = Running("ranker");
  Record(job, [](TrainJobRecord& r) { r.usage.memory_bytes = 77; });
  const auto events = Json(Get(kTrain + "/ranker/events")).Get("events");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events.At(0).Get("reason").Str(), "Enqueued");
  EXPECT_EQ(Json(Get(kTrain + "/ranker/metrics")).Get("memory").Int(), 77);
  EXPECT_EQ(Get(kTrain + "/ranker/hyperparameters").status, 404);
}

TEST_F(TrainJobRoutesTest, TheLogAsAWholeAndItsLastLines) {
  const TrainJob job = Running("ranker");
  EXPECT_EQ(Json(Get(kTrain + "/ranker/logs")).Get("logs").Str("none"), "");
  WriteLog(job, 1, "one\ntwo\nthr\xff" "ee\n");
  const auto all = Get(kTrain + "/ranker/logs");
  EXPECT_EQ(Json(all).Get("logs").Str(), "one\ntwo\nthr\xEF\xBF\xBD" "ee\n");
  EXPECT_EQ(all.headers.Get("X-Log-Offset"), "15") << "of the log's own bytes, to follow from there";
  EXPECT_EQ(Json(Get(kTrain + "/ranker/logs?lines=1")).Get("logs").Str(), "thr\xEF\xBF\xBD" "ee\n");
  EXPECT_EQ(Json(Get(kTrain + "/ranker/logs?lines=0")).Get("logs").Str("none"), "");
  EXPECT_EQ(Get(kTrain + "/ranker/logs?lines=-1").status, 400);
  EXPECT_EQ(Get(kTrain + "/ranker/logs?follow=please").status, 400);
}

TEST_F(TrainJobRoutesTest, AFollowerGetsWhatComesAndEndsWithTheJob) {
  const TrainJob job = Running("ranker");
  const auto r = Get(kTrain + "/ranker/logs?follow=True");
  ASSERT_EQ(r.status, 200);
  ASSERT_TRUE(r.source);
  EXPECT_EQ(r.headers.Get("Content-Type"), "text/plain; charset=utf-8");
  bool last = false;
  EXPECT_EQ(Drain(*r.source, last), "");
  EXPECT_FALSE(last);
  WriteLog(job, 1, "one\n");
  EXPECT_EQ(Drain(*r.source, last), "one\n");
  EXPECT_FALSE(last);
  // A retry: its log follows, and a line says where it begins.
  Record(job, [](TrainJobRecord& record) { record.incarnation = 2; });
  WriteLog(job, 2, "again\n");
  EXPECT_EQ(Drain(*r.source, last), "==== run 2 of this job ====\nagain\n");
  EXPECT_FALSE(last);
  Move(job, State::kCompleted);
  EXPECT_EQ(Drain(*r.source, last), "");
  EXPECT_TRUE(last);
}

TEST_F(TrainJobRoutesTest, AFollowerOfAnEndedJobGetsItsLastWords) {
  const TrainJob job = Running("ranker");
  WriteLog(job, 1, "one\ntwo\nthree\n");
  Move(job, State::kFailed);
  bool last = false;
  EXPECT_EQ(Drain(*Get(kTrain + "/ranker/logs?follow=True").source, last), "one\ntwo\nthree\n");
  EXPECT_TRUE(last);
  EXPECT_EQ(Drain(*Get(kTrain + "/ranker/logs?follow=1&offset=4").source, last), "two\nthree\n");
  EXPECT_EQ(Drain(*Get(kTrain + "/ranker/logs?follow=1&lines=1").source, last), "three\n");
  EXPECT_EQ(Drain(*Get(kTrain + "/ranker/logs?follow=1&lines=0").source, last), "");
  EXPECT_TRUE(last);
}

TEST_F(TrainJobRoutesTest, AFollowerEndsWhenTheJobIsGone) {
  const TrainJob job = Running("ranker");
  WriteLog(job, 1, "one\n");
  const auto r = Get(kTrain + "/ranker/logs?follow=True");
  bool last = false;
  EXPECT_EQ(Drain(*r.source, last), "one\n");
  ASSERT_FALSE(last);
  Erase(job);
  EXPECT_EQ(Drain(*r.source, last), "");
  EXPECT_TRUE(last);
}

// It knows its job by id, so a new one of the same name is not followed.
TEST_F(TrainJobRoutesTest, AFollowerDoesNotGoOnWithAnotherJobOfTheName) {
  const TrainJob job = Running("ranker");
  const auto r = Get(kTrain + "/ranker/logs?follow=True");
  Erase(job);
  const TrainJob next = Running("ranker");
  WriteLog(next, 1, "not yours\n");
  bool last = false;
  EXPECT_EQ(Drain(*r.source, last), "");
  EXPECT_TRUE(last);
}

}  // namespace
}  // namespace cml::api
