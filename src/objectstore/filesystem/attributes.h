// objectstore/filesystem/attributes.h — what is known of an object beside its bytes: checksum,
// content type, metadata.
//
// Kept in one extended attribute of the file (user.cloudml.object), so that it appears and goes
// with the file in one step. It is valid only while size and mtime of the file are the ones it was
// written for: what a job has rewritten is a new object. On a file system without extended
// attributes it lies in a folder of the server instead, under the file's identity; there what a
// job deletes leaves a few hundred bytes behind.
//
// Jobs can change the attributes of their files: everything read is checked for form. Thread-safe.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace cml::objectstore::filesystem {

struct Attributes {
  std::string etag;
  std::string md5;  // hex, of all bytes; the etag of a multipart upload is another
  std::string content_type;
  std::map<std::string, std::string> metadata;
};

std::int64_t MtimeNanos(const struct stat& st);

// The text form: version, size, mtime, etag, md5, content type, then one line per metadata entry.
std::string Encode(const Attributes& attributes, const struct stat& st);
// nullopt: not our text, or of another state of the file.
std::optional<Attributes> Decode(std::string_view text, const struct stat& st);

// Extended attributes where the file system below `folder` has them, or files in `folder` at once.
enum class AttributeMode { kBestThereIs, kFilesBeside };

class AttributeStore {
 public:
  static Result<AttributeStore> Open(const std::filesystem::path& folder, AttributeMode mode);

  Status Save(int fd, const Attributes& attributes) const;
  std::optional<Attributes> Load(int fd, const struct stat& st) const;
  void Forget(int fd, const struct stat& st) const;  // the object goes

 private:
  AttributeStore(Fd folder, bool extended) : folder_(std::move(folder)), extended_(extended) {}

  Fd folder_;
  bool extended_;
};

}  // namespace cml::objectstore::filesystem
