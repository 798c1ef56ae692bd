#include "backends/local/replica_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "backends/local/layout.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

struct flock WholeFile() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool IsLocked(int fd) {
  struct flock lock = WholeFile();
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

Fd TakeReplicaLock(const fs::path& replica_folder) {
  const fs::path path = replica_folder / kLockFile;
  auto file = OpenFile(path, O_RDWR | O_CREAT);
  if (!file.ok()) return Fd();
  const int fd = file.value().get();
  struct flock lock = WholeFile();
  struct stat mine {
  }, there{};
  if (::fcntl(fd, F_OFD_SETLK, &lock) != 0 || ::fstat(fd, &mine) != 0 ||
      ::stat(path.c_str(), &there) != 0 || mine.st_ino != there.st_ino) {
    return Fd();
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()) ||
      ::ftruncate(fd, static_cast<off_t>(pid.size())) != 0) {
    return Fd();
  }
  return std::move(file).value();
}

bool ReplicaIsLocked(const fs::path& replica_folder) {
  const auto file = OpenFile(replica_folder / kLockFile, O_RDWR);
  return file.ok() && IsLocked(file.value().get());
}

bool SignalShim(const fs::path& replica_folder, int signal_number) {
  const fs::path path = replica_folder / kLockFile;
  const auto file = OpenFile(path, O_RDWR);
  const auto text = ReadFile(path, 64);
  if (!file.ok() || !text.ok()) return false;
  const auto pid = ParseInt(Trim(text.value()));
  if (!pid || *pid <= 0 || *pid == ::getpid()) return false;
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(*pid), 0)));
  // The lock is asked after the process was pinned: its holder is this very process then, and not
  // another that was given the number of a shim that has ended.
  if (!process.valid() || !IsLocked(file.value().get())) return false;
  return ::syscall(SYS_pidfd_send_signal, process.get(), signal_number, nullptr, 0) == 0;
}

}  // namespace cml::backends::local
