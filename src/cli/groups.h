// cli/groups.h — the rows that each file of commands adds to the table.
#pragma once
#include <vector>

#include "cli/command.h"

namespace cml::cli {

std::vector<Command> TrainJobCommands();    // train_jobs.cc
std::vector<Command> SubmitCommands();      // train_job_submit.cc
std::vector<Command> FrameworkCommands();   // frameworks.cc
std::vector<Command> QuotaCommands();       // quota.cc
std::vector<Command> NodeCommands();        // nodes.cc
std::vector<Command> RuntimeCommands();     // runtimes.cc
std::vector<Command> UsageCommands();       // usage.cc
std::vector<Command> FileCommands();        // fs.cc
std::vector<Command> ConfigCommands();      // config_commands.cc
std::vector<Command> AuditCommands();       // audit.cc
std::vector<Command> WebhookCommands();     // webhooks.cc
std::vector<Command> OrgCommands();         // orgs.cc
std::vector<Command> UserCommands();        // users.cc
std::vector<Command> KeyCommands();         // keys.cc
std::vector<Command> CompletionCommands();  // completion.cc

// The administrator's grammar, made of those of `all` that it knows (admin.cc).
std::vector<Command> AdminCommands(const std::vector<Command>& all);

}  // namespace cml::cli
