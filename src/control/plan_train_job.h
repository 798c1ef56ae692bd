// control/plan_train_job.h — decides the ONE next action for a train job; touches nothing. Pure:
// same view, same answer.
//
// Intent is recorded before the act that needs it (kCreating with its placement before the run is
// ensured), so that a crash between the two is repaired by planning again.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/run.h"
#include "core/train_job.h"
#include "core/usage.h"

namespace cml::control {

struct TrainJobView {
  const TrainJob& job;
  std::optional<RunStatus> run;         // of the record's incarnation, observed just now
  // Where admission put its replicas, ports included; nullopt: it waits.
  std::optional<std::vector<Placement>> admitted;
  Limits reserve;                       // what it reserves when it is admitted
  std::string wait_reason;              // one sentence, when it waits
  SysTime now;
};

struct Nothing {};
struct EnsureRun {};
struct StopRun {};  // and look again: only a run that has ended is recorded, and then removed
struct RemoveRun {};
struct Erase {};  // the row, its logs and its checkpoints
// A record that says that a run has ended carries what that run has used: both are committed at
// once. No run is removed before.
struct Record {
  TrainJobRecord next;
  std::vector<Event> events;
  std::vector<UsageRecord> usage{};
};
using TrainJobAction = std::variant<Nothing, EnsureRun, StopRun, RemoveRun, Erase, Record>;

TrainJobAction PlanTrainJob(const TrainJobView& view);

// The record after the backend has refused to ensure the run for good.
Record RefusedByBackend(const TrainJob& job, const std::string& why, SysTime now);
// The record after the backend has said that this incarnation is over without a trace.
Record LostByBackend(const TrainJob& job, SysTime now);

}  // namespace cml::control
