// core/identity_rules.h — which names, addresses and texts organisations, users and keys may have.
// Pure. kInvalidArgument; the message names the field, the value, the rule and what to type instead.
#pragma once
#include "base/result.h"
#include "core/identity.h"

namespace cml {

// name, mail, description, project, reason.
Status Validate(const Org& org);
// name and mail.
Status Validate(const User& user);
// label and user; the role's word is checked where it is read.
Status Validate(const ApiKey& key);

}  // namespace cml
