// logs/run_log.h — the append-only log of one replica: the writer in the shim, readers and
// followers in the server. A log outlives its run and its backend.
//
// The file holds the replica's bytes as they came, nothing else. Writers append whole buffers;
// readers may read while it grows. A log stops growing at its cap with one last line that says so.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace cml::logs {

class LogWriter {
 public:
  // Opens for append, made with its folders (mode 0600) where it is not there.
  static Result<LogWriter> Open(const std::filesystem::path& path, std::uint64_t most_bytes);
  Status Append(std::string_view bytes);  // past the cap: dropped, OK

 private:
  LogWriter(Fd fd, std::filesystem::path path, std::uint64_t size, std::uint64_t most);
  Fd fd_;
  std::filesystem::path path_;
  std::uint64_t size_, most_;
};

// The whole log, at most the last `most_bytes` of it. A log that is not there yet reads as empty.
Result<std::string> ReadLog(const std::filesystem::path& path, std::uint64_t most_bytes = 64ULL << 20);
// Exactly the last n lines (the final newline is no line of its own); fewer when there are fewer.
Result<std::string> ReadLastLines(const std::filesystem::path& path, std::uint64_t n);

// Reads a growing file from a position on.
class LogFollower {
 public:
  explicit LogFollower(std::filesystem::path path, std::uint64_t offset = 0)
      : path_(std::move(path)), offset_(offset) {}
  // The bytes that came since, at most `most`; empty: nothing new.
  Result<std::string> Next(std::size_t most = 256 * 1024);
  std::uint64_t offset() const { return offset_; }

 private:
  std::filesystem::path path_;
  Fd fd_;
  std::uint64_t offset_;
};
// Where a follower that starts with the last n lines begins.
Result<std::uint64_t> OffsetOfLastLines(const std::filesystem::path& path, std::uint64_t n);

}  // namespace cml::logs
