// core/train_job.h — a train job: what a user asked for (the wish), what became of it (the record),
// and the rules that bind them. Plain values; no I/O, no clock, no lock.
//
// Life (states of cloud_ml v1, section 6.4):
//   initial ──start──▶ enqueued ──admitted──▶ creating ──▶ running ──▶ completed
//                         ▲  │                   │            │   └──▶ failed
//                         │  └─stop─▶ failed     └────────────┴─▶ failed
//                         └──── retry (budget left), start again ────┘
//   any ──delete──▶ deleting ──▶ gone
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "core/cluster_spec.h"
#include "core/quota.h"
#include "core/resource.h"
#include "core/run.h"

namespace cml {

enum class PriorityClass { kBestEffort, kPreferred, kGuaranteed };

// One kind of task of a distributed job, as it was asked for (cloud_ml v1, 6.3).
struct TaskSpec {
  std::int64_t count = 1;
  std::string cpu_limit{}, memory_limit{};  // empty: those of the job
  std::optional<std::int64_t> gpu_limit{};
  std::string gpu_type{};
  std::string task_args{};  // behind job_args
  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

// The request as it was accepted (cloud_ml v1, 6.1). Quantities stay as they were typed; the
// service has validated them.
struct TrainJobSpec {
  std::string job_name;
  std::string module_name;
  std::string trainer_uri;  // several packages: separated by ','
  std::string job_args;
  std::string cpu_limit, memory_limit;
  std::int64_t gpu_limit = 0;
  std::string framework, framework_version;
  std::string docker_image, docker_command;
  std::string prepare_command, finish_command;
  std::string node_selector_key, node_selector_value;
  std::string fds_endpoint, fds_bucket;
  std::string tensorboard_logdir;
  // A distributed job (6.3): counts, or kinds of tasks. Limits are per task.
  std::int64_t ps_count = 0, worker_count = 0;
  std::map<std::string, TaskSpec> cluster_spec;
  std::int64_t enable_rank = 0;
  bool save_mode = false;
  // Our extensions.
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::string description;
  std::string job_dir;
  PriorityClass priority_class = PriorityClass::kPreferred;
  std::int64_t wall_time_limit = 0;  // seconds; 0: none
  // Whole-job retries. Not given: a run that was lost is retried kLostRunRetries times, one that
  // failed by itself never.
  std::optional<std::int64_t> max_retries;
  // Of a distributed job; what is not given: the constants below, and with counts one chief and no
  // evaluator.
  std::optional<std::int64_t> chief_count, evaluator_count;
  std::optional<std::int64_t> max_restarts;    // of each task in place, before the job is retried
  std::optional<std::int64_t> start_timeout;   // seconds until each task's program must have begun
  std::optional<std::int64_t> evaluator_wait;  // seconds that evaluators have after the chief's end
  std::string disk_limit;             // of the working directory
  std::vector<std::string> defaults;  // names of the fields that the server filled in
  // Fields that were sent and belong to features that are not there yet; never stored, as Validate
  // refuses them.
  std::vector<std::string> not_available;
};

inline constexpr std::int64_t kLostRunRetries = 3;
inline constexpr std::int64_t kDistributedRetries = 3;  // of a distributed job, whatever failed
inline constexpr std::int64_t kRestarts = 5;
inline constexpr std::int64_t kStartTimeout = 1800;
inline constexpr std::int64_t kEvaluatorWait = 900;
inline constexpr std::int64_t kMostReplicas = 256;

struct TrainJobWish {
  TrainJobSpec spec;
  AccessKey submitted_by;    // whose key fetches a package from another store
  std::uint64_t starts = 0;  // grows at submit (unless save_mode) and at each "start"
  bool deleted = false;
  std::string user{};        // whose key submitted it; empty: the organisation's own
  // The start that shall be stopped, should it not have ended; 0: none. The job fails with this
  // reason and message.
  std::uint64_t stop = 0;
  std::string stop_reason{}, stop_message{};
};

enum class TrainJobState { kInitial, kEnqueued, kCreating, kRunning, kCompleted, kFailed, kDeleting };

std::string_view ToString(TrainJobState s);  // "initial", "enqueued", …
std::optional<TrainJobState> ParseTrainJobState(std::string_view s);
constexpr bool IsFinal(TrainJobState s) noexcept {
  return s == TrainJobState::kInitial || s == TrainJobState::kCompleted || s == TrainJobState::kFailed;
}
bool CanMove(TrainJobState from, TrainJobState to) noexcept;

std::string_view ToString(PriorityClass c);  // "guaranteed", "preferred", "best-effort"
std::optional<PriorityClass> ParsePriorityClass(std::string_view s);

// One replica of a distributed job: what was given to it, and how it is.
struct Replica {
  ReplicaStatus status;
  Placement placement;
};

struct TrainJobRecord {
  TrainJobState state = TrainJobState::kInitial;
  SysTime since{};             // when the state was entered
  std::uint64_t starts = 0;    // the wish's starts that this record answers
  std::uint64_t incarnation = 0;
  std::int64_t retries = 0;    // of this start
  std::string reason;          // CamelCase word, also of the last event
  std::string message;         // one sentence: why it waits, how it ended
  std::optional<int> exit_code;
  Placement placement;         // valid from kCreating on; of the first replica
  Limits limits;               // what was reserved, defaults filled in; of all replicas together
  SysTime started{}, ended{};
  Usage usage;                 // as last seen; of all replicas together
  // From kCreating on, in the order of RolesOf. Empty for a job of one replica: then all is said
  // above.
  std::vector<Replica> replicas;
};

struct TrainJob {
  static constexpr ResourceKind kKind = ResourceKind::kTrainJob;
  Meta meta;
  TrainJobWish wish;
  TrainJobRecord record;
};

// Does a controller still have something to do for it?
inline bool IsUnfinished(const TrainJob& j) {
  return j.wish.deleted || !IsFinal(j.record.state) || j.wish.starts != j.record.starts;
}

// Shall it be stopped that it is on now?
inline bool IsStopAsked(const TrainJob& j) {
  return j.wish.stop != 0 && j.wish.stop == j.record.starts && !IsFinal(j.record.state);
}

// What it holds of its organisation's quota: its limits from the submit or start until it has ended.
Reservation ReservationOf(const TrainJob& job);

// The words of a command line as a POSIX shell would split them, without any expansion.
// nullopt: a quote is not closed.
std::optional<std::vector<std::string>> SplitWords(std::string_view line);

// fds://bucket/object → its two parts; nullopt: another scheme or a part is missing.
struct ObjectUri {
  std::string bucket, key;
};
std::optional<ObjectUri> ParseObjectUri(std::string_view uri);

// "a,b" → the package uris of a spec, in order.
std::vector<std::string> PackageUris(const TrainJobSpec& spec);

// CPU, memory, GPUs and disk of a validated spec, of all its replicas together; what is absent
// stays 0.
Limits LimitsOf(const TrainJobSpec& spec);

// What a spec becomes: its roles, the chief's first, then worker, ps, evaluator, and others by
// name. A job of one process has one role `worker` of one replica. Framework and version must be
// known: they decide how the chief is called (training environment, section 2).
struct RolePlan {
  std::string name;
  std::uint32_t replicas = 1;
  Limits limits;          // of each
  std::string gpu_model;  // empty: any
  std::string args;       // behind job_args
};
std::vector<RolePlan> RolesOf(const TrainJobSpec& spec);

bool AsksForCluster(const TrainJobSpec& spec);  // by any of the fields of 6.3
std::int64_t ReplicaCount(const std::vector<RolePlan>& roles);
inline bool IsDistributed(const std::vector<RolePlan>& roles) { return ReplicaCount(roles) > 1; }
inline bool IsChief(std::string_view role) { return role == "chief" || role == "master"; }
// Who is where, as the record says it; framework and input of the job for the variables.
Cluster ClusterOf(const TrainJob& job);
// "worker-1" → its two parts; nullopt: no such form.
struct ReplicaId {
  std::string role;
  std::uint32_t index = 0;
};
std::optional<ReplicaId> ParseReplicaName(std::string_view text);
std::string ReplicaNameOf(const ReplicaStatus& replica);

// Checks every field by its rule (cloud_ml v1, section 5). kInvalidArgument; the message names the
// field, the value, the rule and what to type instead.
Status Validate(const TrainJobSpec& spec);

}  // namespace cml
