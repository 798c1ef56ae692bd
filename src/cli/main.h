// cli/main.h — the command line: every command of `cloudml` but those that are servers themselves.
//
// Talks to a platform by REST alone. One thread, blocking; returns when the command is done.
#pragma once
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/terminal.h"

namespace cml::cli {

// `args`: what was typed after the program's name; `group`: a first word that the program's name
// stands for ("admin"). Returns the exit code (cli/exit_code.h).
int RunCli(std::vector<std::string> args, Terminal& io, const std::string& group = "");

// The same with the process's arguments and its own terminal.
int Main(int argc, char** argv);

// A command that the program has besides ours and runs before RunCli is asked ("server"): shown in
// the help and offered by completion.
struct OtherCommand {
  std::string path;
  std::string summary;
};
const std::vector<OtherCommand>& OtherCommands();

// All commands, in the order of the help.
const std::vector<Command>& AllCommands();

}  // namespace cml::cli
