#include "logs/run_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"

namespace cml::logs {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kChunk = 64 * 1024;

std::string Notice(std::uint64_t most) {
  return fmt::format("[the log ends here: it reached its limit of {}]\n", FormatBytes(most));
}

// What of the file may be the replica's own bytes, so that the notice still fits.
std::uint64_t Room(std::uint64_t most) {
  const std::uint64_t notice = Notice(most).size() + 1;  // and the newline before it
  return most > notice ? most - notice : 0;
}

Result<std::uint64_t> SizeOf(int fd, const fs::path& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return ErrnoError(errno, "look at", path);
  return static_cast<std::uint64_t>(st.st_size);
}

// Exactly the bytes [from, from + n), fewer where the file ends.
Result<std::string> ReadAt(int fd, std::uint64_t from, std::size_t n, const fs::path& path) {
  std::string out(n, '\0');
  std::size_t done = 0;
  while (done < n) {
    const ssize_t got = ::pread(fd, out.data() + done, n - done, static_cast<off_t>(from + done));
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, "read", path);
    }
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
  return out;
}

// An invalid Fd where there is no such log (yet).
Result<Fd> OpenIfThere(const fs::path& path) {
  auto fd = OpenFile(path, O_RDONLY);
  if (!fd.ok() && fd.error().code() == Code::kNotFound) return Fd();
  return fd;
}

Result<std::uint64_t> FindLastLines(int fd, std::uint64_t n, const fs::path& path) {
  CML_ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(fd, path));
  if (n == 0 || size == 0) return size;
  std::uint64_t end = size;
  std::uint64_t found = 0;
  bool last_byte = true;
  while (end > 0) {
    const std::uint64_t begin = end > kChunk ? end - kChunk : 0;
    CML_ASSIGN_OR_RETURN(const std::string chunk,
                         ReadAt(fd, begin, static_cast<std::size_t>(end - begin), path));
    for (std::size_t i = chunk.size(); i-- > 0;) {
      const bool closes_the_file = std::exchange(last_byte, false);
      if (chunk[i] == '\n' && !closes_the_file && ++found == n) return begin + i + 1;
    }
    end = begin;
  }
  return 0;
}

}  // namespace

LogWriter::LogWriter(Fd fd, fs::path path, std::uint64_t size, std::uint64_t most)
    : fd_(std::move(fd)), path_(std::move(path)), size_(size), most_(most) {}

Result<LogWriter> LogWriter::Open(const fs::path& path, std::uint64_t most_bytes) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW;
  auto fd = OpenFile(path, kFlags);
  if (!fd.ok() && fd.error().code() == Code::kNotFound) {
    CML_RETURN_IF_ERROR(MakeFolders(path.parent_path()));
    fd = OpenFile(path, kFlags);
  }
  if (!fd.ok()) return std::move(fd).error();
  CML_ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(fd.value().get(), path));
  return LogWriter(std::move(fd).value(), path, size, most_bytes);
}

Status LogWriter::Append(std::string_view bytes) {
  const std::uint64_t room = Room(most_);
  if (bytes.empty() || size_ > room) return Ok{};
  std::string last;
  if (bytes.size() > room - size_) {
    bytes = bytes.substr(0, static_cast<std::size_t>(room - size_));
    if (const auto newline = bytes.rfind('\n'); newline != std::string_view::npos) {
      bytes = bytes.substr(0, newline + 1);
    }
    last = (bytes.empty() ? size_ == 0 : bytes.back() == '\n') ? "" : "\n";
    last += Notice(most_);
  }
  for (const std::string_view part : {bytes, std::string_view(last)}) {
    if (auto written = WriteAll(fd_.get(), part, path_); !written.ok()) {
      // A full disk may have taken a part of it: go on from where the file really ends.
      if (auto size = SizeOf(fd_.get(), path_); size.ok()) size_ = size.value();
      return written;
    }
    size_ += part.size();
  }
  if (!last.empty()) size_ = most_;
  return Ok{};
}

Result<std::string> ReadLog(const fs::path& path, std::uint64_t most_bytes) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenIfThere(path));
  if (!fd.valid()) return std::string();
  CML_ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(fd.get(), path));
  const std::uint64_t n = std::min(size, most_bytes);
  return ReadAt(fd.get(), size - n, static_cast<std::size_t>(n), path);
}

Result<std::string> ReadLastLines(const fs::path& path, std::uint64_t n) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenIfThere(path));
  if (!fd.valid()) return std::string();
  CML_ASSIGN_OR_RETURN(const std::uint64_t from, FindLastLines(fd.get(), n, path));
  CML_ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(fd.get(), path));
  constexpr std::uint64_t kMost = 64ULL << 20;
  const std::uint64_t length = std::min(size - std::min(size, from), kMost);
  return ReadAt(fd.get(), size - length, static_cast<std::size_t>(length), path);
}

Result<std::string> LogFollower::Next(std::size_t most) {
  if (!fd_.valid()) {
    CML_ASSIGN_OR_RETURN(fd_, OpenIfThere(path_));
    if (!fd_.valid()) return std::string();
  }
  CML_ASSIGN_OR_RETURN(const std::uint64_t size, SizeOf(fd_.get(), path_));
  if (size <= offset_) return std::string();
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(size - offset_, most));
  CML_ASSIGN_OR_RETURN(std::string bytes, ReadAt(fd_.get(), offset_, n, path_));
  offset_ += bytes.size();
  return bytes;
}

Result<std::uint64_t> OffsetOfLastLines(const fs::path& path, std::uint64_t n) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenIfThere(path));
  if (!fd.valid()) return std::uint64_t{0};
  return FindLastLines(fd.get(), n, path);
}

}  // namespace cml::logs
