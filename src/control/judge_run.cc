#include "control/judge_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/train_job.h"

namespace cml::control {
namespace {

using Index = std::optional<std::size_t>;

bool Ended(const ReplicaStatus& r) { return r.state == RunState::kSucceeded || r.state == RunState::kFailed; }
bool Serves(const ReplicaStatus& r) { return r.role == "ps"; }
bool Evaluates(const ReplicaStatus& r) { return r.role == "evaluator"; }

bool IsPermanent(const ReplicaStatus& r) {
  return r.reason == "PackageError" || r.reason == "EnvironmentError";
}

// First what no retry can mend, then what failed first. Who was stopped failed on our behalf.
Index WhoFailed(const std::vector<ReplicaStatus>& replicas) {
  Index worst;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const ReplicaStatus& r = replicas[i];
    if (r.state != RunState::kFailed || r.reason == "Stopped") continue;
    if (!worst) {
      worst = i;
      continue;
    }
    const ReplicaStatus& w = replicas[*worst];
    if (IsPermanent(r) != IsPermanent(w) ? IsPermanent(r) : r.ended < w.ended) worst = i;
  }
  return worst;
}

template <class Pred>
Index FirstThat(const std::vector<ReplicaStatus>& replicas, Pred pred) {
  const auto it = std::find_if(replicas.begin(), replicas.end(), pred);
  if (it == replicas.end()) return std::nullopt;
  return static_cast<std::size_t>(it - replicas.begin());
}

// The replica with whose good end the job has ended well.
Index WhoCompleted(const std::vector<ReplicaStatus>& replicas) {
  if (const Index chief = FirstThat(replicas, [](const ReplicaStatus& r) { return IsChief(r.role); })) {
    return replicas[*chief].state == RunState::kSucceeded ? chief : std::nullopt;
  }
  Index last;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const ReplicaStatus& r = replicas[i];
    if (Serves(r) || Evaluates(r)) continue;
    if (r.state != RunState::kSucceeded) return std::nullopt;
    if (!last || r.ended > replicas[*last].ended) last = i;
  }
  return last;
}

Judgement Decided(const RunStatus& observed, RunState state, Index speaker) {
  Judgement j{observed, speaker};
  j.run.state = state;
  j.run.reason.clear();
  j.run.message.clear();
  j.run.permanent = false;
  if (speaker) {
    const ReplicaStatus& r = observed.replicas[*speaker];
    j.run.reason = r.reason;
    j.run.message = r.message.empty() ? r.message : ReplicaNameOf(r) + ": " + r.message;
    j.run.permanent = state == RunState::kFailed && IsPermanent(r);
  }
  const bool over = state == RunState::kSucceeded || state == RunState::kFailed;
  const bool all = std::all_of(observed.replicas.begin(), observed.replicas.end(), Ended);
  if (over && !all) j.rest = Judgement::Rest::kToStop;
  return j;
}

Judgement Pending(const RunStatus& observed, std::size_t waiting) {
  Judgement j = Decided(observed, RunState::kPending, waiting);
  const ReplicaStatus& r = observed.replicas[waiting];
  const auto up = std::count_if(observed.replicas.begin(), observed.replicas.end(),
                                [](const ReplicaStatus& s) { return s.state == RunState::kRunning; });
  j.run.message = r.message;
  if (up > 0) {
    j.run.message = fmt::format("{} of {} tasks run; {} is getting ready{}", up, observed.replicas.size(),
                                ReplicaNameOf(r), r.message.empty() ? "" : ": " + r.message);
  }
  return j;
}

}  // namespace

Judgement JudgeRun(const RunStatus& observed, std::chrono::seconds evaluator_wait, SysTime now) {
  const auto& replicas = observed.replicas;
  if (replicas.size() < 2) {
    return {observed, replicas.empty() ? Index{} : Index{0}};
  }
  if (const Index done = WhoCompleted(replicas)) {
    const Index evaluator =
        FirstThat(replicas, [](const ReplicaStatus& r) { return Evaluates(r) && !Ended(r); });
    if (evaluator && now - replicas[*done].ended < evaluator_wait) {
      Judgement j = Decided(observed, RunState::kRunning, evaluator);
      j.run.message = fmt::format("training has ended; {} evaluates the result", ReplicaNameOf(replicas[*evaluator]));
      return j;
    }
    return Decided(observed, RunState::kSucceeded, done);
  }
  if (const Index failed = WhoFailed(replicas)) return Decided(observed, RunState::kFailed, failed);
  // Nobody failed, and yet the decisive ones will not go on: the run was stopped.
  if (std::all_of(replicas.begin(), replicas.end(), Ended)) {
    const Index stopped =
        FirstThat(replicas, [](const ReplicaStatus& r) { return r.state == RunState::kFailed; });
    return Decided(observed, RunState::kFailed, stopped);
  }
  const Index waiting =
      FirstThat(replicas, [](const ReplicaStatus& r) { return r.state == RunState::kPending; });
  if (waiting) return Pending(observed, *waiting);
  return Decided(observed, RunState::kRunning, std::nullopt);
}

}  // namespace cml::control
