#include "backends/local/disk_usage.h"

#include <fts.h>
#include <sys/stat.h>

#include <string>

namespace cml::backends::local {

std::int64_t DiskUsage(const std::vector<std::filesystem::path>& folders, std::int64_t enough) {
  std::vector<std::string> names;
  for (const auto& folder : folders) names.push_back(folder.string());
  std::vector<char*> argv;
  for (auto& name : names) argv.push_back(name.data());
  argv.push_back(nullptr);
  // NOCHDIR would bound the depth by the longest path; the shim's working directory is its own.
  FTS* walk = ::fts_open(argv.data(), FTS_PHYSICAL | FTS_XDEV, nullptr);
  if (walk == nullptr) return 0;
  std::int64_t bytes = 0;
  while (const FTSENT* entry = ::fts_read(walk)) {
    if (entry->fts_info == FTS_DP || entry->fts_statp == nullptr) continue;
    if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) continue;
    const auto links = static_cast<std::int64_t>(entry->fts_statp->st_nlink);
    const std::int64_t size = static_cast<std::int64_t>(entry->fts_statp->st_blocks) * 512;
    // Names of one file share its bytes.
    bytes += entry->fts_info == FTS_D || links < 2 ? size : size / links;
    if (bytes >= enough) break;
  }
  ::fts_close(walk);
  return bytes;
}

}  // namespace cml::backends::local
