// base/process.h — runs a program with an argument vector, never through a shell.
//
// Thread-safe. The child gets the given environment alone, standard input from /dev/null, and no
// descriptor of ours but the ones named here.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cml {

struct ProcessSpec {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH of `env` when it has no slash
  std::map<std::string, std::string> env;
  std::filesystem::path folder;   // working directory; empty: ours
};

struct ProcessResult {
  int exit_code = 0;   // of the program; 128 + signal when a signal ended it
  std::string output;  // standard output and error together, the last 1 MiB of it
};

// Runs to its end, or kills its whole process group at the deadline (kDeadlineExceeded) or when
// `stop` is requested (kUnavailable). `on_line` gets each line of output as it comes, without its
// newline; '\r' also ends a line, as progress bars use it.
Result<ProcessResult> RunProcess(const ProcessSpec& spec, std::chrono::milliseconds most,
                                 std::stop_token stop = {},
                                 const std::function<void(std::string_view)>& on_line = {});

// The full path of `name` in $PATH or /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin; empty: none.
std::filesystem::path FindProgram(std::string_view name);

}  // namespace cml
