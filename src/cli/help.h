// cli/help.h — help texts made from the table of commands. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace cml::cli {

std::string OverviewHelp(const std::vector<Command>& commands);
// Commands below "jobs"; empty: there is no such group.
std::string GroupHelp(const std::vector<Command>& commands, std::string_view group);
std::string CommandHelp(const Command& command);
// "-n, --job_name NAME"
std::string OptionUsage(const Option& option);

// For a first word that is no command: what was meant?
std::string UnknownCommand(const std::vector<Command>& commands,
                           const std::vector<std::string>& args);

}  // namespace cml::cli
