#include "backends/local/uv_environments.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/file.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {
namespace fs = std::filesystem;
using Phase = EnvironmentState::Phase;
using std::chrono::seconds;

// Stands in for uv: makes the folders, and does what the lock says. "wait" opens a named pipe and so
// stands still until the test opens its other end.
constexpr std::string_view kFakeUv = R"sh(#!/bin/sh
echo "$*" >> "$UV_TEST_CALLS"
if [ "$1" = venv ]; then
  for folder; do :; done
  mkdir -p "$folder/bin" "$folder/lib"
  printf '#!/bin/sh\nexec sh "$3" "$4"\n' > "$folder/bin/python"
  chmod 755 "$folder/bin/python"
  exit 0
fi
for lock; do :; done
case $(cat "$lock") in
  *wait*) echo "Downloading big-package (2.5MiB)"; read -r line < "$UV_TEST_GATE" ;;
  *fail*) echo "error: Failed to fetch: https://u:p@host/x"; echo "  cause: refused"; exit 2 ;;
esac
echo "$UV_LINK_MODE $UV_CACHE_DIR" > "$(dirname "$lock")/lib/settings"
echo "Installed 1 package in 1ms"
)sh";

class UvEnvironmentsTest : public testing::Test {
 protected:
  void SetUp() override {
    uv_ = temp_.path() / "uv";
    calls_ = temp_.path() / "calls";
    gate_ = temp_.path() / "gate";
    ASSERT_TRUE(WriteFileAtomically(uv_, kFakeUv, 0755, Sync::kNotDurable).ok());
    ASSERT_EQ(::mkfifo(gate_.c_str(), 0600), 0);
    ASSERT_TRUE(MakeFolders(temp_.path() / "python/bin").ok());
    fs::copy_file(fs::canonical("/bin/true"), temp_.path() / "python/bin/python3.11");
  }

  static RuntimeDefinition Runtime(const std::string& name, const std::string& lock,
                                   const std::string& smoke = "echo trained") {
    RuntimeDefinition d;
    d.ref = {name, "1.0"};
    d.python = "3.11";
    d.packages = {"x"};
    d.locks[Variant::kCpu] = "x==7 \\\n" + lock;
    d.smoke = smoke;
    return d;
  }

  UvOptions Options(Catalog catalog) {
    UvOptions o;
    o.catalog = std::move(catalog);
    o.folder = temp_.path() / "data/environments";
    o.uv = uv_;
    o.interpreter_folders = {temp_.path() / "python/bin"};
    o.environment = {{"PATH", "/usr/bin:/bin"},
                     {"PIP_CONFIG_FILE", "/dev/null"},
                     {"UV_TEST_CALLS", calls_},
                     {"UV_TEST_GATE", gate_}};
    o.has_nvidia = [] { return false; };
    return o;
  }

  UvEnvironments& Start(UvOptions options) {
    environments_ = std::make_unique<UvEnvironments>(std::move(options));
    environments_->OnProgress([this](const RuntimeRef&) {
      const std::lock_guard lock(mutex_);
      ++news_;
      wake_.notify_all();
    });
    return *environments_;
  }

  // Asks until the phase is another than kPreparing, or `message` is told.
  EnvironmentState Wait(const RuntimeRef& ref, const std::string& message = "") {
    while (true) {
      std::unique_lock lock(mutex_);
      const int seen = news_;
      lock.unlock();
      EnvironmentState state = environments_->Ask(ref, Variant::kCpu);
      if (state.phase != Phase::kPreparing || (!message.empty() && state.message == message)) {
        return state;
      }
      lock.lock();
      if (!wake_.wait_for(lock, seconds(20), [&] { return news_ != seen; })) {
        ADD_FAILURE() << "nothing new; last: " << state.message;
        return state;
      }
    }
  }

  std::size_t Calls() {
    const auto text = ReadFile(calls_);
    return text.ok() ? Split(Trim(text.value()), '\n').size() : 0;
  }

  void OpenGate() { std::ofstream(gate_) << "go\n"; }

  std::vector<std::string> OnDisk() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(temp_.path() / "data/environments")) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  const TempFolder temp_;
  fs::path uv_, calls_, gate_;
  std::mutex mutex_;
  std::condition_variable wake_;
  int news_ = 0;
  std::unique_ptr<UvEnvironments> environments_;  // last: it calls back
};

TEST_F(UvEnvironmentsTest, BuildsOnceAndGivesWhatASandboxNeeds) {
  Start(Options({Runtime("a", "")}));
  EXPECT_EQ(environments_->List().at(0).state, "absent");
  EXPECT_EQ(environments_->Ask({"a", ""}, Variant::kCpu).phase, Phase::kPreparing);
  const auto state = Wait({"a", "1.0"});
  ASSERT_EQ(state.phase, Phase::kReady) << state.message;
  EXPECT_EQ(state.mounts, (std::vector<fs::path>{state.folder, temp_.path() / "python", uv_}));
  EXPECT_EQ(state.env.at("VIRTUAL_ENV"), state.folder);
  EXPECT_TRUE(state.env.at("PATH").starts_with(state.folder.string() + "/bin:"));
  EXPECT_EQ(state.env.at("CLOUDML_UV"), uv_);
  EXPECT_FALSE(state.env.contains("UV_TEST_CALLS"));
  EXPECT_EQ(ReadFile(state.folder / "lib/settings").value(),
            "hardlink " + (temp_.path() / "data/uv-cache").string() + "\n");
  struct stat info{};
  ASSERT_EQ(::stat((state.folder / "lib").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0555u);
  ASSERT_EQ(::stat((state.folder / "lib/settings").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0444u);

  const auto list = environments_->List();
  EXPECT_EQ(list.at(0).state, "ready");
  EXPECT_GT(list.at(0).size_bytes, 0u);
  EXPECT_EQ(list.at(0).packages.at("x"), "7");
  ASSERT_TRUE(environments_->Prepare({"a", "1.0"}).ok());
  EXPECT_EQ(Calls(), 2u);  // uv venv, uv pip install

  Start(Options({Runtime("a", "")}));  // another process finds it on disk
  EXPECT_EQ(environments_->Ask({"a", "1.0"}, Variant::kGpu).phase, Phase::kReady);
  EXPECT_EQ(Calls(), 2u);
}

TEST_F(UvEnvironmentsTest, ANewLockIsAnotherEnvironment) {
  Start(Options({Runtime("a", "")}));
  const auto first = Wait({"a", "1.0"});
  Start(Options({Runtime("a", "y==1")}));
  EXPECT_EQ(environments_->List().at(0).state, "absent");
  const auto second = Wait({"a", "1.0"});
  EXPECT_NE(first.folder, second.folder);
  ASSERT_TRUE(environments_->Remove({"a", ""}).ok());
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_EQ(environments_->List().at(0).state, "absent");
}

TEST_F(UvEnvironmentsTest, AFailureLeavesNothingAndIsTriedAgain) {
  auto options = Options({Runtime("a", "fail")});
  options.retry_after = std::chrono::hours(1);
  Start(options);
  const auto state = Wait({"a", "1.0"});
  EXPECT_EQ(state.phase, Phase::kFailed);
  EXPECT_EQ(state.message, "a 1.0 could not be prepared: Failed to fetch: https://***@host/x: refused");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_EQ(environments_->List().at(0).state, "broken");
  const auto calls = Calls();
  EXPECT_EQ(environments_->Ask({"a", "1.0"}, Variant::kCpu).phase, Phase::kFailed);
  EXPECT_EQ(Calls(), calls);  // not again so soon
  ASSERT_TRUE(environments_->Prepare({"a", "1.0"}).ok());
  EXPECT_EQ(Wait({"a", "1.0"}).phase, Phase::kFailed);
  EXPECT_EQ(Calls(), 2 * calls);

  options.retry_after = std::chrono::milliseconds(0);
  Start(options);
  environments_->Ask({"a", "1.0"}, Variant::kCpu);
  while (environments_->List().at(0).state != "broken") std::this_thread::yield();
  EXPECT_EQ(environments_->Ask({"a", "1.0"}, Variant::kCpu).phase, Phase::kPreparing);
}

TEST_F(UvEnvironmentsTest, ASmokeProgramThatFailsMakesItBroken) {
  Start(Options({Runtime("a", "", "echo 'no AVX here'; exit 1")}));
  const auto state = Wait({"a", "1.0"});
  EXPECT_EQ(state.phase, Phase::kFailed);
  EXPECT_EQ(state.message, "a 1.0 could not be prepared: it does not train here: no AVX here");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(UvEnvironmentsTest, TheFinishProgramRunsBeforeTheSmokeProgram) {
  auto runtime = Runtime("a", "", "test -e \"$(dirname \"$0\")/lib/finished\"");
  runtime.finish = "echo \"$1\" > \"$(dirname \"$0\")/lib/finished\"";
  Start(Options({runtime}));
  const auto state = Wait({"a", "1.0"});
  ASSERT_EQ(state.phase, Phase::kReady) << state.message;
  EXPECT_EQ(ReadFile(state.folder / "lib/finished").value(), "cpu\n");
}

TEST_F(UvEnvironmentsTest, TellsHowFarItIsAndRefusesToRemoveMeanwhile) {
  Start(Options({Runtime("a", "wait")}));
  const auto state = Wait({"a", "1.0"}, "downloading big-package 2.5 MiB (0 of 1 downloads done)");
  EXPECT_EQ(state.phase, Phase::kPreparing);
  EXPECT_EQ(environments_->List().at(0).state, "preparing");
  const auto removed = environments_->Remove({"a", "1.0"});
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code(), Code::kFailedPrecondition);
  OpenGate();
  EXPECT_EQ(Wait({"a", "1.0"}).phase, Phase::kReady);
}

TEST_F(UvEnvironmentsTest, NoMoreThanTwoAtOnce) {
  Start(Options({Runtime("a", "wait a"), Runtime("b", "wait b"), Runtime("c", "")}));
  Wait({"a", "1.0"}, "downloading big-package 2.5 MiB (0 of 1 downloads done)");
  Wait({"b", "1.0"}, "downloading big-package 2.5 MiB (0 of 1 downloads done)");
  const auto third = environments_->Ask({"c", "1.0"}, Variant::kCpu);
  EXPECT_EQ(third.message, "waiting for the environments before it");
  EXPECT_EQ(Calls(), 4u);
  environments_.reset();  // stops them
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(UvEnvironmentsTest, LeftoversOfAKilledServerAreNeitherUsedNorKept) {
  auto options = Options({Runtime("a", "")});
  const fs::path half = options.folder / ".staging-a-1.0-cpu-0123-abcd";
  ASSERT_TRUE(MakeFolders(half / "bin").ok());
  ASSERT_TRUE(WriteFileAtomically(half / "size", "1").ok());
  ASSERT_TRUE(MakeFolders(options.folder / ".removed-a-1.0/lib").ok());
  fs::permissions(options.folder / ".removed-a-1.0", fs::perms(0555));
  Start(options);
  const auto state = Wait({"a", "1.0"});
  ASSERT_EQ(state.phase, Phase::kReady);
  // The threads that sweep end with the object, after the sweep.
  while (fs::exists(half) || fs::exists(options.folder / ".removed-a-1.0")) std::this_thread::yield();
  EXPECT_EQ(OnDisk(), std::vector<std::string>{state.folder.filename()});
}

TEST_F(UvEnvironmentsTest, ServersMayShareTheFolder) {
  const auto options = Options({Runtime("a", "wait")});
  Start(options);
  Wait({"a", "1.0"}, "downloading big-package 2.5 MiB (0 of 1 downloads done)");
  UvEnvironments other(options);  // sweeps
  EXPECT_EQ(Leftovers(options.folder), std::vector<fs::path>{});
  OpenGate();
  const auto state = Wait({"a", "1.0"});
  ASSERT_EQ(state.phase, Phase::kReady) << state.message;
  EXPECT_EQ(other.Ask({"a", "1.0"}, Variant::kCpu).phase, Phase::kReady);
}

TEST_F(UvEnvironmentsTest, SaysWhatIsMissingOnThisMachine) {
  auto options = Options({Runtime("a", "")});
  options.uv = temp_.path() / "gone";
  Start(options);
  auto state = environments_->Ask({"a", "1.0"}, Variant::kCpu);
  EXPECT_EQ(state.phase, Phase::kUnavailable);
  EXPECT_NE(state.message.find("pip install uv"), std::string::npos);
  const auto prepared = environments_->Prepare({"a", "1.0"});
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().code(), Code::kFailedPrecondition);

  options = Options({Runtime("a", "")});
  options.interpreter_folders = {temp_.path()};
  Start(options);
  state = environments_->Ask({"a", "1.0"}, Variant::kCpu);
  EXPECT_EQ(state.phase, Phase::kUnavailable);
  EXPECT_NE(state.message.find("needs Python 3.11"), std::string::npos);

  state = environments_->Ask({"b", "2"}, Variant::kCpu);
  EXPECT_EQ(state.phase, Phase::kUnavailable);
  EXPECT_EQ(state.message, "framework \"b\" is not one of: a 1.0");
  EXPECT_EQ(environments_->Prepare({"b", "2"}).error().code(), Code::kNotFound);
}

TEST_F(UvEnvironmentsTest, TheGpuVariantNeedsADevice) {
  auto both = Runtime("a", "");
  both.locks[Variant::kGpu] = "x==7\ncuda==1\n";
  auto options = Options({both});
  Start(options);
  EXPECT_EQ(environments_->List().at(1).state, "unavailable");
  environments_->Ask({"a", "1.0"}, Variant::kGpu);
  EXPECT_NE(Wait({"a", "1.0"}).folder.string().find("a-1.0-cpu-"), std::string::npos);
  options.has_nvidia = [] { return true; };
  Start(options);
  EXPECT_EQ(environments_->Ask({"a", "1.0"}, Variant::kGpu).phase, Phase::kPreparing);
  EXPECT_EQ(environments_->List().at(1).variant, "gpu");
}

}  // namespace
}  // namespace cml::backends::local
