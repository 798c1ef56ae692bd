#include "core/cluster_spec.h"

#include <gtest/gtest.h>

#include <set>

#include "core/train_job.h"

namespace cml {
namespace {

using Variables = std::map<std::string, std::string>;

Cluster Of(std::vector<std::pair<std::string, int>> counts, std::string framework = "") {
  Cluster cluster;
  cluster.framework = std::move(framework);
  int port = 2222;
  for (const auto& [name, count] : counts) {
    ClusterRole role{name, {}};
    for (int i = 0; i < count; ++i) role.replicas.push_back({"h", port++});
    cluster.roles.push_back(std::move(role));
  }
  return cluster;
}

TEST(ClusterSpecTest, TfConfigIsTheExampleOfTheContract) {
  Cluster cluster = Of({{"master", 1}, {"worker", 1}, {"ps", 1}});
  EXPECT_EQ(TfConfig(cluster, "ps", 0),
            R"({"cluster": {"master": ["h:2222"], "worker": ["h:2223"], "ps": ["h:2224"]}, )"
            R"("task": {"type": "ps", "index": 0}, "job": {}, "environment": "cloud"})");
  cluster.job = {{"job_args", "--name \"it\\is\"\n"}};
  cluster.trial = "2";
  EXPECT_EQ(TfConfig(cluster, "worker", 0),
            R"({"cluster": {"master": ["h:2222"], "worker": ["h:2223"], "ps": ["h:2224"]}, )"
            R"("task": {"type": "worker", "index": 0, "trial": "2"}, )"
            R"("job": {"job_args": "--name \"it\\is\"\u000a"}, "environment": "cloud"})");
}

TEST(ClusterSpecTest, TheClusterIsTheSameOnEveryReplicaAndKnowsNoEvaluator) {
  const Cluster cluster = Of({{"chief", 1}, {"worker", 2}, {"ps", 1}, {"evaluator", 1}}, "tensorflow");
  std::set<std::string> clusters;
  for (const ClusterRole& role : cluster.roles) {
    for (std::uint32_t i = 0; i < role.replicas.size(); ++i) {
      const std::string text = ClusterVariables(cluster, role.name, i).at("TF_CONFIG");
      clusters.insert(text.substr(0, text.find("\"task\"")));
    }
  }
  EXPECT_EQ(clusters, std::set<std::string>{
      R"({"cluster": {"chief": ["h:2222"], "worker": ["h:2223", "h:2224"], "ps": ["h:2225"]}, )"});
  const Variables evaluator = ClusterVariables(cluster, "evaluator", 0);
  EXPECT_NE(evaluator.at("TF_CONFIG").find(R"("task": {"type": "evaluator", "index": 0})"), std::string::npos);
  EXPECT_EQ(evaluator.at("CLUSTER_SPEC"), evaluator.at("TF_CONFIG"));
}

TEST(ClusterSpecTest, AProgramAloneIsNotOneOfMany) {
  EXPECT_TRUE(ClusterVariables(Of({{"worker", 1}}), "worker", 0).empty());
  EXPECT_TRUE(ClusterVariables(Of({}), "worker", 0).empty());
}

struct Case {
  std::string framework;
  std::vector<std::pair<std::string, int>> counts;
  std::string role;
  std::uint32_t index;
  Variables want;               // these, among others
  std::vector<std::string> without;
};

TEST(ClusterSpecTest, EachFrameworkFindsItsOwnWords) {
  const std::vector<Case> cases = {
      {"pytorch", {{"chief", 1}, {"worker", 2}}, "chief", 0,
       {{"MASTER_ADDR", "h"}, {"MASTER_PORT", "2222"}, {"WORLD_SIZE", "3"}, {"RANK", "0"},
        {"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", "1"}},
       {"DMLC_ROLE", "JAX_PROCESS_ID"}},
      {"pytorch", {{"chief", 1}, {"worker", 2}}, "worker", 1, {{"RANK", "2"}, {"MASTER_PORT", "2222"}}, {}},
      {"pytorch", {{"worker", 2}}, "worker", 1, {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "2222"}}, {}},
      // Not with parameter servers, and not for who only evaluates.
      {"tensorflow", {{"chief", 1}, {"worker", 1}, {"ps", 1}}, "worker", 0, {}, {"RANK", "MASTER_ADDR"}},
      {"pytorch", {{"chief", 1}, {"worker", 1}, {"evaluator", 1}}, "evaluator", 0, {}, {"RANK", "MASTER_ADDR"}},
      {"pytorch", {{"chief", 1}, {"worker", 1}, {"evaluator", 1}}, "worker", 0, {{"WORLD_SIZE", "2"}}, {}},
      {"mxnet", {{"chief", 1}, {"worker", 2}, {"ps", 1}}, "chief", 0,
       {{"DMLC_ROLE", "scheduler"}, {"DMLC_TRACKER_URI", "h"}, {"DMLC_TRACKER_PORT", "2222"},
        {"DMLC_PS_ROOT_URI", "h"}, {"DMLC_PS_ROOT_PORT", "2222"}, {"DMLC_NUM_WORKER", "2"}, {"DMLC_NUM_SERVER", "1"}},
       {"PADDLE_TRAINER_ID"}},
      {"mxnet", {{"chief", 1}, {"worker", 2}, {"ps", 1}}, "worker", 1, {{"DMLC_ROLE", "worker"}, {"DMLC_TASK_ID", "1"}}, {}},
      {"mxnet", {{"chief", 1}, {"worker", 2}, {"ps", 1}}, "ps", 0, {{"DMLC_ROLE", "server"}, {"DMLC_TASK_ID", "0"}}, {}},
      {"xgboost", {{"chief", 1}, {"worker", 1}}, "worker", 0,
       {{"DMLC_TRACKER_URI", "h"}, {"DMLC_TRACKER_PORT", "2222"}, {"DMLC_NUM_WORKER", "2"}, {"DMLC_TASK_ID", "1"},
        {"DMLC_ROLE", "worker"}, {"RANK", "1"}}, {}},
      {"paddlepaddle", {{"chief", 1}, {"worker", 1}, {"ps", 2}}, "worker", 0,
       {{"TRAINING_ROLE", "TRAINER"}, {"PADDLE_TRAINER_ID", "1"}, {"PADDLE_TRAINERS_NUM", "2"},
        {"PADDLE_TRAINER_ENDPOINTS", "h:2222,h:2223"}, {"PADDLE_CURRENT_ENDPOINT", "h:2223"},
        {"PADDLE_PSERVERS_IP_PORT_LIST", "h:2224,h:2225"}}, {"RANK"}},
      {"paddlepaddle", {{"chief", 1}, {"worker", 1}, {"ps", 2}}, "ps", 1,
       {{"TRAINING_ROLE", "PSERVER"}, {"PADDLE_CURRENT_ENDPOINT", "h:2225"}, {"POD_IP", "h"}, {"PADDLE_PORT", "2225"}},
       {"PADDLE_TRAINER_ID"}},
      {"jax", {{"worker", 2}}, "worker", 1,
       {{"JAX_COORDINATOR_ADDRESS", "h:2222"}, {"JAX_NUM_PROCESSES", "2"}, {"JAX_PROCESS_ID", "1"}}, {"DMLC_ROLE"}},
  };
  for (const Case& c : cases) {
    const Variables got = ClusterVariables(Of(c.counts, c.framework), c.role, c.index);
    for (const auto& [name, value] : c.want) {
      ASSERT_TRUE(got.contains(name)) << c.framework << " " << c.role << " " << name;
      EXPECT_EQ(got.at(name), value) << c.framework << " " << c.role << " " << name;
    }
    for (const auto& name : c.without) EXPECT_FALSE(got.contains(name)) << c.framework << " " << c.role << " " << name;
  }
}

TEST(ClusterSpecTest, AnAddressOfTheSixthVersionIsInBrackets) {
  Cluster cluster = Of({{"worker", 2}});
  cluster.roles[0].replicas[0].host = "fd00::1";
  EXPECT_NE(TfConfig(cluster, "worker", 1).find("\"[fd00::1]:2222\""), std::string::npos);
  EXPECT_EQ(ClusterVariables(cluster, "worker", 1).at("MASTER_ADDR"), "fd00::1");
}

}  // namespace
}  // namespace cml
