#include "control/plan_train_job.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/judge_run.h"
#include "control/track_replicas.h"
#include "core/train_job_usage.h"

namespace cml::control {
namespace {

using State = TrainJobState;
constexpr int kUsageError = 2;  // exit status of a program that was called wrongly (argparse)
constexpr std::chrono::seconds kUsageEvery{10};

Event Say(SysTime now, EventType type, std::string reason, std::string message) {
  return {now, now, 1, type, std::move(reason), std::move(message)};
}

// What failed through no fault of the program is tried again in any case.
std::int64_t RetriesLeft(const TrainJob& job, const std::string& reason) {
  const bool lost = reason == "RunLost" || reason == "PortLost";
  const std::int64_t otherwise =
      lost ? kLostRunRetries : job.record.replicas.empty() ? 0 : kDistributedRetries;
  return job.wish.spec.max_retries.value_or(otherwise) - job.record.retries;
}

std::chrono::seconds EvaluatorWait(const TrainJob& job) {
  return std::chrono::seconds(job.wish.spec.evaluator_wait.value_or(kEvaluatorWait));
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
  next.replicas.clear();
  next.started = next.ended = SysTime{};
  next.usage = {};
  return {next, {Say(now, EventType::kNormal, "Enqueued", "waits for its turn")}};
}

Record Finish(const TrainJob& job, State to, const Judgement& judged, SysTime now) {
  const RunStatus& run = judged.run;
  TrainJobRecord next = Moved(job, to, now);
  std::vector<Event> events;
  TrackReplicas(run.replicas, now, next, events);
  next.reason = run.reason;
  next.message = run.message;
  next.ended = now;
  if (!run.replicas.empty()) {
    const ReplicaStatus& replica = run.replicas[judged.speaker.value_or(0)];
    next.exit_code = replica.exit_code;
    next.usage = Sum(run.replicas);
    if (replica.started != SysTime{} && next.replicas.empty()) next.started = replica.started;
    if (replica.ended != SysTime{}) next.ended = replica.ended;
  }
  const auto took = next.started == SysTime{} ? std::chrono::milliseconds{0} : next.ended - next.started;
  if (to == State::kCompleted) {
    next.message.clear();
    events.push_back(Say(now, EventType::kNormal, "Completed",
                         fmt::format("ended with exit status 0 after {}", FormatDuration(took))));
  } else {
    events.push_back(Say(now, EventType::kWarning, run.reason, run.message));
  }
  return {next, std::move(events)};
}

Record FailOrRetry(const TrainJob& job, const Judgement& judged, SysTime now) {
  const RunStatus& run = judged.run;
  const ReplicaStatus* replica = judged.speaker ? &run.replicas[*judged.speaker] : nullptr;
  if (IsPermanent(run, replica) || RetriesLeft(job, run.reason) <= 0) {
    return Finish(job, State::kFailed, judged, now);
  }
  TrainJobRecord next = Moved(job, State::kEnqueued, now);
  std::vector<Event> events;
  TrackReplicas(run.replicas, now, next, events);
  ++next.retries;
  next.reason = "Retrying";
  next.message = fmt::format("retry {} of {} after: {}", next.retries,
                             next.retries + RetriesLeft(job, run.reason) - 1, run.message);
  next.placement = {};
  next.replicas.clear();
  events.push_back(Say(now, EventType::kWarning, run.reason, run.message));
  events.push_back(Say(now, EventType::kNormal, "Retrying", next.message));
  return {next, std::move(events)};
}

// "node a", "nodes a, b".
std::string NodesOf(const std::vector<Placement>& placements) {
  std::vector<std::string> nodes;
  for (const Placement& p : placements) {
    if (std::find(nodes.begin(), nodes.end(), p.node) == nodes.end()) nodes.push_back(p.node);
  }
  return fmt::format("{} {}", nodes.size() > 1 ? "nodes" : "node", fmt::join(nodes, ", "));
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
  Judgement ended;
  if (v.run) ended = JudgeRun(*v.run, std::chrono::seconds(0), v.now);
  if (v.run && ended.run.state == RunState::kSucceeded) {
    return WithUsage(Finish(v.job, State::kCompleted, ended, v.now), v);
  }
  ended.run.reason = v.job.wish.stop_reason;
  ended.run.message = v.job.wish.stop_message;
  return WithUsage(Finish(v.job, State::kFailed, ended, v.now), v);
}

TrainJobAction PlanWaiting(const TrainJobView& v) {
  const TrainJob& job = v.job;
  if (v.admitted) {
    TrainJobRecord next = Moved(job, State::kCreating, v.now);
    ++next.incarnation;
    next.placement = v.admitted->front();
    if (v.admitted->size() > 1) next.replicas = PlacedReplicas(RolesOf(job.wish.spec), *v.admitted);
    next.limits = v.reserve;
    next.reason = "Creating";
    next.message.clear();
    const std::string tasks = v.admitted->size() > 1 ? fmt::format("{} tasks ", v.admitted->size()) : "";
    return Record{next, {Say(v.now, EventType::kNormal, "Creating",
                             fmt::format("{}placed on {}", tasks, NodesOf(*v.admitted)))}};
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
TrainJobAction PlanPending(const TrainJobView& v, const RunStatus& run) {
  Record r{v.job.record, {}};
  const News news = TrackReplicas(run.replicas, v.now, r.next, r.events);
  const bool said = run.message.empty() || run.message == v.job.record.message;
  if (said && news == News::kNone) return Nothing{};
  if (!said) {
    const bool step = r.next.reason != run.reason || StepOf(r.next.message) != StepOf(run.message);
    r.next.reason = run.reason;
    r.next.message = run.message;
    if (step) r.events.push_back(Say(v.now, EventType::kNormal, r.next.reason, r.next.message));
  }
  return r;
}

TrainJobAction PlanRunning(const TrainJobView& v, const RunStatus& run) {
  const TrainJob& job = v.job;
  if (job.record.state == State::kCreating) {
    Record r{Moved(job, State::kRunning, v.now), {}};
    TrackReplicas(run.replicas, v.now, r.next, r.events);
    r.next.reason = "Started";
    r.next.message.clear();
    const bool alone = run.replicas.size() == 1 && run.replicas.front().started != SysTime{};
    r.next.started = alone ? run.replicas.front().started : v.now;
    const std::string all = run.replicas.size() > 1 ? fmt::format("all {} tasks run", run.replicas.size())
                                                    : "runs on node " + r.next.placement.node;
    r.events.push_back(Say(v.now, EventType::kNormal, "Started", all));
    return r;
  }
  Record r{job.record, {}};
  const bool news = TrackReplicas(run.replicas, v.now, r.next, r.events) == News::kSome ||
                    (run.replicas.size() > 1 && r.next.message != run.message);
  if (run.replicas.size() > 1) r.next.message = run.message;
  // Usage is news of its own, but no event.
  const Usage used = Sum(run.replicas);
  const bool usage = !run.replicas.empty() && used.cpu_millis != job.record.usage.cpu_millis && v.now - job.meta.updated >= kUsageEvery;
  if (!news && !usage) return Nothing{};
  r.next.usage = used;
  return r;
}

TrainJobAction PlanActive(const TrainJobView& v) {
  if (!v.run) {
    if (v.job.record.state == State::kCreating) return EnsureRun{};
    return LostByBackend(v.job, v.now);
  }
  const Judgement judged = JudgeRun(*v.run, EvaluatorWait(v.job), v.now);
  if (judged.rest == Judgement::Rest::kToStop) return StopRun{};
  switch (judged.run.state) {
    case RunState::kPending:
      // One that restarts in place does not take the job back to where it was created.
      return v.job.record.state == State::kRunning ? PlanRunning(v, judged.run) : PlanPending(v, judged.run);
    case RunState::kRunning: return PlanRunning(v, judged.run);
    case RunState::kSucceeded: return WithUsage(Finish(v.job, State::kCompleted, judged, v.now), v);
    case RunState::kFailed: return WithUsage(FailOrRetry(v.job, judged, v.now), v);
  }
  return Nothing{};
}

}  // namespace

Record RefusedByBackend(const TrainJob& job, const std::string& why, SysTime now) {
  RunStatus run;
  run.reason = "StartFailed";
  run.message = why;
  return Finish(job, State::kFailed, {run, std::nullopt}, now);
}

Record LostByBackend(const TrainJob& job, SysTime now) {
  RunStatus run;
  run.reason = "RunLost";
  run.message = "nobody knows how the run ended: its machine or its guard process was killed";
  Record record = FailOrRetry(job, {run, std::nullopt}, now);
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
