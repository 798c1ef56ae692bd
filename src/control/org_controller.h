// control/org_controller.h — takes the next step of the deletion of an organisation. The loop around
// it is control/runner.h.
//
// Thread-safe for different organisations; one is stepped by one thread at a time. Keeps nothing
// that matters: any error means "step again later", and a new start looks again (Recover).
#pragma once
#include <functional>
#include <mutex>
#include <set>
#include <vector>

#include "control/plan_org.h"
#include "control/runner.h"
#include "store/train_jobs.h"

namespace cml::control {

class OrgController {
 public:
  struct Deps {
    store::Store& store;
    store::TrainJobRows& jobs;
    const Clock& clock;
    std::function<Status(const OrgId&)> remove_objects;  // all buckets, objects and uploads; idempotent
    std::function<Status(const OrgId&)> erase;           // the organisation itself; and forgets it
    std::function<void(const ResourceId&)> job_changed;  // wakes the jobs' controller
  };
  explicit OrgController(Deps deps) : d_(std::move(deps)) {}

  Result<Next> Step(const OrgId& org);

  // Once at start: the organisations to step.
  Result<std::vector<OrgId>> Recover();

 private:
  using Stored = store::Stored<TrainJob>;
  Result<std::vector<Stored>> JobsOf(const OrgId& org);
  Status DeleteJobs(const std::vector<Stored>& jobs);

  Deps d_;
  std::mutex mu_;
  std::set<OrgId> emptied_;  // guarded by mu_; whose objects were removed
};

}  // namespace cml::control
