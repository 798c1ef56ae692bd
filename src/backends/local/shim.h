// backends/local/shim.h — the keeper of one replica: a process of its own that starts the sandbox,
// writes the log, enforces what the kernel does not, and says how it ended. It needs no server.
//
// Promises:
//   1. The command is started at most once in the life of a replica folder: before it starts, the
//      status file says so durably, and a shim that finds a status file starts nothing.
//   2. Two shims of one folder: the second leaves at once (lock).
//   3. When the final status can be read, no process of the replica is left.
//   4. When the shim dies in any way, the sandbox dies with it.
//   5. SIGTERM to the shim, or the file "stop" before it starts, ends the run: SIGTERM to the
//      job's process group, the plan's grace, then SIGKILL to everything.
//
// The process must have one thread and be a session of its own; the launcher sees to it.
#pragma once
#include <filesystem>

namespace cml::backends::local {

// Runs to the end of the replica. 0: done, or nothing to do; 1: the folder is no replica's, or
// nothing could be written there (nothing was started then).
int RunShim(const std::filesystem::path& replica_folder);

}  // namespace cml::backends::local
