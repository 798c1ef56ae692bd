// control/judge_run.h — what the states of a run's replicas mean for its job (training environment,
// section 1). Pure.
//
//   The chief's (or master's) end is the job's end; without one the job has ended when everybody
//   has but parameter servers and evaluators. Evaluators get some time after a good end, to evaluate
//   the last checkpoint. Who still runs then is stopped, and how it ends does not matter.
//   A replica that has failed for good (after its restarts in place) ends the run.
#pragma once
#include <cstddef>
#include <optional>

#include "core/run.h"

namespace cml::control {

struct Judgement {
  // Of the job as a whole. The replicas are those observed.
  RunStatus run;
  // Whose end, or whose waiting, decides; an index of run.replicas.
  std::optional<std::size_t> speaker;
  // The end is decided, but somebody is still there: stop them first.
  enum class Rest { kGone, kToStop } rest = Rest::kGone;
};

// A run of one replica is judged as it was observed.
Judgement JudgeRun(const RunStatus& observed, std::chrono::seconds evaluator_wait, SysTime now);

}  // namespace cml::control
