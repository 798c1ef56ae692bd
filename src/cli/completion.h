// cli/completion.h — what could come next on a command line that is being typed. Pure but for the
// function that looks names up.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace cml::cli {

// Names of a kind of argument (Arguments::kind: "job", "runtime", "context").
using NamesOfKind = std::function<std::vector<std::string>(std::string_view kind)>;

// `words`: everything after the program's name; the last one is being typed and may be empty.
// Only candidates that begin with it; none: let the shell offer files.
std::vector<std::string> Candidates(const std::vector<Command>& commands,
                                    const std::vector<std::string>& words,
                                    const NamesOfKind& names);

}  // namespace cml::cli
