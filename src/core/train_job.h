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
#include "core/resource.h"
#include "core/run.h"

namespace cml {

enum class PriorityClass { kBestEffort, kPreferred, kGuaranteed };

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
  std::int64_t enable_rank = 0;
  bool save_mode = false;
  // Our extensions.
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::string description;
  std::string job_dir;
  PriorityClass priority_class = PriorityClass::kPreferred;
  std::int64_t wall_time_limit = 0;  // seconds; 0: none
  std::int64_t max_retries = 3;      // of the whole job
  std::string disk_limit;            // of the working directory
};

struct TrainJobWish {
  TrainJobSpec spec;
  std::uint64_t starts = 0;  // grows at submit (unless save_mode) and at each "start"
  bool deleted = false;
};

enum class TrainJobState { kInitial, kEnqueued, kCreating, kRunning, kCompleted, kFailed, kDeleting };

std::string_view ToString(TrainJobState s);  // "initial", "enqueued", …
std::optional<TrainJobState> ParseTrainJobState(std::string_view s);
constexpr bool IsFinal(TrainJobState s) noexcept {
  return s == TrainJobState::kInitial || s == TrainJobState::kCompleted || s == TrainJobState::kFailed;
}
bool CanMove(TrainJobState from, TrainJobState to) noexcept;

struct TrainJobRecord {
  TrainJobState state = TrainJobState::kInitial;
  SysTime since{};             // when the state was entered
  std::uint64_t starts = 0;    // the wish's starts that this record answers
  std::uint64_t incarnation = 0;
  std::int64_t retries = 0;    // of this start
  std::string reason;          // CamelCase word, also of the last event
  std::string message;         // one sentence: why it waits, how it ended
  std::optional<int> exit_code;
  Placement placement;         // valid from kCreating on
  Limits limits;               // what was reserved, defaults filled in
  SysTime started{}, ended{};
  Usage usage;                 // as last seen
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

// Checks every field by its rule (cloud_ml v1, section 5). kInvalidArgument; the message names the
// field, the value, the rule and what to type instead.
Status Validate(const TrainJobSpec& spec);

}  // namespace cml
