#include "codec/train_job_json.h"

#include <gtest/gtest.h>

#include "codec/document.h"

namespace cml::codec {
namespace {

TrainJob Job() {
  TrainJob job;
  job.meta = {.id = ResourceId{"abc"}, .org = OrgId{"1"}, .name = "linear", .created = SysTime{std::chrono::seconds{1474203860}}, .updated = {}};
  job.wish.spec.job_name = "linear";
  job.wish.spec.module_name = "trainer.task";
  job.wish.spec.cpu_limit = "0.5";
  job.wish.spec.env = {{"A", "b"}};
  job.wish.spec.max_retries = 2;
  job.wish.spec.defaults = {"memory_limit"};
  job.wish.spec.priority_class = PriorityClass::kGuaranteed;
  job.wish.starts = 3;
  job.record.state = TrainJobState::kRunning;
  job.record.incarnation = 7;
  job.record.exit_code = 137;
  job.record.placement = {"here", {0, 2}};
  job.record.limits = {.millicores = 500, .memory_bytes = 1 << 30, .gpus = 2, .processes = 0, .disk_bytes = 5};
  job.record.usage.memory_peak = 99;
  return job;
}

TEST(TrainJobJsonTest, RowsComeBackAsTheyWere) {
  const TrainJob job = Job();
  TrainJob back;
  ASSERT_TRUE(ResourceCodec<TrainJob>::FromWish(ResourceCodec<TrainJob>::Wish(job), back).ok());
  ASSERT_TRUE(ResourceCodec<TrainJob>::FromRecord(ResourceCodec<TrainJob>::Record(job), back).ok());
  EXPECT_EQ(ResourceCodec<TrainJob>::Wish(back), ResourceCodec<TrainJob>::Wish(job));
  EXPECT_EQ(ResourceCodec<TrainJob>::Record(back), ResourceCodec<TrainJob>::Record(job));
  EXPECT_EQ(back.record.placement, job.record.placement);
  EXPECT_EQ(back.record.limits, job.record.limits);
  EXPECT_EQ(back.wish.spec.max_retries, 2);
  EXPECT_EQ(ResourceCodec<TrainJob>::FromRecord("{\"state\":\"flying\"}", back).error().code(), Code::kDataLoss);
  EXPECT_EQ(ResourceCodec<TrainJob>::FromWish("nonsense", back).error().code(), Code::kDataLoss);
}

// Every key that one of the published clients reads without asking whether it is there.
TEST(TrainJobJsonTest, TheAnswerHasTheKeysOfBothClients) {
  const auto doc = Document::Parse(EncodeTrainJob(Job(), "default")).value();
  for (const char* key :
       {"org_id", "org_name", "job_name", "module_name", "trainer_uri", "job_args", "fds_endpoint", "fds_bucket",
        "hdfs_krb_account", "hdfs_endpoint", "cpu_limit", "memory_limit", "gpu_limit", "docker_image", "docker_command",
        "framework", "framework_version", "state", "create_time", "update_time", "cluster_name", "service_port",
        "cluster_env_var", "hyperparameters_name", "hyperparameters_goal", "hyperparameters_params", "volume_type",
        "volume_path", "mount_path", "mount_read_only", "prepare_command", "finish_command", "node_name",
        "node_selector_key", "node_selector_value"}) {
    EXPECT_TRUE(doc.Has(key)) << key;
    EXPECT_FALSE(doc.Get(key).IsNull()) << key;
  }
  EXPECT_FALSE(doc.Has("message"));
  EXPECT_EQ(doc.Get("create_time").Str(), "2016-09-18 13:04:20.000000");
  EXPECT_EQ(doc.Get("state").Str(), "running");
}

TEST(TrainJobJsonTest, RequestsAreReadWithTheQuirksOfTheClients) {
  const auto spec = DecodeTrainJobRequest(R"({"job_name": "a", "gpu_limit": "2", "cpu_limit": 4, "save_mode": 0,
      "enable_rank": 1, "unknown": [], "docker_image": null, "ps_count": 1, "env": {"N": 5}})").value();
  EXPECT_EQ(spec.gpu_limit, 2);
  EXPECT_EQ(spec.cpu_limit, "4");
  EXPECT_FALSE(spec.save_mode);
  EXPECT_EQ(spec.env.at("N"), "5");
  EXPECT_EQ(spec.not_available, std::vector<std::string>{"ps_count"});
}

TEST(TrainJobJsonTest, WrongTypesAndBrokenTextsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "body"}, {"[]", "body"}, {"{", "body"}, {"{} x", "body"}, {"{\"a\": NaN}", "body"},
      {"{\"job_name\": \"\xff\"}", "body"}, {"{\"job_name\": \"\\ud800\"}", "body"},
      {"{\"job_name\": []}", "job_name"}, {"{\"job_name\": true}", "job_name"},
      {"{\"gpu_limit\": 1.5}", "gpu_limit"}, {"{\"gpu_limit\": \"\xd9\xa1\"}", "gpu_limit"},
      {"{\"gpu_limit\": 99999999999999999999}", "gpu_limit"}, {"{\"save_mode\": \"perhaps\"}", "save_mode"},
      {"{\"env\": []}", "env"}, {"{\"env\": {\"A\": {}}}", "env A"}, {"{\"priority_class\": \"vip\"}", "priority_class"},
  };
  for (const auto& [body, named] : cases) {
    const auto r = DecodeTrainJobRequest(body);
    ASSERT_FALSE(r.ok()) << body;
    EXPECT_EQ(r.error().code(), Code::kInvalidArgument);
    EXPECT_NE(r.error().message().find(named), std::string::npos) << r.error().message();
  }
  std::string deep(10'000, '[');
  EXPECT_NE(DecodeTrainJobRequest("{\"a\":" + deep).error().message().find("nested"), std::string::npos);
}

TEST(TrainJobJsonTest, EventsAlwaysCarryRecommend) {
  const auto doc = Document::Parse(EncodeEvents("a", {Event{{}, {}, 2, EventType::kWarning, "OutOfMemory", "m"}})).value();
  EXPECT_TRUE(doc.Get("recommend").IsArray());
  EXPECT_EQ(doc.Get("events").At(0).Get("type").Str(), "Warning");
  EXPECT_EQ(doc.Get("events").At(0).Get("involvedObject").Get("name").Str(), "a");
}

}  // namespace
}  // namespace cml::codec
