#include "backends/local/recycling.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "backends/local/layout.h"
#include "base/file.h"
#include "base/random.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

constexpr int kMostFiles = 32;    // that are worth deleting one by one
constexpr int kMostFolders = 64;  // in one pool

// False when there is a folder in it, or too much.
bool Empty(const fs::path& folder) {
  std::error_code ec;
  int files = 0;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    if (++files > kMostFiles || ::unlink(it->path().c_str()) != 0) return false;
  }
  return !ec;
}

int Count(const fs::path& folder) {
  std::error_code ec;
  int entries = 0;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) ++entries;
  return entries;
}

bool Absent(const fs::path& file) { return ::unlink(file.c_str()) == 0 || errno == ENOENT; }

}  // namespace

Status OverwriteFile(const fs::path& path, std::string_view text, mode_t mode) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(path, O_WRONLY | O_CREAT, mode));
  CML_RETURN_IF_ERROR(WriteAll(fd.get(), text, path));
  // Cut behind, not before: a file that was cut to nothing is written out when it is closed.
  if (::ftruncate(fd.get(), static_cast<off_t>(text.size())) != 0) {
    return ErrnoError(errno, "write", path);
  }
  if (::fchmod(fd.get(), mode) != 0) return ErrnoError(errno, "change the mode of", path);
  return Ok{};
}

fs::path KeepUsedFolder(const fs::path& run, const fs::path& pool, const std::string& replica) {
  if (::access((run / "packages").c_str(), F_OK) == 0) return {};
  const fs::path inner = run / replica;
  for (const char* folder : {"work", "layer", "tmp", "status"}) {
    if (!Empty(inner / folder)) return {};
  }
  if (!Absent(inner / kStopFile) || !Absent(inner / kUsageFile)) return {};
  if (Count(pool) >= kMostFolders || !MakeFolders(pool).ok()) return {};
  std::string hidden(1, '.');
  hidden += RandomToken(10);
  const fs::path kept = pool / hidden;
  if (::rename(run.c_str(), kept.c_str()) != 0) return {};
  (void)::rename((kept / replica).c_str(), (kept / kUsedReplica).c_str());
  return kept;
}

void OfferUsedFolder(const fs::path& kept) {
  (void)::rename(kept.c_str(), (kept.parent_path() / kept.filename().string().substr(1)).c_str());
}

bool TakeUsedFolder(const fs::path& pool, const fs::path& to, const std::string& replica) {
  std::error_code ec;
  for (fs::directory_iterator it(pool, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->path().filename().string().starts_with('.')) continue;
    if (::rename(it->path().c_str(), to.c_str()) != 0) continue;  // somebody was faster
    return ::rename((to / kUsedReplica).c_str(), (to / replica).c_str()) == 0;
  }
  return false;
}

}  // namespace cml::backends::local
