// service/budgets.h — what organisations may spend in a month, and what happens when they do.
//
// Thread-safe. What an organisation has spent is looked up by Tick and kept; the checks read what is
// kept and cost nothing. A warning is given once for each month and percentage, over restarts too; at
// 100 percent one is given whether it was asked for or not.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/usage_report.h"
#include "service/caller.h"
#include "service/usage.h"

namespace cml::service {

class Budgets {
 public:
  struct Deps {
    store::Store& store;
    store::TrainJobRows& jobs;
    Usage& usage;
    const Clock& clock;
    std::function<std::string(const OrgId&)> name_of;
    std::function<void(const ResourceId&)> changed;  // wakes a job's controller
    // A warning that is given for the first time. What it adds is committed along with the note
    // that it was given; what it returns is called afterwards. Either may be empty.
    std::function<std::function<void()>(const BudgetState&, const BudgetNotice&, store::Alongside&)> warned;
  };
  explicit Budgets(Deps deps) : d_(std::move(deps)) {}

  Result<BudgetState> Read(const OrgId& org);  // kNotFound: it has none
  Result<BudgetState> Put(const Caller& caller, Budget budget);
  Status Erase(const Caller& caller);

  // May something of the organisation start? kQuotaExceeded with a sentence.
  Status MayStart(const OrgId& org) const;
  std::vector<BudgetState> All() const;

  // Looks at every budget: warns, and stops what must not run any more.
  Status Tick();

 private:
  Result<std::vector<BudgetState>> Load();
  Status Look(BudgetState& state);
  Status Warn(BudgetState& state);
  Status StopJobs(const BudgetState& state);
  Status StopOne(const ResourceId& id, const BudgetState& state);

  Deps d_;
  mutable std::mutex mu_;
  std::map<OrgId, BudgetState> known_;  // guarded by mu_
};

}  // namespace cml::service
