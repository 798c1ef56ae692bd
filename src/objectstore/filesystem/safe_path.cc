#include "objectstore/filesystem/safe_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/strings.h"

namespace cml::objectstore::filesystem {
namespace {

// mkdir and what must follow for the entry to be durable and the organisation's.
Opened MakeFolder(int parent, const std::string& name, const std::optional<Owner>& owner) {
  if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) return {Fd(), errno};
  Opened made = OpenFolderBelow(parent, name);
  if (!made.fd.valid()) return made;
  if (owner && ::fchown(made.fd.get(), owner->uid, owner->gid) != 0) return {Fd(), errno};
  if (::fsync(parent) != 0) return {Fd(), errno};
  return made;
}

}  // namespace

Opened OpenBelow(int root, std::string_view path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const std::string name(path.empty() ? "." : path);
  for (int tries = 0;;) {
    const long fd = ::syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
    if (fd >= 0) return {Fd(static_cast<int>(fd)), 0};
    // EAGAIN: something was renamed meanwhile, and the kernel could not be sure.
    if (errno == EINTR || (errno == EAGAIN && ++tries < 100)) continue;
    return {Fd(), errno};
  }
}

Opened OpenFolderBelow(int root, std::string_view path) {
  return OpenBelow(root, path, O_RDONLY | O_DIRECTORY);
}

SplitKey SplitLast(std::string_view key) {
  if (key.ends_with('/')) key.remove_suffix(1);
  const std::size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

Result<Fd> MakeFoldersBelow(int bucket, std::string_view path, const std::optional<Owner>& owner) {
  Opened at = OpenFolderBelow(bucket, path);
  if (at.fd.valid()) return std::move(at.fd);
  std::string walked;
  if (at.error == ENOENT || at.error == ENOTDIR || at.error == ELOOP) {  // part by part
    at = OpenFolderBelow(bucket, "");
    for (const std::string_view part : Split(path, '/')) {
      if (!at.fd.valid()) break;
      walked += (walked.empty() ? "" : "/") + std::string(part);
      Opened next = OpenFolderBelow(at.fd.get(), part);
      if (next.error == ENOENT) next = MakeFolder(at.fd.get(), std::string(part), owner);
      at = std::move(next);
    }
    if (at.fd.valid()) return std::move(at.fd);
  } else {
    walked = path;
  }
  if (at.error == ENOTDIR || at.error == ELOOP) {
    return Error(Code::kFailedPrecondition,
                 "no key can lie below " + Quote(walked) +
                     ": it is an object or a link itself, and files are no folders; take another "
                     "key, or remove it first");
  }
  return DiskError(at.error, "folder " + Quote(walked));
}

Error DiskError(int error_number, const std::string& what) {
  const auto make = [&](Code code, const std::string& text) {
    return Error(code, what + ": " + text)
        .While(std::generic_category().message(error_number) + " (errno " +
               std::to_string(error_number) + ")");
  };
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return make(Code::kUnavailable, "no space left in the object store");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return make(Code::kUnavailable, "too much is open just now; try again");
    case EIO:
      return make(Code::kDataLoss, "the disk cannot read or write it");
    case EACCES:
    case EPERM:
      return make(Code::kPermissionDenied, "its mode keeps the server out");
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENXIO:
      return make(Code::kNotFound, "does not exist");
    case ENAMETOOLONG:
      return make(Code::kInvalidArgument, "the name is too long");
    default:
      return make(Code::kInternal, "the object store failed");
  }
}

}  // namespace cml::objectstore::filesystem
