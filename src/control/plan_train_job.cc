#include "control/plan_train_job.h"

#include <fmt/format.h>

#include "core/train_job_usage.h"

namespace cml::control {
namespace {

using State = TrainJobState;
constexpr int kUsageError = 2;  // exit status of a program that was called wrongly (argparse)
constexpr std::chrono::seconds kUsageEvery{10};

Event Say(SysTime now, EventType type, std::string reason, std::string message) {
  return {now, now, 1, type, std::move(reason), std::move(message)};
}

std::int64_t RetriesLeft(const TrainJob& job, bool lost) {
  const std::int64_t budget = job.wish.spec.max_retries.value_or(lost ? kLostRunRetries : 0);
  return budget - job.record.retries;
}

// Can another try end in another way?
bool IsPermanent(const RunStatus& run, const ReplicaStatus* replica) {
  if (run.permanent || run.reason == "OutOfMemory" || run.reason == "DiskLimit" ||
      run.reason == "WallTimeLimit" || run.reason == "ModuleNotFound") {
    return true;
  }
  return replica != nullptr && replica->exit_code == kUsageError;
}

TrainJobRecord Moved(const TrainJob& job, State to, SysTime now) {
  TrainJobRecord next = job.record;
  next.state = to;
  next.since = now;
  return next;
}

Record Enqueue(const TrainJob& job, SysTime now) {
  TrainJobRecord next = Moved(job, State::kEnqueued, now);
  next.starts = job.wish.starts;
  next.retries = 0;
  next.reason = "Enqueued";
  next.message.clear();
  next.exit_code.reset();
  next.placement = {};
  next.started = next.ended = SysTime{};
  next.usage = {};
  return {next, {Say(now, EventType::kNormal, "Enqueued", "waits for its turn")}};
}

Record Finish(const TrainJob& job, State to, const RunStatus& run, SysTime now) {
  TrainJobRecord next = Moved(job, to, now);
  next.reason = run.reason;
  next.message = run.message;
  next.ended = now;
  if (!run.replicas.empty()) {
    const ReplicaStatus& replica = run.replicas.front();
    next.exit_code = replica.exit_code;
    next.usage = replica.usage;
    if (replica.started != SysTime{}) next.started = replica.started;
    if (replica.ended != SysTime{}) next.ended = replica.ended;
  }
  const auto took = next.started == SysTime{} ? std::chrono::milliseconds{0} : next.ended - next.started;
  if (to == State::kCompleted) {
    next.message.clear();
    return {next, {Say(now, EventType::kNormal, "Completed",
                       fmt::format("ended with exit status 0 after {}", FormatDuration(took)))}};
  }
  return {next, {Say(now, EventType::kWarning, run.reason, run.message)}};
}

Record FailOrRetry(const TrainJob& job, const RunStatus& run, SysTime now) {
  const bool lost = run.reason == "RunLost";
  const ReplicaStatus* replica = run.replicas.empty() ? nullptr : &run.replicas.front();
  if (IsPermanent(run, replica) || RetriesLeft(job, lost) <= 0) {
    return Finish(job, State::kFailed, run, now);
  }
  TrainJobRecord next = Moved(job, State::kEnqueued, now);
  ++next.retries;
  next.reason = "Retrying";
  next.message = fmt::format("retry {} of {} after: {}", next.retries,
                             next.retries + RetriesLeft(job, lost) - 1, run.message);
  next.placement = {};
  return {next, {Say(now, EventType::kWarning, run.reason, run.message),
                 Say(now, EventType::kNormal, "Retrying", next.message)}};
}

bool HoldsRun(State s) { return s == State::kCreating || s == State::kRunning; }
bool HasEnded(const RunStatus& run) {
  return run.state == RunState::kSucceeded || run.state == RunState::kFailed;
}

// Whatever the record says then, what the run has used is said with it.
Record WithUsage(Record record, const TrainJobView& v) {
  record.usage = v.run ? UsageOf(v.job, v.run->replicas, v.now) : UsageWithoutTrace(v.job);
  return record;
}

// A job that is being deleted: its run is stopped, its end seen and recorded, and only then is the
// run removed, and the job.
TrainJobAction PlanDeleted(const TrainJobView& v) {
  if (HoldsRun(v.job.record.state)) {
    if (v.run && !HasEnded(*v.run)) return StopRun{};
    if (v.run || v.job.record.state == State::kRunning) {
      return WithUsage({Moved(v.job, State::kDeleting, v.now), {}}, v);
    }
  }
  if (v.run) return RemoveRun{};
  return Erase{};
}

// One that was told to stop, by its budget for instance.
TrainJobAction PlanStopped(const TrainJobView& v) {
  if (v.run && !HoldsRun(v.job.record.state)) return RemoveRun{};
  if (v.run && !HasEnded(*v.run)) return StopRun{};
  if (v.run && v.run->state == RunState::kSucceeded) {
    return WithUsage(Finish(v.job, State::kCompleted, *v.run, v.now), v);
  }
  RunStatus ended = v.run.value_or(RunStatus{});
  ended.reason = v.job.wish.stop_reason;
  ended.message = v.job.wish.stop_message;
  return WithUsage(Finish(v.job, State::kFailed, ended, v.now), v);
}

TrainJobAction PlanWaiting(const TrainJobView& v) {
  const TrainJob& job = v.job;
  if (v.admitted) {
    TrainJobRecord next = Moved(job, State::kCreating, v.now);
    ++next.incarnation;
    next.placement = *v.admitted;
    next.limits = v.reserve;
    next.reason = "Creating";
    next.message.clear();
    return Record{next, {Say(v.now, EventType::kNormal, "Creating",
                             fmt::format("placed on node {}", v.admitted->node))}};
  }
  const bool said = job.record.message == v.wait_reason || v.wait_reason.empty();
  if (said) return Nothing{};
  TrainJobRecord next = job.record;
  const bool first = next.reason != "Waiting";
  next.reason = "Waiting";
  next.message = v.wait_reason;
  Record r{next, {}};
  if (first) r.events.push_back(Say(v.now, EventType::kNormal, "Waiting", v.wait_reason));
  return r;
}

// "environment pytorch 2.15.0: downloading" of a sentence that goes on with how far that is.
std::string_view StepOf(std::string_view message) {
  const auto colon = message.find(": ");
  if (colon == std::string_view::npos) return {};
  return message.substr(0, message.find(' ', colon + 2));
}

// Progress is told by the message as it comes; what becomes an event is the next step alone.
TrainJobAction PlanPending(const TrainJobView& v) {
  const TrainJob& job = v.job;
  if (v.run->message.empty() || v.run->message == job.record.message) return Nothing{};
  TrainJobRecord next = job.record;
  const bool step = next.reason != v.run->reason || StepOf(next.message) != StepOf(v.run->message);
  next.reason = v.run->reason;
  next.message = v.run->message;
  Record r{next, {}};
  if (step) r.events.push_back(Say(v.now, EventType::kNormal, next.reason, next.message));
  return r;
}

TrainJobAction PlanRunning(const TrainJobView& v) {
  const TrainJob& job = v.job;
  const ReplicaStatus* replica = v.run->replicas.empty() ? nullptr : &v.run->replicas.front();
  if (job.record.state == State::kCreating) {
    TrainJobRecord next = Moved(job, State::kRunning, v.now);
    next.reason = "Started";
    next.message.clear();
    next.started = replica && replica->started != SysTime{} ? replica->started : v.now;
    return Record{next, {Say(v.now, EventType::kNormal, "Started",
                             fmt::format("runs on node {}", next.placement.node))}};
  }
  // Usage is news of its own, but no event.
  if (replica && replica->usage.cpu_millis != job.record.usage.cpu_millis &&
      v.now - job.meta.updated >= kUsageEvery) {
    TrainJobRecord next = job.record;
    next.usage = replica->usage;
    return Record{next, {}};
  }
  return Nothing{};
}

TrainJobAction PlanActive(const TrainJobView& v) {
  if (!v.run) {
    if (v.job.record.state == State::kCreating) return EnsureRun{};
    return LostByBackend(v.job, v.now);
  }
  switch (v.run->state) {
    case RunState::kPending: return PlanPending(v);
    case RunState::kRunning: return PlanRunning(v);
    case RunState::kSucceeded:
      return WithUsage(Finish(v.job, State::kCompleted, *v.run, v.now), v);
    case RunState::kFailed: return WithUsage(FailOrRetry(v.job, *v.run, v.now), v);
  }
  return Nothing{};
}

}  // namespace

Record RefusedByBackend(const TrainJob& job, const std::string& why, SysTime now) {
  RunStatus run;
  run.reason = "StartFailed";
  run.message = why;
  return Finish(job, State::kFailed, run, now);
}

Record LostByBackend(const TrainJob& job, SysTime now) {
  RunStatus run;
  run.reason = "RunLost";
  run.message = "nobody knows how the run ended: its machine or its guard process was killed";
  Record record = FailOrRetry(job, run, now);
  record.usage = UsageWithoutTrace(job);
  return record;
}

TrainJobAction PlanTrainJob(const TrainJobView& v) {
  const TrainJob& job = v.job;
  if (job.wish.deleted) return PlanDeleted(v);
  if (IsStopAsked(job)) return PlanStopped(v);
  if (IsFinal(job.record.state)) {
    if (v.run) return RemoveRun{};
    if (job.wish.starts != job.record.starts) return Enqueue(job, v.now);
    return Nothing{};
  }
  switch (job.record.state) {
    case State::kEnqueued:
      if (v.run) return RemoveRun{};  // of the try before
      return PlanWaiting(v);
    case State::kCreating:
    case State::kRunning: return PlanActive(v);
    case State::kInitial:
    case State::kCompleted:
    case State::kFailed:
    case State::kDeleting: break;
  }
  return Nothing{};
}

}  // namespace cml::control
