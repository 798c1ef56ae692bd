// Every command from what is typed to what is shown, against a platform that follows a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/file.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/main.h"
#include "cli/testing/fake_platform.h"
#include "cli/testing/fake_terminal.h"
#include "cli/transfer.h"

namespace cml::cli {
namespace {

using codec::Document;
using testing::HasSubstr;

class CliTest : public testing::Test {
 protected:
  CliTest() {
    io.env = {{"HOME", home.path().string()},
              {"XIAOMI_CLOUDML_ENDPOINT", platform.url()},
              {"XIAOMI_ACCESS_KEY_ID", kTestAccessKey},
              {"XIAOMI_SECRET_ACCESS_KEY", kTestSecretKey}};
  }

  int Run(std::vector<std::string> args) {
    io.out.clear();
    io.err.clear();
    return RunCli(std::move(args), io);
  }
  std::string File(const std::string& name, const std::string& text) {
    const auto path = home.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  std::string Read(const std::string& name) {
    auto text = ReadFile(home.path() / name);
    return text.ok() ? std::move(text).value() : "<" + text.error().message() + ">";
  }
  bool Asked(const std::string& request) {
    const auto all = platform.requests();
    return std::count(all.begin(), all.end(), request) > 0;
  }

  TempFolder home;
  FakePlatform platform;
  FakeTerminal io;
};

// ---- looking

TEST_F(CliTest, ListShowsStateSinceAndWhy) {
  platform.AddJob("digits-1", {{"completed", "accuracy 0.974", ""}});
  platform.AddJob("ranker", {{"enqueued", "4 GPUs asked, 2 free", ""}});
  io.is_terminal = true;
  io.env["NO_COLOR"] = "1";
  EXPECT_EQ(Run({"jobs", "list"}), 0);
  EXPECT_EQ(io.out,
            "NAME      STATE      SINCE   RUNTIME            GPU  WHY / RESULT\n"
            "digits-1  completed  3m ago  tensorflow 2.15.1  –    accuracy 0.974\n"
            "ranker    enqueued   3m ago  tensorflow 2.15.1  –    4 GPUs asked, 2 free\n");
  io.env.erase("NO_COLOR");
  Run({"jobs", "list"});
  EXPECT_THAT(io.out, HasSubstr("\033[32mcompleted\033[0m"));
  Run({"jobs", "list", "--color", "never"});
  EXPECT_EQ(io.out.find('\033'), std::string::npos);
}

TEST_F(CliTest, ListForProgramsFiltersAndNames) {
  platform.AddJob("a", {{"running", "", ""}});
  platform.AddJob("b", {{"failed", "", ""}});
  EXPECT_EQ(Run({"jobs", "list", "-o", "json"}), 0);
  const auto all = Document::Parse(io.out);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all.value().Get("data").size(), 2u);
  EXPECT_EQ(all.value().Get("data").At(0).Get("state_since").Str(), "2026-11-24T07:57:00Z");
  EXPECT_EQ(Run({"jobs", "list", "-o", "name", "--state", "failed"}), 0);
  EXPECT_EQ(io.out, "b\n");
  EXPECT_TRUE(Asked("GET /cloud_ml/v1/train?state=failed"));
  EXPECT_EQ(Run({"jobs", "list", "--label", "team=x"}), 0);
  EXPECT_EQ(io.out, "");
  EXPECT_THAT(io.err, HasSubstr("no train job is like that"));
  EXPECT_EQ(Run({"jobs", "list", "-o", "wide"}), 0);
  EXPECT_THAT(io.out, HasSubstr("2026-11-24T07:57:00Z"));
  EXPECT_THAT(io.out, HasSubstr("k3v9x0q2ab"));
}

TEST_F(CliTest, EmptyListIsASentence) {
  EXPECT_EQ(Run({"jobs", "list"}), 0);
  EXPECT_EQ(io.out, "");
  EXPECT_THAT(io.err, HasSubstr("cloudml jobs submit"));
  EXPECT_EQ(Run({"jobs", "list", "-o", "json"}), 0);
  EXPECT_EQ(Document::Parse(io.out).value().Get("data").kind(), Document::Kind::kArray);
}

TEST_F(CliTest, DescribeTellsDefaultsEventsAndRemedy) {
  platform.AddJob("ranker", {{"failed", "killed at the limit of 8 GiB", "", "OutOfMemory", 137}});
  EXPECT_EQ(Run({"jobs", "describe", "ranker"}), 0);
  EXPECT_THAT(io.out, HasSubstr("ranker  failed"));
  EXPECT_THAT(io.out, HasSubstr("exit 137 after 21s: killed at the limit of 8 GiB"));
  EXPECT_THAT(io.out, HasSubstr("submit it again with -M (it had 8G)"));
  EXPECT_THAT(io.out, HasSubstr("4 CPU (default) · 8G"));
  EXPECT_THAT(io.out, HasSubstr("Enqueued"));
}

TEST_F(CliTest, SeveralNamesGoOnAfterAnError) {
  platform.AddJob("a", {});
  platform.AddJob("b", {});
  EXPECT_EQ(Run({"jobs", "describe", "a", "nope", "b", "-o", "name"}), 4);
  EXPECT_EQ(io.out, "a\nb\n");
  EXPECT_EQ(io.err, "error: Train job nope doesn't exist\n");
  EXPECT_EQ(Run({"jobs", "delete", "a", "b"}), 0);
  EXPECT_EQ(io.out, "Successfully delete a\nSuccessfully delete b\n");
  EXPECT_EQ(Run({"jobs", "delete", "a"}), 4);
  EXPECT_EQ(Run({"jobs", "delete", "a", "--ignore-missing"}), 0);
}

TEST_F(CliTest, DeleteByClusterName) {
  platform.AddJob("c", {});
  EXPECT_EQ(Run({"jobs", "delete", "-n", "c"}), 0);
  EXPECT_TRUE(Asked("DELETE /cloud_ml/v1/train/c?is_cluster_name=True"));
}

TEST_F(CliTest, NamesAreEncodedAndSigned) {
  EXPECT_EQ(Run({"jobs", "describe", "a b/c"}), 4);
  EXPECT_TRUE(Asked("GET /cloud_ml/v1/train/a%20b%2Fc"));
}

TEST_F(CliTest, SmallerCommands) {
  platform.AddJob("a", {});
  EXPECT_EQ(Run({"jobs", "events", "a"}), 0);
  EXPECT_THAT(io.out, HasSubstr("4 GPUs asked, 2 free"));
  EXPECT_EQ(Run({"jobs", "metrics", "a"}), 0);
  EXPECT_THAT(io.out, HasSubstr("cpu               93.5 %\nmemory            6.1 GiB"));
  EXPECT_EQ(Run({"jobs", "hp", "a"}), 0);
  EXPECT_EQ(Run({"jobs", "start", "a"}), 0);
  EXPECT_TRUE(Asked("GET /cloud_ml/v1/train/a/start"));
  EXPECT_EQ(Run({"org_id"}), 0);
  EXPECT_EQ(io.out, "1\n");
  EXPECT_EQ(Run({"framework", "list"}), 0);
  EXPECT_THAT(io.out, HasSubstr("tensorflow  1.15.5, 2.15.1"));
  EXPECT_EQ(Run({"runtimes", "list"}), 0);
  EXPECT_THAT(io.out, HasSubstr("1.1 GiB"));
  EXPECT_EQ(Run({"runtimes", "prepare", "tensorflow", "2.15.1"}), 0);
  EXPECT_THAT(io.err, HasSubstr("tensorflow 2.15.1  ready"));
  EXPECT_EQ(Run({"runtimes", "remove", "tensorflow-2.15.1"}), 0);
  EXPECT_TRUE(Asked("DELETE /cloud_ml/v1/runtimes/tensorflow/2.15.1"));
  EXPECT_EQ(Run({"runtimes", "prepare", "tensorflow"}), 2);
  EXPECT_EQ(Run({"version"}), 0);
  EXPECT_EQ(Run({"-v"}), 0);
  EXPECT_EQ(Run({"jobs", "list", "--org_id", "-1"}), 0);
  EXPECT_TRUE(Asked("GET /cloud_ml/v1/train?org_id=-1"));
}

// ---- errors and their exit codes

TEST_F(CliTest, ExitCodesAreDistinct) {
  EXPECT_EQ(Run({"jbos", "list"}), 2);
  EXPECT_THAT(io.err, HasSubstr("did you mean: cloudml jobs"));
  EXPECT_EQ(Run({"submit"}), 2);
  EXPECT_THAT(io.err, HasSubstr("cloudml jobs submit"));
  EXPECT_EQ(Run({"jobs", "lst"}), 2);
  EXPECT_THAT(io.err, HasSubstr("cloudml jobs list"));
  EXPECT_EQ(Run({"jobs"}), 2);
  EXPECT_EQ(Run({}), 2);
  EXPECT_EQ(Run({"jobs", "list", "--secret-key", "wrong"}), 3);
  EXPECT_THAT(io.err, HasSubstr("signature is wrong"));
  EXPECT_THAT(io.err, HasSubstr(kTestAccessKey));
  EXPECT_EQ(Run({"jobs", "describe", "nope"}), 4);
  EXPECT_EQ(Run({"jobs", "list", "--endpoint", "http://127.0.0.1:1"}), 5);
  EXPECT_THAT(io.err,
              HasSubstr("at http://127.0.0.1:1 (from option --endpoint): Failed to connect"));
  EXPECT_THAT(io.err, HasSubstr("cloudml server"));
  EXPECT_EQ(Run({"jobs", "list", "--endpoint", "ftp://x"}), 2);
  platform.Answer("GET /cloud_ml/v1/train", 500, R"({"error": true, "message": "internal error"})");
  EXPECT_EQ(Run({"jobs", "list"}), 1);
  platform.Answer("GET /cloud_ml/v1/train", 502, "<html>Bad Gateway</html>");
  EXPECT_EQ(Run({"jobs", "list"}), 5);
  EXPECT_THAT(io.err, HasSubstr("502 Bad Gateway"));
  platform.Answer("GET /cloud_ml/v1/train", 200, "<html>hello</html>");
  EXPECT_EQ(Run({"jobs", "list"}), 1);
  EXPECT_THAT(io.err, HasSubstr("not one of a cloudml server"));
  platform.Answer("GET /cloud_ml/v1/train", 403,
                  R"({"error": true, "message": "quota: over by 2", "hint": "ask"})");
  EXPECT_EQ(Run({"jobs", "list"}), 3);
  EXPECT_EQ(io.err, "error: quota: over by 2\n       ask\n");
}

TEST_F(CliTest, NothingConfiguredSaysHowTo) {
  io.env.erase("XIAOMI_CLOUDML_ENDPOINT");
  EXPECT_EQ(Run({"jobs", "list"}), 2);
  EXPECT_THAT(io.err, HasSubstr("cloudml config init"));
}

// ---- submitting

TEST_F(CliTest, SubmitPacksUploadsAndSends) {
  File("ranker/setup.py", "x");
  File("ranker/trainer/task.py", "print(1)");
  EXPECT_EQ(Run({"jobs",
                 "submit",
                 "-n",
                 "ranker",
                 "-m",
                 "trainer.task",
                 "-u",
                 (home.path() / "ranker").string(),
                 "-g",
                 "2",
                 "-M",
                 "8G",
                 "-nsk",
                 "gpu",
                 "-nsv",
                 "v100",
                 "--env",
                 "A=1",
                 "--label",
                 "team=x",
                 "--wall_time_limit",
                 "2h",
                 "-a",
                 "--epochs 20"}),
            0)
      << io.err;
  EXPECT_TRUE(platform.HasBucket("default")) << "made at the first upload";
  const Document sent = platform.last_submit();
  const std::string uri = sent.Get("trainer_uri").Str();
  EXPECT_TRUE(uri.starts_with("fds://default/user_packages/ranker.cloudml_20261124_080000_"))
      << uri;
  EXPECT_TRUE(uri.ends_with(".tar.gz"));
  EXPECT_EQ(platform.objects().count(uri.substr(6)), 1u);
  EXPECT_EQ(sent.Get("gpu_limit").Dump(), "2");
  EXPECT_EQ(sent.Get("memory_limit").Dump(), "\"8G\"");
  EXPECT_EQ(sent.Get("env").Dump(), R"({"A":"1"})");
  EXPECT_EQ(sent.Get("labels").Dump(), R"({"team":"x"})");
  EXPECT_EQ(sent.Get("wall_time_limit").Int(), 7200);
  EXPECT_EQ(sent.Get("enable_rank").Dump(), "0");
  EXPECT_EQ(sent.Get("save_mode").Dump(), "false");
  EXPECT_EQ(sent.Get("job_args").Str(), "--epochs 20");
  EXPECT_THAT(io.err, HasSubstr("uploaded"));
  EXPECT_EQ(io.out, "ranker  enqueued\n");
}

TEST_F(CliTest, SubmitChecksBeforeItSends) {
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a"}), 2);
  EXPECT_THAT(io.err, HasSubstr("-m MODULE, -u PACKAGE"));
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", "/nowhere/x"}), 4);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", "hdfs://x/y"}), 2);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", File("notes.txt", "x")}), 2);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", "fds://default/nope.tar.gz"}), 4);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", "http://h/x", "-g", "two"}), 2);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", "http://h/x", "--env", "A"}), 2);
  std::filesystem::create_directories(home.path() / "bare");
  EXPECT_EQ(Run({"jobs", "submit", "-n", "a", "-m", "t", "-u", (home.path() / "bare").string()}),
            2);
  EXPECT_FALSE(Asked("POST /cloud_ml/v1/train"));
}

TEST_F(CliTest, SubmitFromAFileWhereFlagsWin) {
  const std::string file = File("job.yaml",
                                "job_name: from-file\nmodule_name: trainer.task\ntrainer_uri: "
                                "http://h/a.tar.gz\nframework: tensorflow\n"
                                "framework_version: 2.10\ngpu_limit: \"1\"\ncpu_limit: "
                                "4\nsave_mode: true\nenv: {A: 1, B: x}\nmodul: y\n");
  EXPECT_EQ(Run({"jobs", "submit", "-f", file, "-n", "flag", "--env", "B=2", "-o", "name"}), 0)
      << io.err;
  const Document sent = platform.last_submit();
  EXPECT_EQ(sent.Get("job_name").Str(), "flag");
  EXPECT_EQ(sent.Get("framework_version").Str(), "2.10");
  EXPECT_EQ(sent.Get("gpu_limit").Dump(), "1");
  EXPECT_EQ(sent.Get("cpu_limit").Dump(), "\"4\"");
  EXPECT_EQ(sent.Get("save_mode").Dump(), "true");
  EXPECT_EQ(sent.Get("env").Dump(), R"({"A":"1","B":"2"})");
  EXPECT_FALSE(sent.Has("modul"));
  EXPECT_THAT(io.err, HasSubstr("did you mean module_name?"));
  EXPECT_EQ(io.out, "flag\n");
  EXPECT_EQ(Run({"jobs", "submit", "-f", "nope.yaml"}), 4);
}

TEST_F(CliTest, DryRunLeavesNothing) {
  File("ranker/setup.py", "x");
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", (home.path() / "ranker").string(),
                 "--dry-run"}),
            0);
  EXPECT_TRUE(Asked("POST /cloud_ml/v1/train?dry_run=true"));
  EXPECT_TRUE(platform.objects().empty());
  EXPECT_EQ(Run({"jobs", "describe", "r"}), 4);
}

// ---- following

const std::deque<Step> kGoodLife = {{"enqueued", "2 GPUs asked, 1 free", ""},
                                    {"creating", "environment ready", ""},
                                    {"running", "", "epoch 1\n"},
                                    {"running", "", "epoch 2\nepo"},
                                    {"completed", "accuracy 0.974", "ch 3\n"}};

TEST_F(CliTest, FollowShowsStatesAndTheWholeLog) {
  platform.ScriptSubmits(kGoodLife);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x.tar.gz", "-f"}), 0);
  EXPECT_EQ(io.out, "epoch 1\nepoch 2\nepoch 3\n");
  EXPECT_EQ(io.err.find("r  running\n"), std::string::npos) << "said once";
  EXPECT_THAT(io.err, HasSubstr("r  creating   environment ready\n"));
  EXPECT_THAT(io.err, HasSubstr("r  running    (log follows; Ctrl-C leaves the job running)\n"));
  EXPECT_THAT(io.err, HasSubstr("r  completed  accuracy 0.974  in 21s\n"));
}

TEST_F(CliTest, FollowedLogSurvivesCutsWithAndWithoutOffsets) {
  for (const bool offsets : {true, false}) {
    if (!offsets) platform.ForgetOffsets();
    std::string log;
    for (int i = 0; i < 200; ++i) log += "line " + std::to_string(i) + "\n";
    platform.AddJob("r", {{"running", "", "first\n"}, {"completed", "", log}});
    platform.CutNext(4);
    EXPECT_EQ(Run({"jobs", "logs", "-f", "r"}), 0);
    EXPECT_EQ(io.out, "first\n");
    Run({"jobs", "describe", "r"});  // the next step
    platform.CutNext(4);
    EXPECT_EQ(Run({"jobs", "logs", "-f", "-n", "1", "r"}), 0);
    EXPECT_EQ(io.out, "line 199\n");
    platform.ScriptSubmits(
        {{"running", "", "a\n"}, {"running", "", log}, {"completed", "", "end\n"}});
    platform.CutNext(5);
    EXPECT_EQ(Run({"jobs", "submit", "-n", "s" + std::to_string(offsets), "-m", "t", "-u",
                   "http://h/x", "-f"}),
              0);
    EXPECT_EQ(io.out, "a\n" + log + "end\n");
    EXPECT_THAT(io.err, HasSubstr("connection to the server lost"));
    EXPECT_THAT(io.err, HasSubstr("connected again"));
  }
}

TEST_F(CliTest, FollowSurvivesARestartOfTheServer) {
  platform.ScriptSubmits(kGoodLife);
  io.on_pause = [&] {
    if (io.pauses == 1) platform.Stop();
    if (io.pauses == 4) platform.Start();
  };
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x.tar.gz", "-f"}), 0);
  EXPECT_EQ(io.out, "epoch 1\nepoch 2\nepoch 3\n");
  EXPECT_THAT(io.err, HasSubstr("connected again"));
}

TEST_F(CliTest, FollowGivesUpWhenTheServerStaysAway) {
  platform.ScriptSubmits(kGoodLife);
  io.on_pause = [&] {
    if (io.pauses == 1) platform.Stop();
  };
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x.tar.gz", "-f"}), 5);
}

TEST_F(CliTest, AFailedJobIsExitCodeSixWithItsReason) {
  const std::deque<Step> life = {
      {"running", "", "Epoch 3/20\nKilled\n"},
      {"failed", "out of memory, killed at the limit", "", "OutOfMemory", 137}};
  platform.ScriptSubmits(life);
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x", "-f"}), 6);
  EXPECT_EQ(io.out, "Epoch 3/20\nKilled\n");
  EXPECT_THAT(io.err, HasSubstr("r  failed     exit 137 after 21s: out of memory"));
  EXPECT_THAT(io.err, HasSubstr("give it more memory"));
  EXPECT_THAT(io.err, HasSubstr("log: cloudml jobs logs r"));
  EXPECT_EQ(Run({"jobs", "submit", "-n", "w", "-m", "t", "-u", "http://h/x", "-W"}), 6);
  EXPECT_EQ(io.out, "");
  EXPECT_THAT(io.err, HasSubstr("last lines of the log:\n"));
  EXPECT_THAT(io.err, HasSubstr("  Killed\n"));
  EXPECT_EQ(Run({"jobs", "submit", "-n", "g", "-m", "t", "-u", "http://h/x", "-argo"}), 6);
  EXPECT_EQ(io.out, "Epoch 3/20\nKilled\n");
  EXPECT_EQ(Run({"jobs", "wait", "r", "w"}), 6);
}

TEST_F(CliTest, AStartedJobIsNotTakenForItsLastEnd) {
  const Step old_end{"failed", "as before", "", "Error", 1};
  const Step old_run{"failed", "as before", "log of the first life\n", "Error", 1};
  platform.AddJob("r", {old_run});
  const std::string later = "2026-11-24T07:59:00Z";
  platform.ScriptSubmits({old_end,
                          old_end,
                          {"running", "", "again\n", "", -1, later},
                          {"completed", "", "", "", 0, later}});
  EXPECT_EQ(Run({"jobs", "start", "-f", "r"}), 0) << io.err;
  EXPECT_EQ(io.out, "again\n");
}

TEST_F(CliTest, ASubmitOfUnknownFateSaysSo) {
  platform.Answer("POST /cloud_ml/v1/train", 503, R"({"error": true, "message": "shutting down"})");
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x"}), 5);
  EXPECT_THAT(io.err, HasSubstr("cloudml jobs describe r"));
}

TEST_F(CliTest, ClusterByQuestions) {
  io.input = {"", "1", "2", "4G", "", "", "2", "4", "8G", "1", "--x"};
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x", "-D"}), 0) << io.err;
  EXPECT_EQ(
      platform.last_submit().Get("cluster_spec").Dump(),
      R"({"ps":{"count":1,"cpu_limit":"2","memory_limit":"4G"},)"
      R"("worker":{"count":2,"cpu_limit":"4","memory_limit":"8G","gpu_limit":1,"task_args":"--x"}})");
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x", "-D", "-c", "4"}), 2);
}

TEST_F(CliTest, WaitingForADeletedJobEnds) {
  platform.ScriptSubmits({{"enqueued", "", ""}});
  io.on_pause = [&] {
    platform.Answer("GET /cloud_ml/v1/train/r", 404,
                    R"({"error": true, "message": "Train job r doesn't exist"})");
  };
  EXPECT_EQ(Run({"jobs", "submit", "-n", "r", "-m", "t", "-u", "http://h/x", "-W"}), 4);
}

TEST_F(CliTest, LogsOfAMissingJobAreNoLog) {
  EXPECT_EQ(Run({"jobs", "logs", "-f", "nope"}), 4);
  EXPECT_EQ(io.out, "");
  platform.AddJob("a", {{"running", "", "1\n2\n3\n"}});
  EXPECT_EQ(Run({"jobs", "logs", "-n", "2", "a"}), 0);
  EXPECT_EQ(io.out, "2\n3\n");
  EXPECT_EQ(Run({"jobs", "logs", "-n", "x", "a"}), 2);
}

// ---- the object store

TEST_F(CliTest, FilesThereAndBack) {
  const std::string file = File("data.csv", "a,b\n1,2\n");
  EXPECT_EQ(Run({"fs", "mb", "fds://census"}), 0);
  EXPECT_EQ(Run({"fs", "cp", file, "fds://census/in/"}), 0) << io.err;
  EXPECT_EQ(platform.objects().at("census/in/data.csv"), "a,b\n1,2\n");
  EXPECT_EQ(Run({"fs", "cat", "fds://census/in/data.csv"}), 0);
  EXPECT_EQ(io.out, "a,b\n1,2\n");
  EXPECT_EQ(Run({"fs", "cp", "fds://census/in/data.csv", (home.path() / "back.csv").string()}), 0);
  EXPECT_EQ(Read("back.csv"), "a,b\n1,2\n");
  EXPECT_EQ(Run({"fs", "cp", "fds://census/in/data.csv", "fds://census/copy.csv"}), 0);
  EXPECT_EQ(platform.objects().at("census/copy.csv"), "a,b\n1,2\n");
  EXPECT_EQ(Run({"fs", "ls"}), 0);
  EXPECT_THAT(io.out, HasSubstr("fds://census"));
  EXPECT_EQ(Run({"fs", "ls", "fds://census"}), 0);
  EXPECT_THAT(io.out, HasSubstr("in/\n"));
  EXPECT_THAT(io.out, HasSubstr("copy.csv\n"));
  EXPECT_EQ(Run({"fs", "du", "fds://census", "-o", "json"}), 0);
  EXPECT_EQ(Document::Parse(io.out).value().Get("data").At(0).Get("bytes").Int(), 16);
  EXPECT_EQ(Run({"fs", "rb", "fds://census"}), 3);
  EXPECT_THAT(io.err, HasSubstr("cloudml fs rm -r fds://census"));
  EXPECT_EQ(Run({"fs", "rm", "-r", "fds://census"}), 0);
  EXPECT_EQ(Run({"fs", "rb", "fds://census"}), 0);
  EXPECT_EQ(Run({"fs", "rm", "fds://census/in/data.csv"}), 4);
  EXPECT_EQ(Run({"fs", "cp", "a", "b"}), 2);
}

TEST_F(CliTest, FoldersGoWithEverythingInThem) {
  for (int i = 0; i < 5; ++i)
    File("m/" + std::to_string(i) + "/x y.bin", std::string(1, static_cast<char>('a' + i)));
  ASSERT_EQ(Run({"fs", "mb", "models"}), 0);
  EXPECT_EQ(Run({"fs", "cp", (home.path() / "m").string(), "fds://models/"}), 2) << "needs -r";
  EXPECT_EQ(Run({"fs", "cp", "-r", (home.path() / "m").string(), "fds://models/"}), 0) << io.err;
  EXPECT_EQ(platform.objects().size(), 5u);
  EXPECT_EQ(platform.objects().at("models/m/4/x y.bin"), "e");
  EXPECT_EQ(Run({"fs", "cp", "-r", "fds://models/m", (home.path() / "back").string()}), 0)
      << io.err;
  EXPECT_EQ(Read("back/3/x y.bin"), "d");
  EXPECT_EQ(Run({"fs", "rm", "-r", "fds://models/m"}), 0);
  EXPECT_TRUE(platform.objects().empty());
}

TEST_F(CliTest, AnObjectCannotLeaveTheFolder) {
  platform.PutObject("evil", "p/../../outside", "x");
  EXPECT_EQ(Run({"fs", "cp", "-r", "fds://evil/p", (home.path() / "in").string()}), 2);
  EXPECT_FALSE(std::filesystem::exists(home.path() / "outside"));
}

TEST_F(CliTest, DownloadGoesOnWhereItWasCut) {
  std::string bytes;
  for (int i = 0; i < 20000; ++i) bytes += std::to_string(i) + ",";
  platform.PutObject("b", "big", bytes);
  platform.CutNext(3);
  EXPECT_EQ(Run({"fs", "cp", "fds://b/big", (home.path() / "big").string()}), 0) << io.err;
  EXPECT_EQ(Read("big"), bytes);
  int ranges = 0;
  for (const std::string& r : platform.requests()) ranges += r == "GET /b/big" ? 1 : 0;
  EXPECT_EQ(ranges, 4);
  platform.CutNext(1000);  // until patience ends: what came stays
  EXPECT_EQ(Run({"fs", "cat", "fds://b/big"}), 5);
}

TEST_F(CliTest, DownloadGoesOnInTheNextRun) {
  const std::string bytes(300'000, 'x');
  platform.PutObject("b", "big", bytes + "end");
  platform.CutNext(1);
  io.on_pause = [&] { platform.Stop(); };
  EXPECT_EQ(Run({"fs", "cp", "fds://b/big", (home.path() / "big").string()}), 5);
  EXPECT_FALSE(std::filesystem::exists(home.path() / "big")) << "only whole files appear";
  io.on_pause = nullptr;
  platform.Start();
  EXPECT_EQ(Run({"fs", "cp", "fds://b/big", (home.path() / "big").string()}), 0) << io.err;
  EXPECT_TRUE(Read("big") == bytes + "end");
  for (const auto& entry : std::filesystem::directory_iterator(home.path())) {
    EXPECT_FALSE(entry.path().extension() == ".part") << entry.path();
  }
  EXPECT_EQ(platform.last_range(), "bytes=150001-");
}

TEST_F(CliTest, UploadGoesOnWithTheMissingParts) {
  std::string bytes(5'500'000, 'x');
  for (std::size_t i = 0; i < bytes.size(); i += 1000)
    bytes[i] = static_cast<char>('a' + i / 1000 % 26);
  const std::filesystem::path file = File("big", bytes);
  platform.PutObject("b", "other", "");
  const std::vector<Command> none;
  Context context(io, Typed(), none);
  S3 store(*context.settings().value(), io.clock());
  platform.FailPartsAfter(3);
  const Status broken = Upload(context, store, file, {"b", "big"}, 1 << 20);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code(), Code::kUnavailable);
  EXPECT_EQ(platform.open_uploads(), 1u);
  platform.FailPartsAfter(1000);
  const std::size_t before = platform.requests().size();
  const Status whole = Upload(context, store, file, {"b", "big"}, 1 << 20);
  ASSERT_TRUE(whole.ok()) << whole.error().message();
  EXPECT_TRUE(platform.objects().at("b/big") == bytes);
  EXPECT_THAT(io.err, HasSubstr("going on with an earlier upload"));
  int sent = 0;
  const auto all = platform.requests();
  for (std::size_t i = before; i < all.size(); ++i)
    sent += all[i].starts_with("PUT /b/big?partNumber") ? 1 : 0;
  EXPECT_EQ(sent, 3) << "six parts, three of which were there";
  EXPECT_EQ(platform.open_uploads(), 0u);
}

TEST(TransferTest, MissingParts) {
  EXPECT_EQ(MissingParts(25, 10, {}), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(MissingParts(25, 10, {{1, 10, "e"}, {3, 5, "e"}}), (std::vector<int>{2}));
  EXPECT_EQ(MissingParts(25, 10, {{1, 9, "e"}, {2, 10, ""}, {3, 5, "e"}}),
            (std::vector<int>{1, 2}));
}

// ---- configuration and help

TEST_F(CliTest, ConfigInitTriesTheKeysAndKeepsOtherEntries) {
  const std::string file = File(".config/xiaomi/config", R"({"other": {"x": 1}})");
  EXPECT_EQ(Run({"config", "init", "--endpoint", platform.url(), "--access-key", kTestAccessKey,
                 "--secret-key", "wrong"}),
            3);
  EXPECT_THAT(io.err, HasSubstr("nothing was written"));
  EXPECT_EQ(Read(".config/xiaomi/config"), R"({"other": {"x": 1}})");
  EXPECT_EQ(Run({"-k", "prod", "config", "init", "--endpoint", platform.url(), "--access-key",
                 kTestAccessKey, "--secret-key", kTestSecretKey}),
            0)
      << io.err;
  const Document config = Document::Parse(Read(".config/xiaomi/config")).value();
  EXPECT_EQ(config.Get("other").Get("x").Int(), 1);
  EXPECT_EQ(config.Get("xiaomi_cloudml").Get("default_config_context").Str(), "prod");
  EXPECT_EQ(config.Get("xiaomi_cloudml").Get("prod").Get("xiaomi_secret_access_key").Str(),
            kTestSecretKey);
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  io.env.erase("XIAOMI_SECRET_ACCESS_KEY");
  EXPECT_EQ(Run({"config", "show"}), 0);
  EXPECT_EQ(io.out.find(kTestSecretKey), std::string::npos);
  EXPECT_THAT(io.out, HasSubstr("context prod"));
  EXPECT_EQ(Run({"jobs", "list"}), 0) << "the file's secret key is used";

  io.input = {"dev", platform.url(), kTestAccessKey, kTestSecretKey, "", "", ""};
  EXPECT_EQ(Run({"config", "init"}), 0) << io.err;
  EXPECT_EQ(Run({"config", "set_default", "dev"}), 0);
  EXPECT_EQ(Run({"config", "show", "-o", "json"}), 0);
  EXPECT_EQ(Document::Parse(io.out).value().Get("context").Str(), "dev");
  EXPECT_EQ(Run({"config", "set_default", "dve"}), 2);
  EXPECT_EQ(Run({"config", "delete", "dev"}), 0);
  EXPECT_EQ(Run({"config", "delete", "dev"}), 4);
  io.input = {};
  EXPECT_EQ(Run({"config", "init"}), 2) << "the input ends";
}

TEST_F(CliTest, HelpOfEveryCommand) {
  EXPECT_EQ(Run({"help"}), 0);
  const std::string overview = io.out;
  for (const Command& c : AllCommands()) {
    if (c.path.starts_with("__")) continue;
    EXPECT_THAT(overview, HasSubstr(c.path));
    std::vector<std::string> args;
    for (const std::string_view word : Split(c.path, ' ')) args.emplace_back(word);
    args.push_back("--help");
    EXPECT_EQ(Run(args), 0) << c.path;
    for (const Option& o : c.options) EXPECT_THAT(io.out, HasSubstr(o.names.back())) << c.path;
  }
  EXPECT_EQ(Run({"jobs", "--help"}), 0);
  EXPECT_EQ(Run({"help", "jobs", "submit"}), 0);
  EXPECT_EQ(Run({"help", "nonsense"}), 2);
}

TEST_F(CliTest, CompletionOffersCommandsOptionsAndNames) {
  platform.AddJob("ranker", {});
  platform.AddJob("digits-1", {});
  const auto complete = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"__complete", "--"});
    EXPECT_EQ(Run(words), 0);
    return io.out;
  };
  EXPECT_EQ(complete({"jo"}), "jobs\n");
  EXPECT_EQ(complete({"jobs", "des"}), "describe\n");
  EXPECT_EQ(complete({"jobs", "describe", ""}), "digits-1\nranker\n");
  EXPECT_EQ(complete({"jobs", "list", "-o", ""}), "json\nname\ntable\nwide\n");
  EXPECT_EQ(complete({"jobs", "submit", "--prio"}), "--priority_class\n");
  EXPECT_EQ(complete({"runtimes", "prepare", "t"}), "tensorflow-2.15.1\n");
  EXPECT_EQ(complete({"completion", "z"}), "zsh\n");
  EXPECT_EQ(Run({"completion", "bash"}), 0);
  EXPECT_THAT(io.out, HasSubstr("complete -o default"));
  EXPECT_EQ(Run({"completion", "fish"}), 2);
}

}  // namespace
}  // namespace cml::cli
