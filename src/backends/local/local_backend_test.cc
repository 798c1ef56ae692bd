#include "backends/local/local_backend.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <latch>

#include "backends/local/local_test_support.h"
#include "backends/local/replica_files.h"
#include "backends/local/replica_lock.h"
#include "backends/local/shim.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {

using std::chrono::seconds;

TEST_F(LocalBackendTest, ACommandRunsAndItsOutputIsTheLog) {
  const RunStatus status = RunToEnd(Command({"echo", "hello"}));
  EXPECT_EQ(status.state, RunState::kSucceeded) << status.message;
  EXPECT_EQ(status.reason, "Completed");
  ASSERT_EQ(status.replicas.size(), 1U);
  EXPECT_EQ(status.replicas[0].exit_code, 0);
  EXPECT_GT(status.replicas[0].started, SysTime{});
  EXPECT_GE(status.replicas[0].ended, status.replicas[0].started);
  EXPECT_EQ(Log(key_), "hello\n");
}

TEST_F(LocalBackendTest, AllOfTheOutputIsInTheLogInOrder) {
  const RunStatus status =
      RunToEnd(Script("for i in $(seq 20000); do echo line $i; done; echo e >&2; echo o"));
  EXPECT_EQ(status.state, RunState::kSucceeded);
  std::string expected;
  for (int i = 1; i <= 20'000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(Log(key_), expected + "e\no\n");
}

TEST_F(LocalBackendTest, ExitStatusAndSignalAreTold) {
  RunStatus status = RunToEnd(Script("exit 7"));
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.message, "exit status 7");
  EXPECT_EQ(status.replicas[0].exit_code, 7);
  status = RunToEnd(Script("kill -SEGV $$"));
  EXPECT_EQ(status.message, "killed by signal 11 (SIGSEGV)");
  EXPECT_EQ(status.replicas[0].exit_code, 139);
}

TEST_F(LocalBackendTest, TheCommandMayLeaveAReasonAndASentence) {
  RunStatus status =
      RunToEnd(Script("echo PackageError > /job/status/reason; printf 'package x\\ndoes not "
                      "install' > /job/status/message; exit 1"));
  EXPECT_EQ(status.reason, "PackageError");
  EXPECT_EQ(status.message, "package x does not install");
  EXPECT_TRUE(status.permanent);
  status =
      RunToEnd(Script("ln -s /etc/passwd /job/status/message; mkfifo /job/status/reason; exit 1"));
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.message, "exit status 1");
}

TEST_F(LocalBackendTest, AMissingProgramFails) {
  const RunStatus status = RunToEnd(Command({"no-such-program"}));
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_NE(Log(key_).find("no-such-program"), std::string::npos)
      << Log(key_) << status.reason << ": " << status.message;
}

TEST_F(LocalBackendTest, EnvironmentIsTheSpecsAndNoMore) {
  ::setenv("SERVER_SECRET", "x", 1);
  options_.env["PIP_INDEX_URL"] = "http://index";
  RunSpec spec = Command({"env"});
  spec.roles[0].env = {{"A", "1 \n 2"}, {"PATH", "/usr/bin"}};
  (void)RunToEnd(spec);
  const std::string log = Log(key_);
  EXPECT_EQ(log.find("SERVER_SECRET"), std::string::npos) << log;
  for (const char* line : {"A=1 \n 2\n", "PATH=/usr/bin\n", "HOME=/job/work\n",
                           "PIP_INDEX_URL=http://index\n", "CUDA_VISIBLE_DEVICES=\n"}) {
    EXPECT_NE(log.find(line), std::string::npos) << line << log;
  }
}

TEST_F(LocalBackendTest, LibrariesStartAsManyThreadsAsTheJobHasCores) {
  RunSpec spec = Script("echo threads $OMP_NUM_THREADS");
  spec.roles[0].limits.millicores = 1'500;
  (void)RunToEnd(spec);
  EXPECT_EQ(Log(key_), "threads 2\n");
}

TEST_F(LocalBackendTest, FakeGpusAreGivenByPlacement) {
  options_.fake_gpus = 4;
  RunSpec spec = Script("echo gpus $CUDA_VISIBLE_DEVICES");
  spec.roles[0].limits.gpus = 2;
  spec.placements = {{"node-1", {1, 3}}};
  EXPECT_EQ(RunToEnd(spec).state, RunState::kSucceeded);
  EXPECT_EQ(Log(key_), "gpus 1,3\n");
  const auto nodes = Backend().Nodes(In(seconds(1))).value();
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_EQ(nodes[0].gpus.size(), 4U);
  EXPECT_EQ(nodes[0].labels.at("gpu"), "fake");
  EXPECT_GT(nodes[0].memory_bytes, 0);
  spec.roles[0].limits.gpus = 5;
  EXPECT_EQ(Backend().Ensure({key_.resource, 99}, spec, In(seconds(1))).error().code(),
            Code::kInvalidArgument);
}

TEST_F(LocalBackendTest, SeveralReplicasRunSideBySide) {
  RunSpec spec = Script("echo $CLOUDML_REPLICA");
  spec.roles[0].replicas = 2;
  spec.roles.push_back(spec.roles[0]);
  spec.roles[0].env["CLOUDML_REPLICA"] = "w";
  spec.roles[1].name = "ps";
  spec.roles[1].replicas = 1;
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.state, RunState::kSucceeded);
  EXPECT_EQ(status.replicas.size(), 3U);
  EXPECT_EQ(Log(key_, "worker", 1), "w\n");
  EXPECT_EQ(Log(key_, "ps", 0), "\n");
}

TEST_F(LocalBackendTest, StopAsksAndThenKills) {
  key_.incarnation = 1;
  RunSpec spec = Script("trap 'echo asked; exit 3' TERM; echo started; sleep 1000 & wait");
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  WaitForLog(key_, "started");
  ASSERT_TRUE(Backend().Stop(key_, In(seconds(5))).ok());
  RunStatus status = WaitForEnd(key_);
  EXPECT_EQ(status.reason, "Stopped");
  EXPECT_EQ(status.replicas[0].exit_code, 3);
  EXPECT_EQ(Log(key_), "started\nasked\n");

  key_.incarnation = 2;
  spec = Script("trap '' TERM; echo started; while :; do sleep 0.1; done");
  spec.grace_seconds = 1;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  WaitForLog(key_, "started");
  ASSERT_TRUE(Backend().Stop(key_, In(seconds(5))).ok());
  status = WaitForEnd(key_);
  EXPECT_EQ(status.reason, "Stopped");
  EXPECT_EQ(status.replicas[0].exit_code, 137);
}

TEST_F(LocalBackendTest, ARestartedServerFindsTheRunAndLosesNothing) {
  const auto go = folder_.path() / "buckets" / "data";
  ASSERT_TRUE(MakeFolders(go.parent_path(), 0755).ok());
  ASSERT_TRUE(MakeFolders(go).ok());
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(go.c_str(), 20'001, 20'001), 0);
  }
  options_.buckets = [go](const OrgId&) -> Result<std::filesystem::path> {
    return go.parent_path();
  };
  RunSpec spec = Script("echo before; mkfifo /fds/data/go; cat /fds/data/go; echo after; exit 5");
  key_.incarnation = 1;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  WaitForLog(key_, "before");
  Open();
  EXPECT_EQ(WaitForStart(key_).state, RunState::kRunning);
  EXPECT_EQ(Backend().List(In(seconds(1))).value(), std::vector<RunKey>{key_});
  // Now it ends while no server is there.
  backend_.reset();
  const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
  while (::access((go / "go").c_str(), F_OK) != 0) std::this_thread::yield();
  {
    const auto word = OpenFile(go / "go", O_WRONLY);
    ASSERT_TRUE(WriteAll(word.value().get(), "word\n", go).ok());
  }
  while (ReplicaIsLocked(replica)) std::this_thread::yield();
  Open();
  const RunStatus status = Status(key_);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.replicas[0].exit_code, 5);
  EXPECT_EQ(Log(key_), "before\nword\nafter\n");
}

// A server that ends the moment after it launched a run leaves the place of the run's group, which
// the shim makes in its own time.
TEST_F(LocalBackendTest, AServerThatEndsTakesTheGroupsAwayOnlyWhenThereIsNoRun) {
  (void)RunToEnd(Command({"true"}));
  const auto file = options_.data / "status" / (ToString(key_) + ".worker-0");
  const auto record = ReadReplica(file);
  ASSERT_TRUE(record);
  if (record->cgroups.empty()) return;  // a machine where we may make none
  std::filesystem::path parent;
  for (const auto& group : record->cgroups) {
    if (!group.empty()) parent = group.parent_path();
  }
  backend_.reset();
  EXPECT_TRUE(std::filesystem::exists(parent)) << parent;
  Open();
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  backend_.reset();
  EXPECT_FALSE(std::filesystem::exists(parent)) << parent;
}

TEST_F(LocalBackendTest, AShimThatIsKilledTakesItsJobWithIt) {
  key_.incarnation = 1;
  ASSERT_TRUE(
      Backend()
          .Ensure(key_, Script("echo started; setsid sleep 100000 & sleep 100000"), In(seconds(5)))
          .ok());
  WaitForLog(key_, "started");
  const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
  ASSERT_TRUE(SignalShim(replica, SIGKILL));
  while (ReplicaIsLocked(replica)) std::this_thread::yield();
  const RunStatus status = Status(key_);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "RunLost");
  EXPECT_EQ(Status(key_).reason, "RunLost") << "it stays that way";
  // Nobody sleeps any more, and nothing starts it again.
  ASSERT_TRUE(Backend().Ensure(key_, Script("echo again"), In(seconds(5))).ok());
  EXPECT_EQ(Status(key_).reason, "RunLost");
  EXPECT_EQ(Log(key_), "started\n");
}

int SandboxesOf(const std::filesystem::path& data);

SysTime TouchedAt(const std::filesystem::path& file) {
  struct stat st {};
  EXPECT_EQ(::stat(file.c_str(), &st), 0);
  return SysTime(std::chrono::milliseconds(st.st_mtim.tv_sec * 1'000 + st.st_mtim.tv_nsec / 1'000'000));
}

// Nobody writes the end of a run whose shim is killed: it is known all the same, also to a server
// that looks much later.
TEST_F(LocalBackendTest, TheEndOfARunThatDiesWithItsShimIsWhenItWasLastAlive) {
  key_.incarnation = 1;
  ASSERT_TRUE(Backend().Ensure(key_, Script("echo started; sleep 100000"), In(seconds(5))).ok());
  WaitForLog(key_, "started");
  const auto file = options_.data / "status" / (ToString(key_) + ".worker-0");
  const SysTime started = ReadReplica(file)->status.started;
  const auto by = In(seconds(10));
  while (TouchedAt(file) < started + std::chrono::milliseconds(900)) {  // it beats
    ASSERT_LT(std::chrono::steady_clock::now(), by);
    std::this_thread::yield();
  }
  const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
  const SysTime killed = SystemClock().Now();
  ASSERT_TRUE(SignalShim(replica, SIGKILL));
  while (ReplicaIsLocked(replica)) std::this_thread::yield();
  // As if nobody had looked for an hour.
  const SysTime alive = TouchedAt(file) - std::chrono::hours(1);
  auto record = *ReadReplica(file);
  record.status.started = started - std::chrono::hours(1);
  ASSERT_TRUE(WriteReplica(file, record, Sync::kNotDurable).ok());
  const auto millis = alive.time_since_epoch().count();
  const timespec at[2] = {{millis / 1'000, millis % 1'000 * 1'000'000},
                          {millis / 1'000, millis % 1'000 * 1'000'000}};
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), at, 0), 0);
  EXPECT_LT(killed - std::chrono::hours(1) - alive, std::chrono::milliseconds(1'500));
  Open();
  const RunStatus status = Status(key_);
  EXPECT_EQ(status.reason, "RunLost");
  ASSERT_EQ(status.replicas.size(), 1U);
  EXPECT_EQ(status.replicas[0].ended, alive);
  EXPECT_EQ(Status(key_).replicas[0].ended, alive) << "and that is kept";
}

TEST_F(LocalBackendTest, ARunWhoseFolderWasTakenAwayStillTellsHowLongItWas) {
  key_.incarnation = 1;
  ASSERT_TRUE(Backend().Ensure(key_, Script("echo started; sleep 100000"), In(seconds(5))).ok());
  WaitForLog(key_, "started");
  const auto file = options_.data / "status" / (ToString(key_) + ".worker-0");
  const SysTime started = ReadReplica(file)->status.started;
  ASSERT_TRUE(RemoveTree(options_.data / "runs" / ToString(key_)).ok());
  Open();  // and the server forgets nothing over a restart
  EXPECT_EQ(Backend().List(In(seconds(1))).value(), std::vector{key_});
  const RunStatus status = Status(key_);
  EXPECT_EQ(status.state, RunState::kFailed);
  EXPECT_EQ(status.reason, "RunLost");
  ASSERT_EQ(status.replicas.size(), 1U);
  EXPECT_EQ(status.replicas[0].started, started);
  EXPECT_GE(status.replicas[0].ended, started);
  EXPECT_EQ(SandboxesOf(options_.data), 0) << "what ran in it is ended";
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  EXPECT_FALSE(Backend().Observe(key_, In(seconds(1))).value());
  EXPECT_TRUE(Backend().List(In(seconds(1))).value().empty());
}

// Processes of our runs, found by what no sandbox can hide: the user that they run as, or the list
// of bubblewraps with our filter open.
int SandboxesOf(const std::filesystem::path& data) {
  int found = 0;
  std::error_code ec;
  for (const auto& process : std::filesystem::directory_iterator("/proc", ec)) {
    for (const auto& fd : std::filesystem::directory_iterator(process.path() / "fd", ec)) {
      const auto target = std::filesystem::read_symlink(fd.path(), ec).string();
      if (target.starts_with((data / "sandbox").string())) {
        ++found;
        break;
      }
    }
  }
  return found;
}

TEST_F(LocalBackendTest, AShimThatIsKilledAtAnyMomentLeavesNothing) {
  for (const auto choice : {CgroupChoice::kBest, CgroupChoice::kNone}) {
    options_.cgroups = choice;
    Open();
    for (int i = 0; i < 18; ++i) {
      ++key_.incarnation;
      ASSERT_TRUE(Backend().Ensure(key_, Command({"sleep", "100000"}), In(seconds(5))).ok());
      const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
      const auto at = In(std::chrono::microseconds(400 * i));  // into its start
      while (std::chrono::steady_clock::now() < at) std::this_thread::yield();
      if (i % 3 == 0) {
        while (!SignalShim(replica, SIGKILL)) std::this_thread::yield();
        while (ReplicaIsLocked(replica)) std::this_thread::yield();
      } else if (i % 3 == 1) {
        ASSERT_TRUE(Backend().Stop(key_, In(seconds(5))).ok());
        EXPECT_EQ(WaitForEnd(key_).reason, "Stopped");
      }
      ASSERT_TRUE(Backend().Remove(key_, In(seconds(10))).ok());
    }
    EXPECT_EQ(SandboxesOf(options_.data), 0);
  }
}

TEST_F(LocalBackendTest, ARunFromBeforeARestartOfTheMachineIsLost) {
  (void)RunToEnd(Command({"true"}));
  const auto file = options_.data / "status" / (ToString(key_) + ".worker-0");
  auto record = ParseReplica(ReadFile(file).value()).value();
  record.status.state = RunState::kRunning;
  record.boot_id = "an-earlier-one";
  const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
  while (ReplicaIsLocked(replica)) std::this_thread::yield();
  ASSERT_TRUE(WriteFileAtomically(file, FormatReplica(record)).ok());
  const RunStatus status = Status(key_);
  EXPECT_EQ(status.reason, "RunLost");
  EXPECT_EQ(status.message, "the machine restarted while it ran");
}

TEST_F(LocalBackendTest, ManyEnsuresStartItOnce) {
  key_.incarnation = 1;
  const RunSpec spec = Script("echo once");
  Backend();
  std::latch together(8);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      together.arrive_and_wait();
      EXPECT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
      // Shims that nobody asked for are as harmless.
      const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
      if (i % 2 == 0) {
        EXPECT_TRUE(TestLauncher().Launch(replica).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded);
  EXPECT_EQ(Log(key_), "once\n");
}

TEST_F(LocalBackendTest, ARemovedRunIsNotMadeAgain) {
  EXPECT_EQ(RunToEnd(Command({"echo", "one"})).state, RunState::kSucceeded);
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  EXPECT_EQ(Log(key_), "one\n") << "the log outlives the run";
  Open();
  ASSERT_TRUE(Backend().Ensure(key_, Command({"echo", "two"}), In(seconds(5))).ok());
  EXPECT_FALSE(Backend().Observe(key_, In(seconds(1))).value().has_value());
  EXPECT_EQ(RunToEnd(Command({"echo", "next"})).state, RunState::kSucceeded);
  ASSERT_TRUE(Backend().RemoveLogs(key_.resource).ok());
  EXPECT_EQ(Log(key_), "");
}

TEST_F(LocalBackendTest, RemoveKillsWhatRuns) {
  key_.incarnation = 1;
  ASSERT_TRUE(Backend()
                  .Ensure(key_,
                          Script("trap '' TERM; mkdir -p a/b; chmod 000 a; echo up; sleep 100000"),
                          In(seconds(5)))
                  .ok());
  WaitForLog(key_, "up");
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  EXPECT_FALSE(Backend().Observe(key_, In(seconds(1))).value().has_value());
  EXPECT_TRUE(Backend().List(In(seconds(1))).value().empty());
}

TEST_F(LocalBackendTest, NothingOfARemovedRunReachesTheNext) {
  RunSpec spec = Script(
      "cat /job/etc/* /job/work/* /job/layer/* /tmp/* /job/status/* 2>/dev/null;"
      "ls -A /job/work /job/layer /tmp /job/status | wc -l; ls /job/etc;"
      "for f in work layer status; do echo left-$f > /job/$f/left; done;"
      "echo left-tmp > /tmp/left; echo word > /job/status/message; chmod 777 /job/work");
  spec.files = {{"one.sh", "old-script\n"}};
  const RunStatus first = RunToEnd(spec);
  EXPECT_EQ(first.message, "word");
  for (const bool again : {true, false}) {
    ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
    spec.files = {{again ? "two.sh" : "three.sh", "n\n"}};
    spec.roles[0].name = again ? "chief" : "worker";
    const RunStatus next = RunToEnd(spec);
    EXPECT_EQ(next.state, RunState::kSucceeded) << next.message;
    EXPECT_EQ(Log(key_, spec.roles[0].name),
              std::string("n\n7\n") + (again ? "two.sh" : "three.sh") + "\n");
  }
  // A folder that holds folders is not used again.
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  (void)RunToEnd(Script("mkdir -p /tmp/a/b; echo x > /tmp/a/b/c"));
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  (void)RunToEnd(Script("ls -A /tmp"));
  EXPECT_EQ(Log(key_), "");
}

TEST_F(LocalBackendTest, ADamagedStatusIsALostRunAndNeverANewOne) {
  (void)RunToEnd(Command({"echo", "once"}));
  const auto file = options_.data / "status" / (ToString(key_) + ".worker-0");
  const auto replica = options_.data / "runs" / ToString(key_) / "worker-0";
  while (ReplicaIsLocked(replica)) std::this_thread::yield();
  ASSERT_TRUE(WriteFileAtomically(file, "state=succ").ok());
  ASSERT_TRUE(Backend().Ensure(key_, Command({"echo", "twice"}), In(seconds(5))).ok());
  EXPECT_EQ(Status(key_).reason, "RunLost");
  EXPECT_EQ(Log(key_), "once\n");
}

TEST_F(LocalBackendTest, CheckpointsOutliveIncarnations) {
  RunSpec spec = Script("cat /job/checkpoint/step 2>/dev/null; echo 100 > /job/checkpoint/step");
  spec.checkpoint_key = "k3v9x0q2ab";
  (void)RunToEnd(spec);
  EXPECT_EQ(Log(key_), "");
  (void)RunToEnd(spec);
  EXPECT_EQ(Log(key_), "100\n");
  ASSERT_TRUE(Backend().RemoveCheckpoint(spec.checkpoint_key).ok());
  (void)RunToEnd(spec);
  EXPECT_EQ(Log(key_), "");
}

TEST_F(LocalBackendTest, PackagesAreFetchedInTheBackground) {
  std::latch asked(1), go(1);
  options_.fetch = [&](const OrgId& org, const Fetch& fetch,
                       const std::filesystem::path& to) -> cml::Status {
    asked.count_down();
    go.wait();
    return WriteFileAtomically(to, org.str() + " " + fetch.uri);
  };
  RunSpec spec = Script("cat /job/packages/a.tar.gz");
  spec.fetches = {{"fds://b/a.tar.gz", "a.tar.gz", {}, {}}};
  key_.incarnation = 1;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  asked.wait();
  const RunStatus waiting = Status(key_);
  EXPECT_EQ(waiting.state, RunState::kPending);
  EXPECT_EQ(waiting.reason, "Preparing");
  EXPECT_EQ(waiting.message, "package 1 of 1: fetching a.tar.gz");
  go.count_down();
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded);
  EXPECT_EQ(Log(key_), "1 fds://b/a.tar.gz");
}

TEST_F(LocalBackendTest, APackageThatIsNotThereFailsTheRunForGood) {
  options_.fetch = [](const OrgId&, const Fetch&, const std::filesystem::path&) -> cml::Status {
    return Error(Code::kNotFound, "no such object");
  };
  RunSpec spec = Command({"true"});
  spec.fetches = {{"fds://b/a.tar.gz", "a.tar.gz", {}, {}}};
  const RunStatus status = RunToEnd(spec);
  EXPECT_EQ(status.reason, "PackageError");
  EXPECT_EQ(status.message, "package \"fds://b/a.tar.gz\": no such object");
  EXPECT_TRUE(status.permanent);
  Open();
  EXPECT_EQ(Status(key_).reason, "PackageError");
}

TEST_F(LocalBackendTest, AStopBeforeTheStartIsKept) {
  std::latch go(1);
  options_.fetch = [&](const OrgId&, const Fetch&, const std::filesystem::path& to) -> cml::Status {
    go.wait();
    return WriteFileAtomically(to, "x");
  };
  RunSpec spec = Command({"echo", "ran"});
  spec.fetches = {{"fds://b/a", "a", {}, {}}};
  key_.incarnation = 1;
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  ASSERT_TRUE(Backend().Stop(key_, In(seconds(5))).ok());
  EXPECT_EQ(WaitForEnd(key_).reason, "Stopped");
  go.count_down();
  Open();
  EXPECT_EQ(Status(key_).reason, "Stopped");
  EXPECT_EQ(Log(key_), "");
}

TEST_F(LocalBackendTest, ShimsCanAlsoBeExecuted) {
  const auto launcher = ShimLauncher::Execute(TestProgram());
  options_.launcher = launcher.get();
  EXPECT_EQ(RunToEnd(Command({"echo", "by exec"})).state, RunState::kSucceeded);
  EXPECT_EQ(Log(key_), "by exec\n");
  backend_.reset();
}

// An environment that is told how far it is.
class FakeEnvironments final : public Environments {
 public:
  EnvironmentState Ask(const RuntimeRef&, Variant) override {
    const std::scoped_lock lock(mu_);
    return state_;
  }
  void OnProgress(std::function<void(const RuntimeRef&)> progress) override {
    const std::scoped_lock lock(mu_);
    progress_ = std::move(progress);
  }
  std::vector<RuntimeInfo> List() override { return {}; }
  cml::Status Prepare(const RuntimeRef&) override { return Ok{}; }
  cml::Status Remove(const RuntimeRef&) override { return Ok{}; }
  void Become(EnvironmentState state) {
    std::function<void(const RuntimeRef&)> progress;
    {
      const std::scoped_lock lock(mu_);
      state_ = std::move(state);
      progress = progress_;
    }
    if (progress) progress({"tensorflow", "2.15.1"});
  }

 private:
  std::mutex mu_;
  EnvironmentState state_;
  std::function<void(const RuntimeRef&)> progress_;
};

class WithEnvironment : public LocalBackendTest {
 protected:
  using Phase = EnvironmentState::Phase;
  WithEnvironment() { options_.environments = &environments_; }
  RunSpec Training() {
    RunSpec spec =
        Script("cat " + (folder_.path() / "env" / "python").string() + "; echo $VIRTUAL_ENV");
    spec.runtime = {"tensorflow", "2.15.1"};
    return spec;
  }
  FakeEnvironments environments_;
};

TEST_F(WithEnvironment, TheRunWaitsForItAndSaysHowFarItIs) {
  key_.incarnation = 1;
  ASSERT_TRUE(Backend().Ensure(key_, Training(), In(seconds(5))).ok());
  environments_.Become({Phase::kPreparing, "installing 34 of 58 packages", {}, {}, {}});
  const RunStatus waiting = WaitUntil(key_, [](const RunStatus& s) { return !s.message.empty(); });
  EXPECT_EQ(waiting.state, RunState::kPending);
  EXPECT_EQ(waiting.reason, "Preparing");
  EXPECT_EQ(waiting.message, "environment tensorflow 2.15.1: installing 34 of 58 packages");
  Open();  // a restart of the server in between
  EXPECT_EQ(Status(key_).state, RunState::kPending);
  const auto env = folder_.path() / "env";
  ASSERT_TRUE(MakeFolders(env, 0755).ok());
  ASSERT_TRUE(WriteFileAtomically(env / "python", "interpreter\n", 0644).ok());
  environments_.Become({Phase::kReady, "", env, {env}, {{"VIRTUAL_ENV", env.string()}}});
  EXPECT_EQ(WaitForEnd(key_).state, RunState::kSucceeded) << Log(key_);
  EXPECT_EQ(Log(key_), "interpreter\n" + env.string() + "\n");
}

TEST_F(WithEnvironment, OneThatCannotBeHadFailsTheRunForGood) {
  environments_.Become(
      {Phase::kFailed, "tensorflow 2.15.1 does not install: no space", {}, {}, {}});
  const RunStatus status = RunToEnd(Training());
  EXPECT_EQ(status.reason, "EnvironmentError");
  EXPECT_EQ(status.message, "tensorflow 2.15.1 does not install: no space");
  EXPECT_TRUE(status.permanent);
}

TEST_F(WithEnvironment, ItIsNotRemovedWhileItIsUsed) {
  environments_.Become({Phase::kReady, "", {}, {}, {}});
  key_.incarnation = 1;
  RunSpec spec = Command({"sleep", "10000"});
  spec.runtime = {"tensorflow", "2.15.1"};
  ASSERT_TRUE(Backend().Ensure(key_, spec, In(seconds(5))).ok());
  const auto removed = Backend().RemoveRuntime(spec.runtime, In(seconds(5)));
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(removed.error().message(), "runtime tensorflow 2.15.1 is used by job");
  ASSERT_TRUE(Backend().Remove(key_, In(seconds(5))).ok());
  EXPECT_TRUE(Backend().RemoveRuntime(spec.runtime, In(seconds(5))).ok());
}

TEST_F(LocalBackendTest, SpecsThatCannotBeAreRefused) {
  const auto refused = [this](RunSpec spec) {
    const auto made = Backend().Ensure({ResourceId{"bad"}, 1}, spec, In(seconds(1)));
    return !made.ok() && made.error().code() == Code::kInvalidArgument;
  };
  RunSpec spec = Command({"true"});
  spec.files["../x"] = "";
  EXPECT_TRUE(refused(spec));
  spec = Command({});
  EXPECT_TRUE(refused(spec));
  spec = Command({"true"});
  spec.kind = RunKind::kService;
  EXPECT_TRUE(refused(spec));
  spec = Command({"true"});
  spec.roles[0].env["A=B"] = "";
  EXPECT_TRUE(refused(spec));
  spec = Command({"true"});
  spec.roles[0].name = "a/b";
  EXPECT_TRUE(refused(spec));
  spec = Command({"true"});
  spec.runtime = {"tensorflow", "2"};
  EXPECT_TRUE(refused(spec)) << "there are no environments";
}

}  // namespace
}  // namespace cml::backends::local
