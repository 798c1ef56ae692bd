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
  for (const char* below : {R"({"state":"running","incarnation":-2})", R"({"state":"running","starts":-1})"}) {
    EXPECT_EQ(ResourceCodec<TrainJob>::FromRecord(below, back).error().code(), Code::kDataLoss) << below;  // found by the fuzzer
  }
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
      "enable_rank": 1, "unknown": [], "docker_image": null, "gpu_memory": "1G", "env": {"N": 5}})").value();
  EXPECT_EQ(spec.gpu_limit, 2);
  EXPECT_EQ(spec.cpu_limit, "4");
  EXPECT_FALSE(spec.save_mode);
  EXPECT_EQ(spec.env.at("N"), "5");
  EXPECT_EQ(spec.not_available, std::vector<std::string>{"gpu_memory"});
}

TEST(TrainJobJsonTest, AClusterIsReadInAllItsForms) {
  for (const char* body : {R"({"cluster_spec": {"worker": {"count": "2", "cpu_limit": 4, "gpu_type": null}, "ps": {}}})",
                           R"({"cluster_spec": "{\"worker\": {\"count\": 2, \"cpu_limit\": \"4\"}, \"ps\": {}}"})"}) {
    const auto spec = DecodeTrainJobRequest(body);
    ASSERT_TRUE(spec.ok()) << spec.error().message();
    EXPECT_EQ(spec.value().cluster_spec.at("worker"), (TaskSpec{.count = 2, .cpu_limit = "4"}));
    EXPECT_EQ(spec.value().cluster_spec.at("ps"), TaskSpec{});
  }
  EXPECT_EQ(DecodeTrainJobRequest(R"({"ps_count": 1, "worker_count": "2", "cluster_spec": ""})").value().worker_count, 2);
  for (const char* body : {R"({"cluster_spec": []})", R"({"cluster_spec": "no"})", R"({"cluster_spec": {"ps": 1}})",
                           R"({"cluster_spec": {"ps": {"count": "x"}}})"}) {
    const auto spec = DecodeTrainJobRequest(body);
    ASSERT_FALSE(spec.ok()) << body;
    EXPECT_EQ(spec.error().message().substr(0, 13), "cluster_spec:");
  }
}

TrainJob Distributed() {
  TrainJob job = Job();
  job.wish.spec.ps_count = 1;
  job.wish.spec.worker_count = 1;
  job.wish.spec.max_restarts = 2;
  job.wish.spec.cluster_spec["unused"] = {.count = 0, .gpu_limit = 1, .task_args = "--a"};
  job.record.replicas.resize(2);
  job.record.replicas[0].status.role = "chief";
  job.record.replicas[0].placement = {"n", {1}, "v100", "127.0.0.1", 20'000};
  job.record.replicas[1].status.role = "ps";
  job.record.replicas[1].status.state = RunState::kFailed;
  job.record.replicas[1].status.restarts = 2;
  job.record.replicas[1].status.exit_code = 9;
  job.record.replicas[1].status.usage.cpu_millis = 5;
  job.record.replicas[1].placement = {"n", {}, "", "127.0.0.1", 20'001};
  return job;
}

TEST(TrainJobJsonTest, ReplicasComeBackAsTheyWere) {
  const TrainJob job = Distributed();
  TrainJob back;
  ASSERT_TRUE(ResourceCodec<TrainJob>::FromWish(ResourceCodec<TrainJob>::Wish(job), back).ok());
  ASSERT_TRUE(ResourceCodec<TrainJob>::FromRecord(ResourceCodec<TrainJob>::Record(job), back).ok());
  EXPECT_EQ(ResourceCodec<TrainJob>::Wish(back), ResourceCodec<TrainJob>::Wish(job));
  EXPECT_EQ(ResourceCodec<TrainJob>::Record(back), ResourceCodec<TrainJob>::Record(job));
  ASSERT_EQ(back.record.replicas.size(), 2U);
  EXPECT_EQ(back.record.replicas[1].placement, job.record.replicas[1].placement);
  EXPECT_EQ(back.record.replicas[1].status.exit_code, 9);
  EXPECT_EQ(back.wish.spec.cluster_spec, job.wish.spec.cluster_spec);
}

TEST(TrainJobJsonTest, AClusterIsNamedAsItsJobAndShowsItsReplicas) {
  TrainJob job = Distributed();
  job.wish.spec.cluster_spec.clear();
  const auto doc = Document::Parse(EncodeTrainJob(job, "default")).value();
  EXPECT_EQ(doc.Get("cluster_name").Str(), "linear");
  EXPECT_EQ(doc.Get("service_port").Str(), "20000");
  EXPECT_EQ(Document::Parse(doc.Get("cluster_env_var").Str()).value().Get("cluster").Get("ps").At(0).Str(),
            "127.0.0.1:20001");
  EXPECT_EQ(doc.Get("replicas").At(1).Get("name").Str(), "ps-0");
  EXPECT_EQ(doc.Get("replicas").At(1).Get("state").Str(), "failed");
  EXPECT_EQ(doc.Get("replicas").At(0).Get("address").Str(), "127.0.0.1:20000");
  EXPECT_FALSE(Document::Parse(EncodeTrainJob(Job(), "default")).value().Has("replicas"));
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
