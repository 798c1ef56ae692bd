// backends/local/seccomp_filter.h — the system calls that a job may not make, as a BPF program for
// bubblewrap.
//
// Everything that programs of machine learning use stays: the filter takes away what lets a process
// change mounts, namespaces, modules, keys or the kernel itself, and what looks into others.
// Thread-safe. kInternal where the kernel's or the library's filter cannot be built.
#pragma once
#include <filesystem>

#include "base/result.h"

namespace cml::backends::local {

// Writes the program of this machine's architecture.
Status WriteSeccompFilter(const std::filesystem::path& file);

}  // namespace cml::backends::local
