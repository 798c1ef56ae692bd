// backends/local/local_backend.h — runs on this very machine: a sandboxed process tree per replica,
// each kept by a shim that does not need the server (shim.h).
//
// Everything lies on the disk (layout.h): a new object on the same data folder finds all runs, also
// those that ended meanwhile. What is kept in memory are hints: how far a preparation is. Runs are
// prepared by a few threads; a run that needs nothing slow starts within Ensure.
//
// Promise 3 of backend.h: a run whose folder exists is never made again, a replica with a status
// file is never started again, and an incarnation at or below one that was removed (a number beside
// the resource's logs, gone with RemoveLogs) is stale and never made.
//
// Thread-safe. Owns its threads; borrows launcher and environments. One object per data folder.
#pragma once
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backends/backend.h"
#include "backends/local/layout.h"
#include "backends/local/local_options.h"
#include "backends/local/preparation.h"
#include "backends/local/replica_files.h"
#include "backends/local/status_watcher.h"

namespace cml::backends::local {

class LocalBackend final : public Backend {
 public:
  // kFailedPrecondition where bubblewrap is missing; kUnavailable and kPermissionDenied of files.
  static Result<std::unique_ptr<LocalBackend>> Open(LocalOptions options);
  ~LocalBackend() override;

  Status Ensure(const RunKey& key, const RunSpec& spec, Deadline by) override;
  Result<std::optional<RunStatus>> Observe(const RunKey& key, Deadline by) override;
  Status Stop(const RunKey& key, Deadline by) override;
  Status Remove(const RunKey& key, Deadline by) override;
  Result<std::vector<RunKey>> List(Deadline by) override;
  Result<std::vector<Node>> Nodes(Deadline by) override;
  Result<std::vector<RuntimeInfo>> Runtimes(Deadline by) override;
  Status PrepareRuntime(const RuntimeRef& runtime, Deadline by) override;
  Status RemoveRuntime(const RuntimeRef& runtime, Deadline by) override;
  std::filesystem::path LogOf(const RunKey& key, const std::string& role,
                              std::uint32_t index) const override;
  Status RemoveLogs(const ResourceId& resource) override;
  Status RemoveCheckpoint(const std::string& checkpoint_key) override;
  void OnChange(std::function<void(const RunKey&)> changed) override;

  // Does nobody listen on the port in the network of the organisation's jobs?
  bool IsPortFree(const OrgId& org, int port) const;

  // How limits are kept here: "v1", "v2" or "none" (the weaker mode).
  CgroupMode cgroup_mode() const { return context_.cgroups.mode; }

 private:
  // A run on its way; absent from the map: nobody works on it.
  struct Pending {
    RuntimeRef runtime;
    std::string message;
    bool busy = false;      // in the queue or in a thread's hands
    bool again = false;     // its environment progressed while it was busy
    bool launched = false;  // its shims' first word is awaited
    int attempts = 0;
    std::optional<std::chrono::steady_clock::time_point> retry_at;
  };

  LocalBackend(PreparationContext context, Node node);
  Status StartThreads();

  // local_preparing.cc: the threads and what they do.
  void Work(const std::stop_token& stop);
  void Prepare(const RunKey& key);
  void EmptyTrash();
  void SweepLeftovers();
  bool Claim(const RunKey& key, const RuntimeRef& runtime);
  void Kick(const RunKey& key, const RuntimeRef& runtime);
  void Settle(const RunKey& key, const RunSpec& spec, Progress progress);
  void Fail(const RunKey& key, const RunSpec& spec, const Progress& why);
  void SayProgress(const RunKey& key, const std::string& message);
  void ForgetLaunched(const RunKey& key);
  void OnRuntimeProgress(const RuntimeRef& runtime);
  std::string MessageOf(const RunKey& key);
  void Changed(const RunKey& key);

  // What is on the disk.
  std::optional<RunSpec> SpecOf(const RunKey& key) const;
  std::uint64_t HighestRemoved(const ResourceId& resource) const;
  ReplicaStatus ObserveReplica(const RunKey& key, const Role& role, std::uint32_t index);
  std::vector<std::string> LeftoversOf(const RunKey& key) const;
  std::optional<RunStatus> ObserveLeftover(const RunKey& key);
  void EndLeftover(const RunKey& key, const std::string& name, const ReplicaRecord& record);
  Status RemoveLeftovers(const RunKey& key);
  Status EndWhatIsLeft(const RunKey& key, const std::string& replica);
  ReplicaStatus DeclareLost(const RunKey& key, ReplicaRecord record);

  const PreparationContext context_;
  const Preparation preparation_;
  const Node node_;
  const std::string boot_id_;
  std::function<void(const RunKey&)> changed_;  // set once, before the first run

  std::mutex mu_;
  std::condition_variable_any wake_;
  std::map<RunKey, Pending> pending_;
  std::deque<RunKey> queue_;
  bool trash_ = true;         // something may lie there
  std::uint64_t timers_ = 0;  // grows when a retry_at is set

  std::unique_ptr<StatusWatcher> watcher_;
  std::vector<std::jthread> workers_;
};

}  // namespace cml::backends::local
