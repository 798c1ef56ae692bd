// cli/usage.h — what other commands say of the budget. As thread-safe as the Rest it is given.
#pragma once
#include "cli/context.h"

namespace cml::cli {

// One line on stderr when the organisation's budget has reached one of its warnings; nothing when it
// has not, when there is none, or when the server does not say.
void SayBudget(Context& context, Rest& rest);

}  // namespace cml::cli
