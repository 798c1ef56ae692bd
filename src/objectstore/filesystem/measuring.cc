// How many bytes an organisation holds: a walk over its folders that takes no lock and follows no
// link, as jobs write and rename in there meanwhile.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "objectstore/filesystem/filesystem_store.h"
#include "objectstore/filesystem/objects.h"
#include "objectstore/filesystem/safe_path.h"

namespace cml::objectstore {
namespace {

constexpr std::uint64_t kSmall = 1 << 20;  // whose blocks may lie elsewhere than in blocks

std::uint64_t BytesOf(const struct stat& st) {
  auto bytes = static_cast<std::uint64_t>(st.st_size);
  if (bytes > kSmall) bytes = std::min(bytes, static_cast<std::uint64_t>(st.st_blocks) * 512);
  return bytes / std::max<std::uint64_t>(1, st.st_nlink);
}

// Paths are opened from the root each time: no folder that is moved away meanwhile leads us out.
Result<std::uint64_t> BytesBelow(int root, const std::string& top) {
  std::uint64_t bytes = 0;
  std::vector<std::string> folders{top};
  while (!folders.empty()) {
    const std::string path = std::move(folders.back());
    folders.pop_back();
    auto opened = filesystem::OpenFolderBelow(root, path);
    if (!opened.fd.valid()) {
      const bool gone = opened.error == ENOENT || opened.error == ENOTDIR || opened.error == ELOOP ||
                        opened.error == ENAMETOOLONG || opened.error == EXDEV;
      if (gone) continue;
      return filesystem::DiskError(opened.error, "buckets");
    }
    const int fd = opened.fd.Release();
    DIR* folder = ::fdopendir(fd);
    if (folder == nullptr) {
      ::close(fd);
      return filesystem::DiskError(ENOMEM, "buckets");
    }
    while (const dirent* entry = ::readdir(folder)) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat st {};
      if (::fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
      if (S_ISDIR(st.st_mode)) folders.push_back(path.empty() ? std::string(name) : path + "/" + std::string(name));
      if (S_ISREG(st.st_mode)) bytes += BytesOf(st);
    }
    ::closedir(folder);
  }
  return bytes;
}

}  // namespace

Result<std::uint64_t> FilesystemStore::Size(const OrgId& org) {
  CML_RETURN_IF_ERROR(filesystem::CheckOrg(org));
  std::uint64_t bytes = 0;
  for (const std::string& top : {org.str(), ".uploads/" + org.str()}) {
    CML_ASSIGN_OR_RETURN(const std::uint64_t more, BytesBelow(shared_->root.get(), top));
    bytes += more;
  }
  return bytes;
}

}  // namespace cml::objectstore
