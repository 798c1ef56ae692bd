#include "control/train_job_controller.h"

#include <utility>

#include "base/log.h"
#include "control/train_job_run.h"

namespace cml::control {
namespace {

constexpr std::chrono::seconds kLookAgain{10};   // when nothing tells us of a change
constexpr std::chrono::seconds kStopping{2};     // until a run that was told to stop is looked at
constexpr std::chrono::seconds kPatience{20};    // with one call of the backend
constexpr std::chrono::seconds kGivenUp{30};     // a run that is not there so long after it was asked for

Deadline Soon() { return std::chrono::steady_clock::now() + kPatience; }
RunKey KeyOf(const TrainJob& job) { return {job.meta.id, job.record.incarnation}; }

bool HoldsShare(TrainJobState s) { return s == TrainJobState::kCreating || s == TrainJobState::kRunning; }

std::vector<ReplicaAsk> AsksOf(const TrainJob& job) {
  std::vector<ReplicaAsk> all;
  for (const RolePlan& role : RolesOf(job.wish.spec)) {
    all.insert(all.end(), role.replicas, {role.limits, role.gpu_model});
  }
  return all;
}

// After a change: what runs tells when it changes again, everything else has its next step at once.
Next AfterChange(const TrainJobRecord& now) {
  return now.state == TrainJobState::kRunning ? Next::Later(kLookAgain) : Next::Again();
}

}  // namespace

Result<std::vector<ResourceId>> TrainJobController::Recover() {
  CML_ASSIGN_OR_RETURN(const std::vector<RunKey> runs, d_.backend.List(Soon()));
  CML_ASSIGN_OR_RETURN(const std::vector<ResourceId> unfinished, d_.jobs.ListUnfinished());
  for (const ResourceId& id : unfinished) {
    CML_ASSIGN_OR_RETURN(const Stored stored, d_.jobs.Get(id));
    const TrainJobRecord& r = stored.value.record;
    if (!HoldsShare(r.state)) continue;
    const TrainJob& job = stored.value;
    std::vector<Placement> placements;
    for (const Replica& replica : r.replicas) placements.push_back(replica.placement);
    if (placements.empty()) {
      placements.push_back(r.placement);
    } else {
      d_.ports.Hold(id, placements);
    }
    d_.desk.Hold(id, {job.meta.org, std::move(placements), AsksOf(job)});
  }
  for (const RunKey& key : runs) {
    auto got = d_.jobs.Get(key.resource);
    if (!got.ok() && got.error().code() != Code::kNotFound) return std::move(got).error();
    const bool known = got.ok() && KeyOf(got.value().value) == key &&
                       (HoldsShare(got.value().value.record.state) || got.value().value.wish.deleted);
    if (known) continue;
    LogInfo("a run that belongs to no job is removed", {{"run", ToString(key)}});
    CML_RETURN_IF_ERROR(d_.backend.Remove(key, Soon()));
  }
  CML_ASSIGN_OR_RETURN(std::vector<Node> nodes, d_.backend.Nodes(Soon()));
  d_.ports.SetNodes(nodes);
  for (const Node& node : nodes) {
    for (const Gpu& gpu : node.gpus) gpu_models_[{node.name, gpu.index}] = gpu.model;
  }
  d_.desk.SetNodes(std::move(nodes));
  return unfinished;
}

Result<Next> TrainJobController::Step(const ResourceId& id) {
  auto got = d_.jobs.Get(id);
  if (!got.ok() && got.error().code() == Code::kNotFound) {
    Leave(id);
    return Next::Done();
  }
  CML_ASSIGN_OR_RETURN(const Stored stored, std::move(got));
  const TrainJob& job = stored.value;

  TrainJobView view{job, {}, {}, LimitsOf(job.wish.spec), {}, d_.clock.Now()};
  if (job.record.incarnation > 0) {
    CML_ASSIGN_OR_RETURN(view.run, d_.backend.Observe(KeyOf(job), Soon()));
  }
  const bool waits = job.record.state == TrainJobState::kEnqueued && !view.run;
  if (waits && !job.wish.deleted && !IsStopAsked(job)) {
    if (d_.held_back) view.wait_reason = d_.held_back(job.meta.org);
    if (view.wait_reason.empty()) {
      AskDesk(view);
    } else {
      Leave(id);  // its place in the queue is by its age, so it is not lost
    }
  }
  return Act(stored, PlanTrainJob(view));
}

// GPUs of one node are of one model, as a rule; where they are not, the first one's price counts.
void TrainJobController::NameGpus(Placement& placement) const {
  if (placement.gpus.empty()) return;
  const auto model = gpu_models_.find({placement.node, placement.gpus.front()});
  if (model != gpu_models_.end()) placement.gpu_model = model->second;
}

void TrainJobController::JoinQueue(const TrainJob& job) {
  const TrainJobSpec& s = job.wish.spec;
  const std::int64_t rank = s.enable_rank != 0 && d_.rank_of ? d_.rank_of(job.meta.org) : s.enable_rank;
  d_.desk.Wait({job.meta.id, s.priority_class, rank, job.record.since, AsksOf(job),
                s.node_selector_key, s.node_selector_value, job.meta.org});
}

// Whether there is room, and for a job of several replicas their addresses with it.
void TrainJobController::AskDesk(TrainJobView& view) {
  JoinQueue(view.job);
  auto verdict = d_.desk.Ask(view.job.meta.id);
  view.admitted = std::move(verdict.placements);
  view.wait_reason = std::move(verdict.reason);
  if (!view.admitted) return;
  for (Placement& placement : *view.admitted) NameGpus(placement);
  if (view.admitted->size() < 2) return;
  if (const Status picked = d_.ports.Pick(view.job.meta.id, view.job.meta.org, *view.admitted); !picked.ok()) {
    view.admitted.reset();
    view.wait_reason = picked.error().message();
  }
}

void TrainJobController::Leave(const ResourceId& id) {
  d_.ports.Leave(id);
  d_.desk.Leave(id);
}

Result<Next> TrainJobController::Act(const Stored& stored, const TrainJobAction& action) {
  const TrainJob& job = stored.value;
  if (const auto* record = std::get_if<Record>(&action)) {
    const bool news = record->next.state != job.record.state;
    const Status saved = Save(stored, *record);
    if (!saved.ok() && saved.error().code() == Code::kConflict) return Next::Again();
    CML_RETURN_IF_ERROR(saved);
    return news ? AfterChange(record->next) : Next::Later(kLookAgain);
  }
  if (std::holds_alternative<EnsureRun>(action)) {
    return Ensure(stored);
  }
  if (std::holds_alternative<StopRun>(action)) {
    CML_RETURN_IF_ERROR(d_.backend.Stop(KeyOf(job), Soon()));
    return Next::Later(kStopping);  // it tells when it has ended
  }
  if (std::holds_alternative<RemoveRun>(action)) {
    CML_RETURN_IF_ERROR(d_.backend.Remove(KeyOf(job), Soon()));
    return IsUnfinished(job) ? Next::Again() : Next::Done();  // a new wish will tell
  }
  if (std::holds_alternative<Erase>(action)) {
    CML_RETURN_IF_ERROR(EraseAll(stored));
    return Next::Done();
  }
  return IsFinal(job.record.state) ? Next::Done() : Next::Later(kLookAgain);
}

Result<Next> TrainJobController::Ensure(const Stored& stored) {
  const TrainJob& job = stored.value;
  const Status ensured = d_.backend.Ensure(KeyOf(job), PlanTrainJobRun(job, d_.package_installer), Soon());
  if (ensured.ok() && d_.clock.Now() - job.record.since > kGivenUp) {
    // Ensure does nothing for a run that was there once. If this one is nowhere, somebody removed it.
    CML_ASSIGN_OR_RETURN(const auto run, d_.backend.Observe(KeyOf(job), Soon()));
    if (!run) {
      CML_RETURN_IF_ERROR(Save(stored, LostByBackend(job, d_.clock.Now())));
      return Next::Again();
    }
  }
  if (ensured.ok()) return Next::Later(kLookAgain);  // the run tells when it changes
  const Error& e = ensured.error();
  if (e.code() == Code::kInvalidArgument) {
    CML_RETURN_IF_ERROR(Save(stored, RefusedByBackend(job, e.message(), d_.clock.Now())));
  } else if (e.code() == Code::kFailedPrecondition) {
    CML_RETURN_IF_ERROR(Save(stored, LostByBackend(job, d_.clock.Now())));
  } else {
    return e;
  }
  return Next::Again();
}

Status TrainJobController::Save(const Stored& stored, const Record& record) {
  const TrainJob& job = stored.value;
  if (record.next.state != job.record.state && !CanMove(job.record.state, record.next.state)) {
    return Error(Code::kInternal, "illegal change of state")
        .While(std::string(ToString(job.record.state)) + " to " + std::string(ToString(record.next.state)));
  }
  Stored next = stored;
  next.value.record = record.next;
  next.value.meta.updated = d_.clock.Now();
  store::Alongside with;
  with.events = record.events;
  with.usage = record.usage;
  std::function<void()> told;
  if (d_.tell && record.next.state != job.record.state) told = d_.tell(next.value, ToString(record.next.state), with);
  CML_RETURN_IF_ERROR(d_.jobs.SaveRecord(next, d_.leader, with));
  if (told) told();
  // A share is given back when the store says so, not before.
  const bool held = HoldsShare(job.record.state) || IsFinal(record.next.state);
  if (held && !HoldsShare(record.next.state)) Leave(job.meta.id);
  return Ok{};
}

Status TrainJobController::EraseAll(const Stored& stored) {
  const TrainJob& job = stored.value;
  Leave(job.meta.id);
  CML_RETURN_IF_ERROR(d_.backend.RemoveLogs(job.meta.id));
  CML_RETURN_IF_ERROR(d_.backend.RemoveCheckpoint(job.meta.id.str()));
  store::Alongside with;
  std::function<void()> told;
  if (d_.tell) told = d_.tell(job, "deleted", with);
  CML_RETURN_IF_ERROR(d_.jobs.Erase(stored, d_.leader, with));
  if (told) told();
  return Ok{};
}

}  // namespace cml::control
