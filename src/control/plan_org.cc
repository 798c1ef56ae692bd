#include "control/plan_org.h"

namespace cml::control {

OrgAction PlanOrg(const OrgView& v) {
  switch (v.org.state) {
    case OrgState::kActive:
    case OrgState::kSuspended: return OrgAction::kNothing;
    case OrgState::kDeleting: break;
  }
  if (v.jobs_to_delete > 0) return OrgAction::kDeleteJobs;
  if (v.jobs_leaving > 0) return OrgAction::kWaitForJobs;
  return v.objects_removed ? OrgAction::kErase : OrgAction::kRemoveObjects;
}

}  // namespace cml::control
