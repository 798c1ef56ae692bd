// objectstore/filesystem/safe_path.h — paths inside a folder whose contents others write.
//
// Jobs own what is in a bucket and may plant links, fifos and more there while we look, and the
// server may be root. So every path is resolved by the kernel below a folder's descriptor and
// through no link of any kind (openat2), and what is opened is looked at afterwards. Thread-safe.
#pragma once
#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace cml::objectstore::filesystem {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// A descriptor, or the errno of the refusal (ELOOP: a link is on the path).
struct Opened {
  Fd fd;
  int error = 0;
};
// `path` relative to `root`; "" is the root itself. Never waits for a fifo's other end.
Opened OpenBelow(int root, std::string_view path, int flags);
Opened OpenFolderBelow(int root, std::string_view path);

// The folder part and the last part of a key: "a/b/c" → "a/b", "c"; "a/b/" → "a", "b".
struct SplitKey {
  std::string folder;
  std::string leaf;
};
SplitKey SplitLast(std::string_view key);

// Opens the folder `path` below `bucket` and makes what is missing of it (mode 0700, for `owner`),
// each new entry synced. kFailedPrecondition names the part that is no folder.
Result<Fd> MakeFoldersBelow(int bucket, std::string_view path, const std::optional<Owner>& owner);

// An error for a client, who must not see the server's paths. `what` is for instance `key "a"`.
Error DiskError(int error_number, const std::string& what);

}  // namespace cml::objectstore::filesystem
