#include "control/org_controller.h"

#include <algorithm>

#include "base/log.h"

namespace cml::control {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLookAgain = 200ms;  // for jobs that are leaving
constexpr std::size_t kPage = 1000;

}  // namespace

Result<std::vector<OrgId>> OrgController::Recover() {
  CML_ASSIGN_OR_RETURN(const auto all, d_.store.ListOrgs());
  std::vector<OrgId> leaving;
  for (const Org& org : all) {
    if (org.state == OrgState::kDeleting) leaving.push_back(org.id);
  }
  return leaving;
}

Result<std::vector<OrgController::Stored>> OrgController::JobsOf(const OrgId& org) {
  store::ListQuery query;
  query.org = org;
  query.most = kPage;
  return d_.jobs.List(query);  // those behind the page come when these have gone
}

Status OrgController::DeleteJobs(const std::vector<Stored>& jobs) {
  for (const Stored& stored : jobs) {
    if (stored.value.wish.deleted) continue;
    Stored next = stored;
    next.value.wish.deleted = true;
    next.value.meta.updated = d_.clock.Now();
    const auto saved = d_.jobs.SaveWish(next);
    // Changed in between, or gone: the next look tells.
    if (!saved.ok() && saved.error().code() != Code::kConflict && saved.error().code() != Code::kNotFound) {
      return saved.error();
    }
    d_.job_changed(stored.value.meta.id);
  }
  return Ok{};
}

Result<Next> OrgController::Step(const OrgId& id) {
  auto got = d_.store.GetOrg(id);
  if (!got.ok() && got.error().code() == Code::kNotFound) return Next::Done();
  CML_ASSIGN_OR_RETURN(const Org org, std::move(got));
  std::vector<Stored> jobs;
  OrgView view{org};
  if (org.state == OrgState::kDeleting) {
    CML_ASSIGN_OR_RETURN(jobs, JobsOf(id));
    view.jobs_leaving = static_cast<std::size_t>(
        std::ranges::count_if(jobs, [](const Stored& job) { return job.value.wish.deleted; }));
    view.jobs_to_delete = jobs.size() - view.jobs_leaving;
    const std::scoped_lock lock(mu_);
    view.objects_removed = emptied_.contains(id);
  }
  switch (PlanOrg(view)) {
    case OrgAction::kNothing: return Next::Done();
    case OrgAction::kDeleteJobs: CML_RETURN_IF_ERROR(DeleteJobs(jobs)); return Next::Again();
    case OrgAction::kWaitForJobs: return Next::Later(kLookAgain);
    case OrgAction::kRemoveObjects: {
      CML_RETURN_IF_ERROR(d_.remove_objects(id));
      const std::scoped_lock lock(mu_);
      emptied_.insert(id);
      return Next::Again();
    }
    case OrgAction::kErase: {
      const Status erased = d_.erase(id);
      if (!erased.ok() && erased.error().code() == Code::kFailedPrecondition) return Next::Later(kLookAgain);
      CML_RETURN_IF_ERROR(erased);
      LogInfo("an organisation was deleted", {{"org", id.str()}, {"name", org.name}});
      const std::scoped_lock lock(mu_);
      emptied_.erase(id);
      return Next::Done();
    }
  }
  return Next::Done();
}

}  // namespace cml::control
