// backends/local/replica_lock.h — who may touch a replica: its living shim, or the server while it
// declares the replica lost or removes it. The kernel takes the lock from a process that dies.
//
// Thread-safe; two holders exclude each other also within one process. Asking never takes the lock,
// so that a question cannot keep a shim from starting.
#pragma once
#include <sys/types.h>

#include <filesystem>

#include "base/file.h"

namespace cml::backends::local {

// Invalid when somebody has it, or there is no such folder (any more).
Fd TakeReplicaLock(const std::filesystem::path& replica_folder);
bool ReplicaIsLocked(const std::filesystem::path& replica_folder);
// Sends the signal to the shim that has the lock; false when there is none.
bool SignalShim(const std::filesystem::path& replica_folder, int signal_number);

}  // namespace cml::backends::local
