#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/random.h"

namespace cml {
namespace fs = std::filesystem;
namespace {

Code CodeOf(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return Code::kNotFound;
    case EEXIST: return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS: return Code::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE: return Code::kUnavailable;
  }
  return Code::kInternal;
}

}  // namespace

Fd& Fd::operator=(Fd&& o) noexcept {
  if (this != &o) {
    Close();
    fd_ = std::exchange(o.fd_, -1);
  }
  return *this;
}

void Fd::Close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Error ErrnoError(int error_number, std::string_view doing, const fs::path& path) {
  return Error(CodeOf(error_number), fmt::format("cannot {} {}: {}", doing, path.string(),
                                                 std::generic_category().message(error_number)));
}

Result<Fd> OpenFile(const fs::path& path, int flags, mode_t mode) {
  while (true) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return Fd(fd);
    if (errno != EINTR) return ErrnoError(errno, "open", path);
  }
}

Result<std::string> ReadFile(const fs::path& path, std::uint64_t most) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(path, O_RDONLY));
  std::string out;
  char buffer[64 * 1024];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n == 0) return out;
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, "read", path);
    }
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > most) {
      return Error(Code::kInvalidArgument,
                   fmt::format("{} is longer than {} bytes", path.string(), most));
    }
  }
}

Status WriteAll(int fd, std::string_view data, const fs::path& path) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, "write", path);
    }
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return Ok{};
}

Status WriteFileAtomically(const fs::path& path, std::string_view data, mode_t mode, Sync sync) {
  const fs::path temporary = path.parent_path() / (".tmp-" + RandomToken(8));
  const auto give_up = [&temporary](Error e) {
    ::unlink(temporary.c_str());
    return e;
  };
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
  if (auto written = WriteAll(fd.get(), data, path); !written.ok()) {
    return give_up(std::move(written).error());
  }
  if (::fchmod(fd.get(), mode) != 0) return give_up(ErrnoError(errno, "change the mode of", path));
  if (sync == Sync::kDurable && ::fdatasync(fd.get()) != 0) {
    return give_up(ErrnoError(errno, "sync", path));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return give_up(ErrnoError(errno, "rename to", path));
  }
  return sync == Sync::kDurable ? SyncFolder(path.parent_path()) : Status(Ok{});
}

Status MakeFolders(const fs::path& path, mode_t mode) {
  if (path.empty()) return Ok{};
  if (::mkdir(path.c_str(), mode) == 0) return Ok{};
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    CML_RETURN_IF_ERROR(MakeFolders(path.parent_path(), mode));
    if (::mkdir(path.c_str(), mode) == 0) return Ok{};
  }
  const int error_number = errno;
  struct stat st{};
  if (error_number == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return Ok{};
  return ErrnoError(error_number, "make folder", path);
}

Status RemoveTree(const fs::path& path) {
  std::error_code ec;
  fs::remove_all(path, ec);
  if (ec) return ErrnoError(ec.value(), "remove", path);
  return Ok{};
}

Status SyncFolder(const fs::path& path) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, "sync", path);
  return Ok{};
}

TempFolder::TempFolder() {
  std::error_code ec;
  path_ = fs::temp_directory_path(ec) / ("cloudml-" + RandomToken(12));
  fs::create_directories(path_, ec);
}

TempFolder::~TempFolder() { (void)RemoveTree(path_); }

}  // namespace cml
