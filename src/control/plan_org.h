// control/plan_org.h — decides the ONE next action for an organisation that is being deleted; touches
// nothing. Pure: same view, same answer.
//
// Order: its jobs, for they use all the rest; its objects, for they would be nobody's; itself, with
// keys, users, quota and documents, in one transaction. Each can be done again, so a crash anywhere
// is repaired by planning again. What was audited and used stays.
#pragma once
#include <cstddef>

#include "core/identity.h"

namespace cml::control {

struct OrgView {
  const Org& org;
  std::size_t jobs_to_delete = 0;  // nobody has asked yet that they go
  std::size_t jobs_leaving = 0;    // on their way
  bool objects_removed = false;    // in this life of the server
};

enum class OrgAction { kNothing, kDeleteJobs, kWaitForJobs, kRemoveObjects, kErase };

OrgAction PlanOrg(const OrgView& view);

}  // namespace cml::control
