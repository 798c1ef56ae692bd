#include "objectstore/filesystem/lister.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <queue>

#include "base/strings.h"
#include "objectstore/names.h"

namespace cml::objectstore::filesystem {
namespace {

constexpr std::size_t kMostKey = 1024;
constexpr std::size_t kMostAtOnce = 1000;

enum class EntryType { kFile, kFolder, kOther };

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// Calls `see(name, type)` for each entry until it returns false. False: the folder is not there or
// cannot be read; `error` has the reason.
template <class See>
bool ForEachEntry(int bucket, const std::string& path, int& error, See see) {
  Opened opened = OpenFolderBelow(bucket, path);
  error = opened.error;
  if (!opened.fd.valid()) return false;
  const std::unique_ptr<DIR, CloseFolder> folder(::fdopendir(opened.fd.get()));
  if (folder == nullptr) {
    error = errno;
    return false;
  }
  const int fd = opened.fd.Release();  // the folder stream's now
  while (const dirent* entry = ::readdir(folder.get())) {
    const char* name = entry->d_name;
    if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
    EntryType type = entry->d_type == DT_REG   ? EntryType::kFile
                     : entry->d_type == DT_DIR ? EntryType::kFolder
                                               : EntryType::kOther;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat st {};
      if (::fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        type = S_ISREG(st.st_mode)   ? EntryType::kFile
               : S_ISDIR(st.st_mode) ? EntryType::kFolder
                                     : EntryType::kOther;
      }
    }
    if (!see(fd, name, type)) break;
  }
  return true;
}

std::string WithoutSlash(const std::string& folder) {
  return folder.empty() ? folder : folder.substr(0, folder.size() - 1);
}

class Lister {
 public:
  Lister(const Shared& shared, const Place& place, int bucket, const ListRequest& request)
      : shared_(shared), place_(place), bucket_(bucket), request_(request) {}

  ListPage Run() {
    if (request_.most > 0) {
      const std::size_t slash = request_.prefix.rfind('/');
      const std::string start =
          slash == std::string::npos ? "" : request_.prefix.substr(0, slash + 1);
      // What is no key has no keys below it, though the kernel may find a way there ("a/../b").
      if (start.empty() || CheckKey(start).ok()) {
        if (!start.empty()) AddMarker(start);
        Walk(start);
      }
    }
    ListPage page;
    page.truncated = found_.size() > request_.most;
    if (page.truncated) found_.resize(request_.most);
    if (page.truncated) page.next = found_.back().key;
    for (Found& one : found_) {
      if (one.object) {
        page.objects.push_back(std::move(*one.object));
      } else {
        page.common_prefixes.push_back(std::move(one.key));
      }
    }
    return page;
  }

 private:
  struct Found {
    std::string key;
    std::optional<ObjectInfo> object;  // none: a common prefix
  };
  struct Entry {
    std::string sort;  // the name, with a '/' when it is a folder
    bool operator<(const Entry& o) const { return sort < o.sort; }
  };
  struct Listed {
    std::string sort;
    std::optional<ObjectInfo> object;  // none: a folder
  };

  // One more than asked for tells whether there are more.
  bool Full() const { return found_.size() > request_.most; }
  bool After(const std::string& key) const { return key > request_.start_after; }

  // Can keys of this name, or below this folder, belong on the page?
  bool Matters(const std::string& key) const {
    if (key.size() > kMostKey || !IsValidUtf8(key)) return false;
    if (!key.ends_with('/')) return After(key) && key.starts_with(request_.prefix);
    return (After(key) || request_.start_after.starts_with(key)) &&
           (key.starts_with(request_.prefix) || request_.prefix.starts_with(key));
  }

  // The smallest entries of the folder that come after `last` and matter, in order; objects are
  // described while the folder is open.
  std::vector<Listed> Smallest(const std::string& folder, const std::string& last,
                               std::size_t most) {
    std::priority_queue<Entry> smallest;  // the biggest of them on top
    std::vector<Listed> listed;
    int error = 0;
    ForEachEntry(bucket_, WithoutSlash(folder), error, [&](int, const char* name, EntryType type) {
      if (type == EntryType::kOther) return true;
      std::string sort = name;
      if (type == EntryType::kFolder) sort += '/';
      if (sort <= last) return true;
      if (smallest.size() == most && !(sort < smallest.top().sort)) return true;
      if (!Matters(folder + sort)) return true;
      if (smallest.size() == most) smallest.pop();
      smallest.push({std::move(sort)});
      return true;
    });
    for (; !smallest.empty(); smallest.pop()) listed.push_back({smallest.top().sort, {}});
    std::ranges::reverse(listed);
    return listed;
  }

  void Walk(const std::string& folder) {
    std::string last;
    while (!Full()) {
      const std::size_t most = std::min(request_.most + 1 - found_.size(), kMostAtOnce);
      std::vector<Listed> entries = Smallest(folder, last, most);
      Describe(folder, entries);
      for (Listed& entry : entries) {
        const std::string key = folder + entry.sort;
        if (key.ends_with('/')) {
          AddFolder(key);
        } else if (entry.object) {
          found_.push_back({key, std::move(entry.object)});
        }
        if (Full()) return;
      }
      if (entries.size() < most) return;
      last = entries.back().sort;
    }
  }

  void Describe(const std::string& folder, std::vector<Listed>& entries) {
    const Opened parent = OpenFolderBelow(bucket_, WithoutSlash(folder));
    if (!parent.fd.valid()) return;
    for (Listed& entry : entries) {
      if (entry.sort.ends_with('/')) continue;
      const Place place{place_.org, place_.bucket, folder + entry.sort};
      entry.object = DescribeEntry(shared_, parent.fd.get(), entry.sort, place);
    }
  }

  void AddFolder(const std::string& key) {
    const bool together = !request_.delimiter.empty() && key.starts_with(request_.prefix);
    if (!together) {
      AddMarker(key);
      if (!Full()) Walk(key);
    } else if (key != request_.start_after && HasKeysAfter(key)) {
      found_.push_back({key, std::nullopt});
    }
  }

  void AddMarker(const std::string& key) {
    if (!After(key) || !key.starts_with(request_.prefix)) return;
    const Opened folder = OpenFolderBelow(bucket_, WithoutSlash(key));
    struct stat st {};
    if (!folder.fd.valid() || ::fstat(folder.fd.get(), &st) != 0) return;
    const auto attributes = shared_.attributes.Load(folder.fd.get(), st);
    if (!attributes) return;
    ObjectInfo info;
    info.key = key;
    info.etag = attributes->etag;
    info.content_type = attributes->content_type;
    info.modified = SysTime(std::chrono::milliseconds(MtimeNanos(st) / 1000000));
    info.metadata = attributes->metadata;
    found_.push_back({key, std::move(info)});
  }

  bool HasKeysAfter(const std::string& folder) {
    if (!request_.start_after.starts_with(folder)) {
      return HasAny(shared_, bucket_, WithoutSlash(folder));
    }
    ListRequest below;
    below.prefix = folder;
    below.start_after = request_.start_after;
    below.most = 1;
    const ListPage page = Lister(shared_, place_, bucket_, below).Run();
    return !page.objects.empty();
  }

  const Shared& shared_;
  const Place& place_;
  const int bucket_;
  const ListRequest& request_;
  std::vector<Found> found_;
};

}  // namespace

bool HasAny(const Shared& shared, int bucket, const std::string& path) {
  std::vector<std::string> folders{path};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    if (!folder.empty()) {
      const Opened opened = OpenFolderBelow(bucket, folder);
      if (opened.fd.valid() && IsMarker(shared, opened.fd.get())) return true;
    }
    bool found = false;
    int error = 0;
    const bool looked =
        ForEachEntry(bucket, folder, error, [&](int, const char* name, EntryType type) {
          found = type == EntryType::kFile;
          if (type == EntryType::kFolder) {
            folders.push_back(folder.empty() ? std::string(name) : folder + "/" + name);
          }
          return !found;
        });
    if (found) return true;
    if (!looked && error != ENOENT && error != ENOTDIR && error != ELOOP) return true;
  }
  return false;
}

Result<ListPage> ListObjects(const Shared& shared, const Place& bucket_of, int bucket,
                             const ListRequest& request) {
  if (!request.delimiter.empty() && request.delimiter != "/") {
    return Error(Code::kInvalidArgument,
                 "delimiter " + Quote(request.delimiter) + ": \"/\" or none at all");
  }
  return Lister(shared, bucket_of, bucket, request).Run();
}

}  // namespace cml::objectstore::filesystem
