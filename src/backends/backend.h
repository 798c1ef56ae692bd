// backends/backend.h — the seam to a cluster: what the control plane asks of it. local/ implements
// it now; Kubernetes, Slurm and YARN have their folders later.
//
// Promises of every implementation (testing/backend_contract.h):
//   1. Thread-safe; blocks at most until the deadline. kDeadlineExceeded means "unknown".
//   2. Every verb is idempotent and says what it finds, never what it remembers: nothing is kept
//      in memory that a restart would lose.
//   3. Ensure of a key that was ever ensured never starts it a second time, whatever its spec, also
//      after it ended, after Remove is running, and across kill -9 of the caller.
//   4. When a replica has ended, no process of it is left.
//   5. A run ends in kSucceeded or kFailed exactly once; its exit status survives our restarts.
//   6. Logs lie where LogOf says and outlive Remove.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/run.h"

namespace cml::backends {

// One framework environment as the backend can offer it.
struct RuntimeInfo {
  RuntimeRef runtime;
  std::string variant;      // "cpu" or "gpu"
  std::string python;       // "3.11"
  std::string state;        // "ready", "preparing", "absent", "unavailable", "broken"
  std::string message;      // why it is unavailable or broken, how far it is
  std::uint64_t size_bytes = 0;  // on disk when ready
  std::map<std::string, std::string> packages;  // main package → version
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Makes the run exist. A no-op for a key that exists or existed.
  //   kInvalidArgument    this backend can never execute such a spec; the message says why
  //   kFailedPrecondition the key is known to be over and leaves nothing to observe
  //   kUnavailable        try again later
  virtual Status Ensure(const RunKey& key, const RunSpec& spec, Deadline by) = 0;

  // nullopt: the cluster has no such run (never started, or removed).
  virtual Result<std::optional<RunStatus>> Observe(const RunKey& key, Deadline by) = 0;

  // Asks the run to end: SIGTERM, the spec's grace, then SIGKILL. Returns at once; Observe tells.
  virtual Status Stop(const RunKey& key, Deadline by) = 0;

  // Makes the run not exist: kills what still runs, forgets its files (not its logs).
  virtual Status Remove(const RunKey& key, Deadline by) = 0;

  // All runs with our label: the orphan sweep after a restart starts here.
  virtual Result<std::vector<RunKey>> List(Deadline by) = 0;

  // What there is to give out, in total.
  virtual Result<std::vector<Node>> Nodes(Deadline by) = 0;

  // Framework environments: what is known, and the verbs of the administrator.
  virtual Result<std::vector<RuntimeInfo>> Runtimes(Deadline by) = 0;
  virtual Status PrepareRuntime(const RuntimeRef& runtime, Deadline by) = 0;  // returns at once
  virtual Status RemoveRuntime(const RuntimeRef& runtime, Deadline by) = 0;   // kFailedPrecondition while used

  // The log file of one replica (logs/ reads it); of no role: of a run of several replicas, the lines
  // of all of them as they came, each behind "ROLE-INDEX: ".
  virtual std::filesystem::path LogOf(const RunKey& key, const std::string& role,
                                      std::uint32_t index) const = 0;
  virtual Status RemoveLogs(const ResourceId& resource) = 0;
  virtual Status RemoveCheckpoint(const std::string& checkpoint_key) = 0;

  // `changed` is called, from any thread, when a run may have changed: a hint that saves polling,
  // never the truth. Set once, before the first Ensure.
  virtual void OnChange(std::function<void(const RunKey&)> changed) = 0;
};

}  // namespace cml::backends
