#include "control/train_job_run.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/process.h"

namespace cml::control {
namespace {

using namespace std::chrono_literals;

TrainJob Job() {
  TrainJob job;
  job.meta.id = ResourceId{"abc"};
  job.meta.org = OrgId{"1"};
  job.wish.spec.job_name = "linear";
  job.wish.spec.module_name = "trainer.task";
  job.wish.spec.trainer_uri = "fds://default/user_packages/trainer-1.0.tar.gz";
  job.wish.spec.job_args = "--name 'it is' --lr=0.1";
  return job;
}

TEST(TrainJobRunTest, TheModuleGetsItsArgumentsVerbatimAndNothingElse) {
  const std::string script = PlanTrainJobRun(Job(), "installer").files.at("run.sh");
  EXPECT_NE(script.find("python -u -m 'trainer.task' '--name' 'it is' '--lr=0.1'\n"), std::string::npos) << script;
  EXPECT_EQ(script.find("--job-dir"), std::string::npos);
}

TEST(TrainJobRunTest, AJobDirOfTheStoreIsAFolderInside) {
  TrainJob job = Job();
  job.wish.spec.job_dir = "fds://default/out";
  EXPECT_NE(PlanTrainJobRun(job, "").files.at("run.sh").find("--job-dir '/fds/default/out'"), std::string::npos);
  job.wish.spec.job_dir = "gs://b/out";
  EXPECT_NE(PlanTrainJobRun(job, "").files.at("run.sh").find("--job-dir 'gs://b/out'"), std::string::npos);
}

TEST(TrainJobRunTest, PackagesAreFetchedInOrderAndKeepTheirNames) {
  TrainJob job = Job();
  job.wish.spec.trainer_uri += ",https://host/x/dep-2.0-py3-none-any.whl?sig=1";
  const RunSpec run = PlanTrainJobRun(job, "installer");
  ASSERT_EQ(run.fetches.size(), 2U);
  EXPECT_EQ(run.fetches[0].target, "trainer-1.0.tar.gz");
  EXPECT_EQ(run.fetches[1].target, "dep-2.0-py3-none-any.whl");
  EXPECT_EQ(run.files.at("install_packages.py"), "installer");
}

TEST(TrainJobRunTest, APlainCommandRunsWithoutAScriptAroundIt) {
  TrainJob job;
  job.wish.spec.job_name = "plain";
  job.wish.spec.docker_command = "echo a; exit 3";
  RunSpec run = PlanTrainJobRun(job, "");
  EXPECT_EQ(run.roles.front().command, (std::vector<std::string>{"bash", "/job/etc/command.sh"}));
  EXPECT_EQ(run.files, (std::map<std::string, std::string>{{"command.sh", "echo a; exit 3\n"}}));
  job.wish.spec.finish_command = "echo b";
  run = PlanTrainJobRun(job, "");
  EXPECT_EQ(run.roles.front().command.back(), "/job/etc/run.sh");
  EXPECT_TRUE(run.files.contains("run.sh"));
}

// The script itself, run by a real shell with /job replaced by a temporary folder.
class ScriptTest : public ::testing::Test {
 protected:
  ProcessResult Run(const TrainJob& job) {
    const RunSpec run = PlanTrainJobRun(job, "");
    for (const char* f : {"work", "etc", "status"}) EXPECT_TRUE(MakeFolders(folder_.path() / f).ok());
    for (const auto& [name, text] : run.files) {
      std::string local = text;
      for (std::size_t at = 0; (at = local.find("/job/", at)) != std::string::npos;) {
        local.replace(at, 5, folder_.path().string() + "/");
      }
      EXPECT_TRUE(WriteFileAtomically(folder_.path() / "etc" / name, local).ok());
    }
    auto r = RunProcess({{"bash", (folder_.path() / "etc/run.sh").string()}, {{"PATH", "/usr/bin:/bin"}}, {}}, 20s);
    EXPECT_TRUE(r.ok());
    return std::move(r).value();
  }
  TrainJob Command(std::string command) {
    TrainJob job;
    job.wish.spec.job_name = "c";
    job.wish.spec.docker_command = std::move(command);
    return job;
  }
  TempFolder folder_;
};

TEST_F(ScriptTest, FinishRunsAfterAFailureWithTheExitStatus) {
  TrainJob job = Command("echo main; exit 7");
  job.wish.spec.finish_command = "echo finish $CLOUDML_EXIT_STATUS";
  const auto r = Run(job);
  EXPECT_EQ(r.exit_code, 7);
  EXPECT_EQ(r.output, "main\nfinish 7\n");
}

TEST_F(ScriptTest, WhatPrepareExportsReachesTheProgram) {
  TrainJob job = Command("echo got $THING");
  job.wish.spec.prepare_command = "export THING=it";
  EXPECT_EQ(Run(job).output, "got it\n");
}

TEST_F(ScriptTest, AFailingPrepareEndsTheJobWithItsReason) {
  TrainJob job = Command("echo never");
  job.wish.spec.prepare_command = "false";
  const auto r = Run(job);
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.output, "");
  EXPECT_EQ(ReadFile(folder_.path() / "status/reason").value(), "PrepareFailed");
}

TEST_F(ScriptTest, AFailingFinishDoesNotChangeTheFate) {
  TrainJob job = Command("true");
  job.wish.spec.finish_command = "exit 9";
  const auto r = Run(job);
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(r.output, "finish_command: exit status 9\n");
}

}  // namespace
}  // namespace cml::control
