// base/file.h — files with their errors as values, and writes that are whole or not there at all.
//
// Thread-safe (no state). Codes: kNotFound, kAlreadyExists, kPermissionDenied; kUnavailable for a
// full disk or quota ("no space left"), kInternal for the rest. Messages name the path.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace cml {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Close(); }

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  int Release() noexcept { return std::exchange(fd_, -1); }
  void Close() noexcept;

 private:
  int fd_ = -1;
};

// An Error for `errno` after `doing` on `path`.
Error ErrnoError(int error_number, std::string_view doing, const std::filesystem::path& path);

Result<Fd> OpenFile(const std::filesystem::path& path, int flags, mode_t mode = 0600);
// kInvalidArgument when the file is longer than `most` bytes.
Result<std::string> ReadFile(const std::filesystem::path& path, std::uint64_t most = 64ULL << 20);
Status WriteAll(int fd, std::string_view data, const std::filesystem::path& path);

// A temporary file beside `path`, written, synced, renamed over it, folder synced: after a power
// loss there is the old file or the new one.
enum class Sync { kDurable, kNotDurable };
Status WriteFileAtomically(const std::filesystem::path& path, std::string_view data,
                           mode_t mode = 0600, Sync sync = Sync::kDurable);

Status MakeFolders(const std::filesystem::path& path, mode_t mode = 0700);  // with its parents
Status RemoveTree(const std::filesystem::path& path);  // OK when it is not there; follows no link
Status SyncFolder(const std::filesystem::path& path);

// A new empty folder below the system's temporary folder, removed with the value.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cml
