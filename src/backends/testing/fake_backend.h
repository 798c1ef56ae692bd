// backends/testing/fake_backend.h — a fake, not a mock: a small cluster that works, passes the same
// contract as the real ones, and can be told to misbehave. For tests.
//
// It executes a few commands by itself: "true", "false", "echo TEXT…", "exit N"; anything else runs
// until it is stopped, finished or lost by the test. The cluster outlives the backend object, as a
// real one outlives the server. Thread-safe.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "base/file.h"
#include "base/strings.h"

namespace cml::testing {

// What would be out there.
class FakeCluster {
 public:
  explicit FakeCluster(std::int64_t millicores = 8'000, std::int64_t memory_bytes = 32LL << 30,
                       int gpus = 0) {
    Node node;
    node.name = "node-1";
    node.millicores = millicores;
    node.memory_bytes = memory_bytes;
    for (int i = 0; i < gpus; ++i) node.gpus.push_back({i, "fake", ""});
    nodes_.push_back(std::move(node));
  }

 private:
  friend class FakeBackend;
  struct Run {
    RunSpec spec;
    RunStatus status;
    bool started = false;
  };
  std::mutex mu_;
  std::vector<Node> nodes_;
  std::map<RunKey, Run> runs_;
  std::map<RunKey, int> starts_;  // also of runs that were removed
  TempFolder logs_;
};

class FakeBackend final : public backends::Backend {
 public:
  using Deadline = cml::Deadline;
  explicit FakeBackend(std::shared_ptr<FakeCluster> cluster = std::make_shared<FakeCluster>())
      : cluster_(std::move(cluster)) {}

  Status Ensure(const RunKey& key, const RunSpec& spec, Deadline) override {
    if (auto e = TakeFault(When::kBefore)) return *std::move(e);
    if (spec.roles.empty() || spec.roles.front().command.empty()) {
      return Error(Code::kInvalidArgument, "the run has no command");
    }
    bool made = false;
    {
      const std::scoped_lock lock(cluster_->mu_);
      if (cluster_->starts_.contains(key)) {
        // It exists, or existed.
      } else {
        made = true;
        cluster_->starts_[key] = 0;
        auto& run = cluster_->runs_[key];
        run.spec = spec;
        for (const auto& role : spec.roles) {
          for (std::uint32_t i = 0; i < role.replicas; ++i) {
            ReplicaStatus replica;
            replica.role = role.name;
            replica.index = i;
            replica.node = cluster_->nodes_.front().name;
            run.status.replicas.push_back(std::move(replica));
          }
        }
        run.status.reason = "Preparing";
        if (!hold_) Launch(key, run);
      }
    }
    if (made) Changed(key);
    if (auto e = TakeFault(When::kAfter)) return *std::move(e);
    return Ok{};
  }

  Result<std::optional<RunStatus>> Observe(const RunKey& key, Deadline) override {
    if (auto e = TakeFault(When::kBefore)) return *std::move(e);
    const std::scoped_lock lock(cluster_->mu_);
    const auto it = cluster_->runs_.find(key);
    if (it == cluster_->runs_.end()) return std::optional<RunStatus>{};
    return std::optional<RunStatus>(it->second.status);
  }

  Status Stop(const RunKey& key, Deadline) override {
    if (auto e = TakeFault(When::kBefore)) return *std::move(e);
    {
      const std::scoped_lock lock(cluster_->mu_);
      const auto it = cluster_->runs_.find(key);
      if (it != cluster_->runs_.end() && !IsFinal(it->second.status)) {
        End(it->second.status, 143, "Stopped", "stopped as asked");
      }
    }
    Changed(key);
    if (auto e = TakeFault(When::kAfter)) return *std::move(e);
    return Ok{};
  }

  Status Remove(const RunKey& key, Deadline) override {
    if (auto e = TakeFault(When::kBefore)) return *std::move(e);
    {
      const std::scoped_lock lock(cluster_->mu_);
      cluster_->runs_.erase(key);
    }
    Changed(key);
    if (auto e = TakeFault(When::kAfter)) return *std::move(e);
    return Ok{};
  }

  Result<std::vector<RunKey>> List(Deadline) override {
    if (auto e = TakeFault(When::kBefore)) return *std::move(e);
    const std::scoped_lock lock(cluster_->mu_);
    std::vector<RunKey> keys;
    for (const auto& [key, run] : cluster_->runs_) keys.push_back(key);
    return keys;
  }

  Result<std::vector<Node>> Nodes(Deadline) override {
    if (auto e = TakeFault(When::kBefore)) return *std::move(e);
    const std::scoped_lock lock(cluster_->mu_);
    return cluster_->nodes_;
  }

  Result<std::vector<backends::RuntimeInfo>> Runtimes(Deadline) override {
    const std::scoped_lock lock(mu_);
    return runtimes_;
  }
  Status PrepareRuntime(const RuntimeRef& runtime, Deadline) override {
    return SetRuntimeState(runtime, "ready");
  }
  Status RemoveRuntime(const RuntimeRef& runtime, Deadline) override {
    return SetRuntimeState(runtime, "absent");
  }

  std::filesystem::path LogOf(const RunKey& key, const std::string& role,
                              std::uint32_t index) const override {
    return cluster_->logs_.path() / key.resource.str() / std::to_string(key.incarnation) /
           (role + "-" + std::to_string(index) + ".log");
  }
  Status RemoveLogs(const ResourceId& resource) override {
    return RemoveTree(cluster_->logs_.path() / resource.str());
  }
  Status RemoveCheckpoint(const std::string& checkpoint_key) override {
    const std::scoped_lock lock(mu_);
    removed_checkpoints_.push_back(checkpoint_key);
    return Ok{};
  }
  void OnChange(std::function<void(const RunKey&)> changed) override {
    const std::scoped_lock lock(mu_);
    changed_ = std::move(changed);
  }

  // What a test does to the world.

  // Runs that are ensured from here on stay pending until Start.
  void HoldNewRuns() { hold_ = true; }
  void Start(const RunKey& key) {
    Edit(key, [this](const RunKey& k, FakeCluster::Run& run) { Launch(k, run); });
  }
  void SetState(const RunKey& key, RunStatus status) {
    Edit(key, [&](const RunKey&, FakeCluster::Run& run) { run.status = std::move(status); });
  }
  void Finish(const RunKey& key, int exit_code, const std::string& reason = "",
              const std::string& message = "") {
    Edit(key, [&](const RunKey&, FakeCluster::Run& run) {
      End(run.status, exit_code,
          !reason.empty()  ? reason
          : exit_code == 0 ? "Completed"
                           : "Error",
          !message.empty() || exit_code == 0 ? message
                                             : "exit status " + std::to_string(exit_code));
    });
  }
  // Nobody knows any more that it ran.
  void Lose(const RunKey& key) {
    {
      const std::scoped_lock lock(cluster_->mu_);
      cluster_->runs_.erase(key);
    }
    Changed(key);
  }
  void SetNodes(std::vector<Node> nodes) {
    const std::scoped_lock lock(cluster_->mu_);
    cluster_->nodes_ = std::move(nodes);
  }
  void SetRuntimes(std::vector<backends::RuntimeInfo> runtimes) {
    const std::scoped_lock lock(mu_);
    runtimes_ = std::move(runtimes);
  }

  enum class When { kBefore, kAfter };  // kAfter: it was done, but the answer was lost
  void FailNextCall(When when, Error e) {
    const std::scoped_lock lock(mu_);
    faults_.emplace_back(when, std::move(e));
  }
  // Every call fails until nullopt is set.
  void SetDown(std::optional<Error> e) {
    const std::scoped_lock lock(mu_);
    down_ = std::move(e);
  }

  // What a test wants to know.
  std::optional<RunSpec> SpecOf(const RunKey& key) const {
    const std::scoped_lock lock(cluster_->mu_);
    const auto it = cluster_->runs_.find(key);
    return it == cluster_->runs_.end() ? std::nullopt : std::optional<RunSpec>(it->second.spec);
  }
  // How often a command of it was started: never more than once.
  int StartsOf(const RunKey& key) const {
    const std::scoped_lock lock(cluster_->mu_);
    const auto it = cluster_->starts_.find(key);
    return it == cluster_->starts_.end() ? 0 : it->second;
  }
  std::vector<std::string> removed_checkpoints() const {
    const std::scoped_lock lock(mu_);
    return removed_checkpoints_;
  }

 private:
  static bool IsFinal(const RunStatus& s) {
    return s.state == RunState::kSucceeded || s.state == RunState::kFailed;
  }

  static void End(RunStatus& run, int exit_code, const std::string& reason,
                  const std::string& message) {
    run.state = exit_code == 0 ? RunState::kSucceeded : RunState::kFailed;
    run.reason = reason;
    run.message = message;
    run.permanent = reason == "PackageError" || reason == "EnvironmentError";
    for (auto& replica : run.replicas) {
      if (replica.state == RunState::kSucceeded || replica.state == RunState::kFailed) continue;
      replica.state = run.state;
      replica.reason = reason;
      replica.message = message;
      replica.exit_code = exit_code;
      replica.ended = SystemClock().Now();
    }
  }

  void Launch(const RunKey& key, FakeCluster::Run& run) {  // requires the cluster's lock
    if (run.started || IsFinal(run.status)) return;
    run.started = true;
    ++cluster_->starts_[key];
    run.status.state = RunState::kRunning;
    run.status.reason.clear();
    for (auto& replica : run.status.replicas) {
      replica.state = RunState::kRunning;
      replica.started = SystemClock().Now();
    }
    const auto& command = run.spec.roles.front().command;
    if (command[0] == "echo") {
      std::vector<std::string> words(command.begin() + 1, command.end());
      for (const auto& replica : run.status.replicas) {
        const auto path = LogOf(key, replica.role, replica.index);
        (void)MakeFolders(path.parent_path());
        (void)WriteFileAtomically(path, Join(words, " ") + "\n", 0600, Sync::kNotDurable);
      }
    }
    std::optional<int> code;
    if (command[0] == "true" || command[0] == "echo") code = 0;
    if (command[0] == "false") code = 1;
    if (command[0] == "exit" && command.size() > 1) {
      code = static_cast<int>(ParseInt(command[1]).value_or(1));
    }
    if (code) {
      End(run.status, *code, *code == 0 ? "Completed" : "Error",
          *code == 0 ? "" : "exit status " + std::to_string(*code));
    }
  }

  template <class F>
  void Edit(const RunKey& key, F&& edit) {
    {
      const std::scoped_lock lock(cluster_->mu_);
      const auto it = cluster_->runs_.find(key);
      if (it == cluster_->runs_.end()) return;
      edit(key, it->second);
    }
    Changed(key);
  }

  std::optional<Error> TakeFault(When at) {
    const std::scoped_lock lock(mu_);
    if (down_ && at == When::kBefore) return down_;
    if (faults_.empty() || faults_.front().first != at) return std::nullopt;
    Error error = std::move(faults_.front().second);
    faults_.pop_front();
    return error;
  }

  Status SetRuntimeState(const RuntimeRef& runtime, const std::string& state) {
    const std::scoped_lock lock(mu_);
    for (auto& info : runtimes_) {
      if (info.runtime != runtime) continue;
      info.state = state;
      return Ok{};
    }
    return Error(Code::kNotFound, "no runtime " + runtime.name + " " + runtime.version);
  }

  void Changed(const RunKey& key) {
    std::function<void(const RunKey&)> changed;
    {
      const std::scoped_lock lock(mu_);
      changed = changed_;
    }
    if (changed) changed(key);
  }

  const std::shared_ptr<FakeCluster> cluster_;
  std::atomic<bool> hold_ = false;
  mutable std::mutex mu_;
  std::function<void(const RunKey&)> changed_;
  std::deque<std::pair<When, Error>> faults_;
  std::optional<Error> down_;
  std::vector<backends::RuntimeInfo> runtimes_;
  std::vector<std::string> removed_checkpoints_;
};

}  // namespace cml::testing
