#include "cli/command.h"

#include <gtest/gtest.h>

#include "cli/main.h"

namespace cml::cli {
namespace {

const Command& Find(const std::string& path) {
  for (const Command& c : AllCommands()) {
    if (c.path == path) return c;
  }
  ADD_FAILURE() << "no command " << path;
  std::abort();
}

Typed Parse(const std::string& path, const std::vector<std::string>& args) {
  auto typed = ParseArguments(Find(path), args);
  EXPECT_TRUE(typed.ok()) << (typed.ok() ? "" : typed.error().message());
  return std::move(typed).value();
}

std::string Refusal(const std::string& path, const std::vector<std::string>& args) {
  const auto typed = ParseArguments(Find(path), args);
  EXPECT_FALSE(typed.ok());
  return typed.ok() ? "" : typed.error().message();
}

TEST(CommandTest, EveryPublishedFlagOfSubmitIsUnderstood) {
  const std::vector<std::pair<std::string, std::string>> flags = {{"-n", "job_name"},
                                                                  {"-m", "module_name"},
                                                                  {"-u", "trainer_uri"},
                                                                  {"-a", "job_args"},
                                                                  {"-fe", "fds_endpoint"},
                                                                  {"-fb", "fds_bucket"},
                                                                  {"-hka", "hdfs_krb_account"},
                                                                  {"-hkp", "hdfs_krb_password"},
                                                                  {"-hkt", "hdfs_krb_keytab"},
                                                                  {"-he", "hdfs_endpoint"},
                                                                  {"-c", "cpu_limit"},
                                                                  {"-M", "memory_limit"},
                                                                  {"-g", "gpu_limit"},
                                                                  {"-gt", "gpu_type"},
                                                                  {"-p", "ps_count"},
                                                                  {"-w", "worker_count"},
                                                                  {"-cs", "cluster_spec"},
                                                                  {"-d", "docker_image"},
                                                                  {"-dc", "docker_command"},
                                                                  {"-F", "framework"},
                                                                  {"-V", "framework_version"},
                                                                  {"-vt", "volume_type"},
                                                                  {"-vp", "volume_path"},
                                                                  {"-mp", "mount_path"},
                                                                  {"-mro", "mount_read_only"},
                                                                  {"-pc", "prepare_command"},
                                                                  {"-fc", "finish_command"},
                                                                  {"-nsk", "node_selector_key"},
                                                                  {"-nsv", "node_selector_value"},
                                                                  {"-tl", "tensorboard_logdir"},
                                                                  {"-mn", "model_name"},
                                                                  {"-mv", "model_version"}};
  for (const auto& [flag, key] : flags) {
    EXPECT_EQ(Parse("jobs submit", {flag, "x"}).Get(key), "x") << flag;
    EXPECT_EQ(Parse("jobs submit", {"--" + key, "y"}).Get(key), "y") << key;
  }
  for (const auto& [flag, key] : std::vector<std::pair<std::string, std::string>>{
           {"-R", "enable_rank"}, {"-W", "watch"}, {"-sv", "save_mode"}, {"-argo", "argo_mode"}}) {
    EXPECT_TRUE(Parse("jobs submit", {flag}).Has(key)) << flag;
  }
}

TEST(CommandTest, FollowOrFile) {
  EXPECT_EQ(Parse("jobs submit", {"-f", "job.yaml"}).Get("filename"), "job.yaml");
  EXPECT_EQ(Parse("jobs submit", {"-f=job"}).Get("filename"), "job");
  EXPECT_TRUE(Parse("jobs submit", {"-n", "a", "-f"}).Has("follow"));
  const Typed both = Parse("jobs submit", {"-f", "-n", "a"});
  EXPECT_TRUE(both.Has("follow"));
  EXPECT_EQ(both.Get("job_name"), "a");
  const Typed two = Parse("jobs submit", {"-f", "j.json", "-f"});
  EXPECT_TRUE(two.Has("follow"));
  EXPECT_EQ(two.Get("filename"), "j.json");
  EXPECT_TRUE(Parse("jobs submit", {"--file", "x", "--follow"}).Has("follow"));
}

TEST(CommandTest, WaysToGiveAValue) {
  EXPECT_EQ(Parse("jobs submit", {"-c4"}).Get("cpu_limit"), "4");
  EXPECT_EQ(Parse("jobs submit", {"-c=4"}).Get("cpu_limit"), "4");
  EXPECT_EQ(Parse("jobs submit", {"--cpu-limit=4"}).Get("cpu_limit"), "4");
  EXPECT_EQ(Parse("jobs submit", {"--cpu", "4"}).Get("cpu_limit"), "4")
      << "an unambiguous beginning";
  EXPECT_EQ(Parse("jobs submit", {"-a", "--epochs 20"}).Get("job_args"), "--epochs 20");
  EXPECT_EQ(Parse("jobs submit", {"--job_args=-f"}).Get("job_args"), "-f");
  EXPECT_EQ(Parse("jobs submit", {"--env", "A=1", "--env=B=2"}).All("env"),
            (std::vector<std::string>{"A=1", "B=2"}));
  EXPECT_EQ(Parse("jobs delete", {"--", "-odd"}).word(), "-odd");
  EXPECT_TRUE(Parse("jobs submit", {"--dry_run"}).Has("dry_run"));
}

TEST(CommandTest, RefusalsSayWhatToType) {
  EXPECT_NE(Refusal("jobs submit", {"--cpu_limits", "4"}).find("--cpu_limit?"), std::string::npos);
  EXPECT_NE(Refusal("jobs submit", {"-n"}).find("needs a value"), std::string::npos);
  EXPECT_NE(Refusal("jobs submit", {"-n", "-m", "x"}).find("--job_name=-m"), std::string::npos);
  EXPECT_NE(Refusal("jobs describe", {}).find("needs NAME"), std::string::npos);
  EXPECT_NE(Refusal("jobs logs", {"a", "b"}).find("unexpected \"b\""), std::string::npos);
  EXPECT_NE(Refusal("jobs list", {"-o", "jsn"}).find("did you mean json"), std::string::npos);
  EXPECT_NE(Refusal("jobs delete", {"-n=x", "a"}).find("takes no value"), std::string::npos);
}

TEST(CommandTest, GlobalOptionsBeforeTheCommand) {
  std::vector<std::string> args = {"-k", "prod", "--endpoint=http://x", "jobs", "list",
                                   "-k", "other"};
  const Typed typed = TakeGlobalOptions(args).value();
  EXPECT_EQ(typed.Get("context"), "prod");
  EXPECT_EQ(typed.Get("endpoint"), "http://x");
  EXPECT_EQ(args, (std::vector<std::string>{"jobs", "list", "-k", "other"}));
  std::vector<std::string> wrong = {"--endpont", "x"};
  EXPECT_NE(TakeGlobalOptions(wrong).error().message().find("--endpoint?"), std::string::npos);
}

TEST(CommandTest, ClosestMatch) {
  EXPECT_EQ(ClosestMatch("sumbit", {"submit", "list"}), "submit");
  EXPECT_EQ(ClosestMatch("descr", {"describe", "delete"}), "describe");
  EXPECT_EQ(ClosestMatch("xyz", {"submit", "list"}), "");
}

TEST(CommandTest, NoNameTwiceInACommand) {
  for (const Command& c : AllCommands()) {
    std::map<std::string, int> seen;
    for (const Option& o : c.options) {
      for (const std::string& n : o.names) EXPECT_EQ(++seen[n], 1) << c.path << " " << n;
    }
  }
}

}  // namespace
}  // namespace cml::cli
