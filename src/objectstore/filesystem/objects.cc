#include "objectstore/filesystem/objects.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "base/random.h"
#include "base/strings.h"
#include "objectstore/names.h"

namespace cml::objectstore::filesystem {
namespace {

constexpr char kDefaultType[] = "application/octet-stream";

std::string What(const std::string& key) { return "key " + Quote(key); }

Result<ObjectInfo> PublishMarker(Shared& shared, const Place& place, const Attributes& attributes) {
  const std::shared_lock lock(shared.removal);
  CML_ASSIGN_OR_RETURN(const Fd bucket, OpenBucket(shared, place.org, place.bucket));
  const std::string path = place.key.substr(0, place.key.size() - 1);
  CML_ASSIGN_OR_RETURN(const Fd folder,
                       MakeFoldersBelow(bucket.get(), path, shared.owner_of(place.org)));
  CML_RETURN_IF_ERROR(shared.attributes.Save(folder.get(), attributes));
  struct stat st {};
  if (::fsync(folder.get()) != 0 || ::fstat(folder.get(), &st) != 0) {
    return DiskError(errno, What(place.key));
  }
  return MakeInfo(place.key, st, attributes);
}

class Writer final : public ObjectWriter {
 public:
  Writer(SharedPtr shared, Place place, PutOptions options, StagedFile staged)
      : shared_(std::move(shared)),
        place_(std::move(place)),
        options_(std::move(options)),
        staged_(std::move(staged)) {}

  Status Write(std::string_view bytes) override {
    if (place_.key.ends_with('/') && !bytes.empty()) {
      return Error(Code::kInvalidArgument, What(place_.key) +
                                               ": a key that ends in '/' marks a folder and holds "
                                               "no bytes; leave the '/' out");
    }
    return staged_.Write(bytes);
  }

  Result<ObjectInfo> Commit() override {
    Attributes attributes;
    attributes.md5 = attributes.etag = staged_.FinishMd5();
    attributes.content_type = options_.content_type;
    attributes.metadata = options_.metadata;
    if (place_.key.ends_with('/')) return PublishMarker(*shared_, place_, attributes);
    return Publish(*shared_, place_, staged_, attributes);
  }

 private:
  SharedPtr shared_;
  Place place_;
  PutOptions options_;
  StagedFile staged_;
};

// The name is taken by a folder: an empty one that nobody put makes way, any other stays.
Status MakeWay(const Shared& shared, int parent, const Place& place, const std::string& leaf) {
  const Opened folder = OpenFolderBelow(parent, leaf);
  if (!folder.fd.valid()) return Ok{};  // gone already
  if (!IsMarker(shared, folder.fd.get()) && ::unlinkat(parent, leaf.c_str(), AT_REMOVEDIR) == 0) {
    return Ok{};
  }
  return Error(Code::kFailedPrecondition,
               What(place.key) + " is a folder of other objects (" + Quote(place.key + "/") +
                   " …) and cannot be an object too; take another key, or remove them first");
}

// Removes the folder `path` and those above it as far as they are empty and nobody put them.
void Prune(const Shared& shared, int bucket, std::string path) {
  const std::unique_lock lock(shared.removal);  // nobody is about to put something there
  while (!path.empty()) {
    const Opened folder = OpenFolderBelow(bucket, path);
    if (!folder.fd.valid() || IsMarker(shared, folder.fd.get())) return;
    const SplitKey split = SplitLast(path);
    const Opened parent = OpenFolderBelow(bucket, split.folder);
    if (!parent.fd.valid()) return;
    if (::unlinkat(parent.fd.get(), split.leaf.c_str(), AT_REMOVEDIR) != 0) return;
    path = split.folder;
  }
}

}  // namespace

ObjectInfo MakeInfo(const std::string& key, const struct stat& st, const Attributes& attributes) {
  ObjectInfo info;
  info.key = key;
  info.size = S_ISDIR(st.st_mode) ? 0 : static_cast<std::uint64_t>(st.st_size);
  info.etag = attributes.etag;
  info.content_type = attributes.content_type.empty() ? kDefaultType : attributes.content_type;
  info.modified = SysTime(std::chrono::milliseconds(MtimeNanos(st) / 1000000));
  info.metadata = attributes.metadata;
  return info;
}

Status CheckOrg(const OrgId& org) {
  const std::string& id = org.str();
  const bool fits = !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  });
  if (fits) return Ok{};
  return Error(Code::kInvalidArgument, "organisation " + Quote(id) + ": letters and digits");
}

Result<Fd> OpenBucket(const Shared& shared, const OrgId& org, const std::string& bucket) {
  CML_RETURN_IF_ERROR(CheckOrg(org));
  CML_RETURN_IF_ERROR(CheckBucketName(bucket));
  Opened opened = OpenFolderBelow(shared.root.get(), org.str() + "/" + bucket);
  if (opened.fd.valid()) return std::move(opened.fd);
  return DiskError(opened.error, "bucket " + Quote(bucket));
}

Result<StagedFile> StagedFile::Make(SharedPtr shared) {
  std::string name = "put-" + RandomToken(16);
  Fd fd(::openat(shared->staging.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return DiskError(errno, "upload");
  return StagedFile(std::move(shared), std::move(fd), std::move(name));
}

StagedFile::~StagedFile() {
  if (shared_ != nullptr && !name_.empty()) ::unlinkat(shared_->staging.get(), name_.c_str(), 0);
}

Status StagedFile::Write(std::string_view bytes) {
  digest_.Update(bytes);
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError(errno, "upload");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return Ok{};
}

Result<ObjectInfo> Publish(Shared& shared, const Place& place, StagedFile& staged,
                           const Attributes& attributes) {
  const int fd = staged.fd();
  CML_RETURN_IF_ERROR(shared.attributes.Save(fd, attributes));
  const auto owner = shared.owner_of(place.org);
  struct stat st {};
  if ((owner && ::fchown(fd, owner->uid, owner->gid) != 0) || ::fsync(fd) != 0 ||
      ::fstat(fd, &st) != 0) {
    return DiskError(errno, What(place.key));
  }
  const std::shared_lock lock(shared.removal);
  CML_ASSIGN_OR_RETURN(const Fd bucket, OpenBucket(shared, place.org, place.bucket));
  const SplitKey split = SplitLast(place.key);
  int error = 0;
  // Again where a folder was removed under our feet, or has made way.
  for (int tries = 0; tries < 16; ++tries) {
    CML_ASSIGN_OR_RETURN(const Fd parent, MakeFoldersBelow(bucket.get(), split.folder, owner));
    struct stat old {};
    const Opened replaced = OpenBelow(parent.get(), split.leaf, O_PATH);
    const bool had = replaced.fd.valid() && ::fstat(replaced.fd.get(), &old) == 0;
    if (::renameat(shared.staging.get(), staged.name().c_str(), parent.get(), split.leaf.c_str()) ==
        0) {
      staged.MovedAway();
      if (had && S_ISREG(old.st_mode)) shared.attributes.Forget(replaced.fd.get(), old);
      if (::fsync(parent.get()) != 0) return DiskError(errno, What(place.key));
      return MakeInfo(place.key, st, attributes);
    }
    error = errno;
    if (error == EISDIR || error == ENOTEMPTY || error == EEXIST) {
      CML_RETURN_IF_ERROR(MakeWay(shared, parent.get(), place, split.leaf));
    } else if (error != ENOENT) {
      break;
    }
  }
  return DiskError(error == ENOENT ? EMFILE : error, What(place.key));
}

Result<std::unique_ptr<ObjectWriter>> MakeWriter(const SharedPtr& shared, const Place& place,
                                                 PutOptions options) {
  CML_RETURN_IF_ERROR(CheckKey(place.key));
  CML_RETURN_IF_ERROR(OpenBucket(*shared, place.org, place.bucket));
  std::size_t metadata = 0;
  for (const auto& [name, value] : options.metadata) metadata += name.size() + value.size();
  CML_RETURN_IF_ERROR(CheckPutOptions(options.content_type, metadata));
  CML_ASSIGN_OR_RETURN(StagedFile staged, StagedFile::Make(shared));
  return std::unique_ptr<ObjectWriter>(
      new Writer(shared, place, std::move(options), std::move(staged)));
}

Status RemoveObject(const Shared& shared, const Place& place) {
  CML_RETURN_IF_ERROR(CheckKey(place.key));
  CML_ASSIGN_OR_RETURN(const Fd bucket, OpenBucket(shared, place.org, place.bucket));
  const SplitKey split = SplitLast(place.key);
  if (place.key.ends_with('/')) {
    const std::string path = place.key.substr(0, place.key.size() - 1);
    const Opened folder = OpenFolderBelow(bucket.get(), path);
    struct stat st {};
    if (!folder.fd.valid() || ::fstat(folder.fd.get(), &st) != 0) return Ok{};
    shared.attributes.Forget(folder.fd.get(), st);
    if (::fsync(folder.fd.get()) != 0) return DiskError(errno, What(place.key));
    Prune(shared, bucket.get(), path);
    return Ok{};
  }
  const Opened parent = OpenFolderBelow(bucket.get(), split.folder);
  if (!parent.fd.valid()) return Ok{};
  const Opened file = OpenBelow(parent.fd.get(), split.leaf, O_PATH);
  struct stat st {};
  // Not opened for reading: a link, fifo or unreadable file goes as well.
  if (::unlinkat(parent.fd.get(), split.leaf.c_str(), 0) != 0) {
    const int error = errno;
    // A folder is not this object; one that a link leads to is none at all.
    if (error == ENOENT || error == EISDIR) return Ok{};
    return DiskError(error, What(place.key));
  }
  if (file.fd.valid() && ::fstat(file.fd.get(), &st) == 0 && S_ISREG(st.st_mode)) {
    shared.attributes.Forget(file.fd.get(), st);
  }
  if (::fsync(parent.fd.get()) != 0) return DiskError(errno, What(place.key));
  Prune(shared, bucket.get(), split.folder);
  return Ok{};
}

std::optional<ObjectInfo> DescribeEntry(const Shared& shared, int parent, const std::string& name,
                                        const Place& place) {
  struct stat st {};
  if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  if (!S_ISREG(st.st_mode)) return std::nullopt;
  const auto owner = shared.owner_of(place.org);
  if (st.st_nlink > 1 && owner && st.st_uid != owner->uid) return std::nullopt;
  Attributes attributes;
  const Opened file = OpenBelow(parent, name, O_RDONLY);
  struct stat opened {};
  if (file.fd.valid() && ::fstat(file.fd.get(), &opened) == 0 && opened.st_ino == st.st_ino) {
    attributes = shared.attributes.Load(file.fd.get(), opened).value_or(Attributes{});
    st = opened;
  }
  return MakeInfo(place.key, st, attributes);
}

bool IsMarker(const Shared& shared, int folder) {
  struct stat st {};
  return ::fstat(folder, &st) == 0 && S_ISDIR(st.st_mode) &&
         shared.attributes.Load(folder, st).has_value();
}

}  // namespace cml::objectstore::filesystem
