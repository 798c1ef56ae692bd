#include "core/train_job.h"

#include <gtest/gtest.h>

#include <functional>

namespace cml {
namespace {

TrainJobSpec Good() {
  TrainJobSpec spec;
  spec.job_name = "ranker";
  spec.module_name = "trainer.task";
  spec.trainer_uri = "fds://default/ranker-1.0.tar.gz";
  return spec;
}

TEST(TrainJobTest, ANormalJobIsAccepted) {
  TrainJobSpec spec = Good();
  spec.cpu_limit = "0.5";
  spec.memory_limit = "8G";
  spec.gpu_limit = 4;
  spec.job_args = "--epochs 3 --name 'a b'";
  spec.env = {{"LR", "0.1"}};
  spec.labels = {{"team", "vision/ocr"}};
  EXPECT_TRUE(Validate(spec).ok());
  spec.job_name = "linear.v1-2";
  EXPECT_TRUE(Validate(spec).ok());
}

TEST(TrainJobTest, ACommandNeedsNoPackage) {
  TrainJobSpec spec;
  spec.job_name = "hello";
  spec.docker_command = "echo hello";
  EXPECT_TRUE(Validate(spec).ok());
}

struct BadCase {
  const char* field;
  std::function<void(TrainJobSpec&)> spoil;
};

TEST(TrainJobTest, EachWrongFieldIsNamed) {
  const BadCase cases[] = {
      {"job_name", [](auto& s) { s.job_name = ""; }},
      {"job_name", [](auto& s) { s.job_name = "Ranker"; }},
      {"job_name", [](auto& s) { s.job_name = "ranker\n"; }},
      {"job_name", [](auto& s) { s.job_name = "-a"; }},
      {"job_name", [](auto& s) { s.job_name = "a..b"; }},
      {"job_name", [](auto& s) { s.job_name = std::string(64, 'a'); }},
      {"job_name", [](auto& s) { s.job_name = "job\xd9\xa1"; }},
      {"module_name", [](auto& s) { s.module_name = ""; }},
      {"module_name", [](auto& s) { s.module_name = "-c"; }},
      {"module_name", [](auto& s) { s.module_name = "a b"; }},
      {"trainer_uri", [](auto& s) { s.trainer_uri = ""; }},
      {"trainer_uri", [](auto& s) { s.trainer_uri = "hdfs://x/y.tar.gz"; }},
      {"trainer_uri", [](auto& s) { s.trainer_uri = "fds://bucket"; }},
      {"trainer_uri", [](auto& s) { s.trainer_uri = "fds://bucket/notes.txt"; }},
      {"job_args", [](auto& s) { s.job_args = "--name 'a"; }},
      {"job_args", [](auto& s) { s.job_args = std::string("a\0b", 3); }},
      {"cpu_limit", [](auto& s) { s.cpu_limit = "many"; }},
      {"memory_limit", [](auto& s) { s.memory_limit = "8GB"; }},
      {"memory_limit", [](auto& s) { s.memory_limit = "1K"; }},
      {"disk_limit", [](auto& s) { s.disk_limit = "0G"; }},
      {"gpu_limit", [](auto& s) { s.gpu_limit = -1; }},
      {"enable_rank", [](auto& s) { s.enable_rank = 2; }},
      {"wall_time_limit", [](auto& s) { s.wall_time_limit = -5; }},
      {"max_retries", [](auto& s) { s.max_retries = 101; }},
      {"node_selector_key", [](auto& s) { s.node_selector_key = "gpu"; }},
      {"env", [](auto& s) { s.env = {{"1X", ""}}; }},
      {"env", [](auto& s) { s.env = {{"A=B", ""}}; }},
      {"labels", [](auto& s) { s.labels = {{"a b", ""}}; }},
      {"description", [](auto& s) { s.description = "\xff"; }},
      {"job_dir", [](auto& s) { s.job_dir = "a\nb"; }},
      {"ps_count", [](auto& s) { s.not_available = {"ps_count"}; }},
  };
  for (const auto& [field, spoil] : cases) {
    TrainJobSpec spec = Good();
    spoil(spec);
    const Status s = Validate(spec);
    ASSERT_FALSE(s.ok()) << field;
    EXPECT_EQ(s.error().code(), Code::kInvalidArgument);
    EXPECT_NE(s.error().message().find(field), std::string::npos) << s.error().message();
  }
}

TEST(TrainJobTest, ABadNameIsAnsweredWithTheNearestGoodOne) {
  TrainJobSpec spec = Good();
  spec.job_name = "My Ranker_2";
  EXPECT_NE(Validate(spec).error().message().find("try \"my-ranker-2\""), std::string::npos);
}

TEST(TrainJobTest, WordsAreSplitAsAShellDoesWithoutExpansion) {
  EXPECT_EQ(SplitWords("--a=1 --b 'x y' \"c\\\"d\" e\\ f $HOME ''").value(),
            (std::vector<std::string>{"--a=1", "--b", "x y", "c\"d", "e f", "$HOME", ""}));
  EXPECT_TRUE(SplitWords("  ").value().empty());
  EXPECT_FALSE(SplitWords("\"open"));
}

TEST(TrainJobTest, StatesHaveTheNamesOfTheContract) {
  for (const auto s : {TrainJobState::kInitial, TrainJobState::kEnqueued, TrainJobState::kCreating,
                       TrainJobState::kRunning, TrainJobState::kCompleted, TrainJobState::kFailed,
                       TrainJobState::kDeleting}) {
    EXPECT_EQ(ParseTrainJobState(ToString(s)), s);
    EXPECT_FALSE(CanMove(TrainJobState::kDeleting, s));
  }
  EXPECT_EQ(ToString(TrainJobState::kEnqueued), "enqueued");
  EXPECT_FALSE(CanMove(TrainJobState::kCompleted, TrainJobState::kRunning));
}

TEST(TrainJobTest, ObjectUris) {
  EXPECT_EQ(ParseObjectUri("fds://b/x/y.tar.gz")->key, "x/y.tar.gz");
  for (const char* bad : {"fds://", "fds:///x", "fds://b/", "fds://b", "s3://b/x"}) {
    EXPECT_FALSE(ParseObjectUri(bad)) << bad;
  }
}

}  // namespace
}  // namespace cml
