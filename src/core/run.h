// core/run.h — what a cluster executes: roles × replicas of a command. Every resource that computes
// is planned into runs, and backends know runs and nothing else. Plain values; no I/O, no clock.
#pragma once
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"

namespace cml {

// Names one attempt to execute. `incarnation` goes up at each (re)start of the resource, so that
// what is left of an older attempt is recognised. Written on the pod, batch job or folder as a label.
struct RunKey {
  ResourceId resource;
  std::uint64_t incarnation = 0;
  friend auto operator<=>(const RunKey&, const RunKey&) = default;
};
std::string ToString(const RunKey& key);  // "k3v9x0q2ab.1"
std::optional<RunKey> ParseRunKey(std::string_view text);

// A framework environment of runtimes/, or an image where the backend has them.
struct RuntimeRef {
  std::string name;     // "tensorflow"; empty: no runtime, a plain command on the system's userland
  std::string version;  // "2.15.1"
  bool empty() const { return name.empty(); }
  friend auto operator<=>(const RuntimeRef&, const RuntimeRef&) = default;
};

// Per replica. Zero: the backend's default.
struct Limits {
  std::int64_t millicores = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t gpus = 0;
  std::int64_t processes = 0;
  std::int64_t disk_bytes = 0;  // of the working directory
  friend bool operator==(const Limits&, const Limits&) = default;
};

// Something the backend brings into the replica's file system before the command starts.
struct Fetch {
  std::string uri;       // fds://bucket/object or http(s)://…
  std::string target;    // file name below /job/packages
  std::string endpoint;  // of the store of an fds uri; empty: the platform's own
  AccessKey as;          // whose key signs the request to another endpoint
};

struct Role {
  std::string name = "worker";  // chief, master, worker, ps, evaluator
  std::uint32_t replicas = 1;
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::vector<std::map<std::string, std::string>> replica_env{};  // more, of each replica; may be empty
  Limits limits;
  // How often a replica that ends with a status other than 0 is started again where it is, with
  // its address and folder, before the replica counts as failed.
  std::int64_t restarts = 0;
  // A replica that has not come to its program so long after its start is ended; 0: no limit.
  std::int64_t start_seconds = 0;
};

// Where admission put a replica. Recorded before the run is ensured.
struct Placement {
  std::string node;
  std::vector<int> gpus;  // indices on that node
  std::string gpu_model{};  // of those, as it was when they were given: what the bill says
  // Where the other replicas of the run find it; port 0: nowhere.
  std::string host{};
  int port = 0;
  friend bool operator==(const Placement&, const Placement&) = default;
};

enum class RunKind { kBatch, kService };  // ends by itself; is kept alive

struct RunSpec {
  OrgId org;
  RunKind kind = RunKind::kBatch;
  std::string display_name;  // for people: the job's name
  RuntimeRef runtime;
  std::map<std::string, std::string> files;  // name below /job/etc → contents (scripts)
  std::vector<Fetch> fetches;
  // The organisation's buckets are at /fds/<bucket>, readable and writable, new ones as they come.
  std::string checkpoint_key;  // not empty: a folder at /job/checkpoint, kept across incarnations with this key
  std::vector<Role> roles;
  std::vector<Placement> placements;  // one per replica, in the order of roles; may be empty
  std::int64_t grace_seconds = 30;    // between SIGTERM and SIGKILL
  std::int64_t wall_seconds = 0;      // 0: no limit
};

enum class RunState { kPending, kRunning, kSucceeded, kFailed };

// What a replica has used so far.
struct Usage {
  std::int64_t cpu_millis = 0;      // CPU time
  std::int64_t cpu_percent = 0;     // of one core, over the last seconds
  std::int64_t memory_bytes = 0;    // now
  std::int64_t memory_peak = 0;
  std::int64_t receive_bytes = 0;   // network; 0 where the host's network is shared
  std::int64_t transmit_bytes = 0;
};

// Reasons are machine-readable CamelCase words; these are the ones that all backends share.
//   Completed, Error (exit status not 0), OutOfMemory, DiskLimit, WallTimeLimit, Stopped,
//   RunLost (nobody knows how it ended: machine restarted, shim killed), StartFailed,
//   PortLost (somebody else has the replica's port), StartTimeout (hung before its program began),
//   PackageError and EnvironmentError (permanent: a retry cannot help), Preparing (pending),
//   Restarted (runs again, in place)
struct ReplicaStatus {
  std::string role;
  std::uint32_t index = 0;
  RunState state = RunState::kPending;
  std::string node;
  std::optional<int> exit_code;  // 128 + signal when a signal ended it
  std::string reason;
  std::string message;  // one sentence for a person
  SysTime started{};    // epoch: not yet
  SysTime ended{};
  Usage usage;
  std::int64_t restarts = 0;  // in place
};

struct RunStatus {
  RunState state = RunState::kPending;
  std::string reason;
  std::string message;
  bool permanent = false;  // failed in a way that a retry cannot mend
  std::vector<ReplicaStatus> replicas;
};

// A machine of the cluster as admission sees it.
struct Gpu {
  int index = 0;
  std::string model;  // lower case, "v100"
  std::string uuid;
};
struct Node {
  std::string name;
  std::int64_t millicores = 0;
  std::int64_t memory_bytes = 0;
  std::vector<Gpu> gpus;
  std::map<std::string, std::string> labels;
  // Under which replicas of other nodes reach those on this one, whose ports the control plane
  // gives out; empty: each replica has an address of its own.
  std::string address{};
};

}  // namespace cml
