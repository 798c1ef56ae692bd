// base/archive.h — the packages that users hand us: looked at, unpacked and made, without
// trusting a byte of them (libarchive).
//
// Thread-safe (no state). Read are .tar, .tar.gz/.tgz and .zip/.whl, told apart by their content.
// kInvalidArgument: the archive breaks one of the rules below; the message names the entry and the
// rule. kNotFound, kUnavailable (no space left) and the other codes of base/file.h for the rest.
//
// Rules for every entry:
//   1. Its name is relative, without "..", backslash or control character, valid UTF-8.
//   2. It is a file, a folder, a symbolic or a hard link: no device, no FIFO, nothing encrypted.
//   3. A symbolic link is relative and leads to a place inside; ".." may only be at its beginning.
//      A hard link names a file that came before it.
//   4. No name comes twice (folders may), and none lies below a file or a link.
//   5. All together are within the limits, counted on what comes out, not on what headers say.
// Setuid, setgid and sticky bits, owners, times and extended attributes are dropped: files become
// 0644, or 0755 where anyone could execute them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace cml {

struct ArchiveLimits {
  std::uint64_t most_entries = 100'000;
  std::uint64_t most_bytes = 4ULL << 30;  // unpacked
  // Unpacked bytes per packed byte, looked at from 16 MiB unpacked on: real packages stay far
  // below, a bomb is at about 1000.
  std::uint64_t most_ratio = 250;
};

struct PackageInfo {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;             // unpacked
  std::vector<std::string> top_names;  // of the first level, sorted
};

// Reads the whole archive and keeps nothing of it.
Result<PackageInfo> InspectPackage(const std::filesystem::path& archive,
                                   const ArchiveLimits& limits = {});

// Unpacks into `folder`, which is made where it does not exist and must be empty where it does
// (kFailedPrecondition). After an error what was unpacked is removed again.
Result<PackageInfo> ExtractSafely(const std::filesystem::path& archive,
                                  const std::filesystem::path& folder,
                                  const ArchiveLimits& limits = {});

// Packs `folder` as the one top entry of the .tar.gz `out`, which appears when it is complete. The
// same files give the same bytes: sorted, no owners, one fixed time, modes 0644 and 0755. Left
// out: .git, .venv, __pycache__, *.pyc, and `out` itself. kInvalidArgument: a link out of the
// folder, or something that is neither file, folder nor link.
Result<PackageInfo> PackFolder(const std::filesystem::path& folder,
                               const std::filesystem::path& out);

}  // namespace cml
