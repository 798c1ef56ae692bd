// cli/quota.h — what commands that run into a quota say about it.
#pragma once
#include "base/result.h"
#include "cli/rest.h"

namespace cml::cli {

// `error` as it is; if it is a refusal because of the quota, with a line on what holds it now.
Error WithHolders(Rest& rest, const Error& error);

}  // namespace cml::cli
