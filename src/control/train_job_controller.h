// control/train_job_controller.h — reads, plans, acts once. The loop around it is control/runner.h.
//
// Thread-safe for different jobs; one job is stepped by one thread at a time. Keeps nothing: any
// error means "step again later".
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "backends/backend.h"
#include "control/admission_desk.h"
#include "control/plan_train_job.h"
#include "control/port_book.h"
#include "control/runner.h"
#include "store/train_jobs.h"

namespace cml::control {

class TrainJobController {
 public:
  struct Deps {
    store::TrainJobRows& jobs;
    backends::Backend& backend;
    AdmissionDesk& desk;
    PortBook& ports;
    const Clock& clock;
    std::string package_installer;  // the program that installs packages inside a job
    store::LeaderToken leader{};
    // What enable_rank gives to a job of the organisation; empty: 1.
    std::function<std::int64_t(const OrgId&)> rank_of{};
    // Why no job of the organisation may start now, in one sentence; empty: it may.
    std::function<std::string(const OrgId&)> held_back{};
    // Tells others of a job that has come into a state: adds to what is committed with the change,
    // and returns what is to be called when it was. May be empty, and may return nothing.
    std::function<std::function<void()>(const TrainJob& job, std::string_view event, store::Alongside& with)> tell{};
  };
  explicit TrainJobController(Deps deps) : d_(std::move(deps)) {}

  Result<Next> Step(const ResourceId& id);

  // Once at start, before the first Step: brings what runs into the desk's book, and removes runs
  // of the backend that no job knows. Returns the jobs to step.
  Result<std::vector<ResourceId>> Recover();

 private:
  using Stored = store::Stored<TrainJob>;
  Result<Next> Act(const Stored& stored, const TrainJobAction& action);
  Result<Next> Ensure(const Stored& stored);
  Status Save(const Stored& stored, const Record& record);
  Status EraseAll(const Stored& stored);
  void JoinQueue(const TrainJob& job);
  void AskDesk(TrainJobView& view);
  void Leave(const ResourceId& id);
  void NameGpus(Placement& placement) const;

  Deps d_;
  std::map<std::pair<std::string, int>, std::string> gpu_models_;  // by node and index; from Recover
};

}  // namespace cml::control
