#include "objectstore/filesystem/filesystem_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <system_error>

#include "base/random.h"
#include "base/strings.h"
#include "objectstore/filesystem/lister.h"
#include "objectstore/filesystem/objects.h"
#include "objectstore/filesystem/uploads.h"
#include "objectstore/names.h"

namespace cml::objectstore {
namespace fs = std::filesystem;
using filesystem::DiskError;
using filesystem::OpenBucket;
using filesystem::Opened;
using filesystem::Place;
using filesystem::Shared;

namespace {

std::string Named(const std::string& bucket) { return "bucket " + Quote(bucket); }

// Since when there is this folder; where the file system does not know, when it was changed last.
SysTime CreatedAt(int folder) {
  struct statx st {};
  if (::statx(folder, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME, &st) != 0) return {};
  const auto& when = (st.stx_mask & STATX_BTIME) != 0 ? st.stx_btime : st.stx_mtime;
  return SysTime(std::chrono::milliseconds(when.tv_sec * 1000 + when.tv_nsec / 1000000));
}

// ORG's folder. Everybody may pass through it to a bucket they know, nobody else may list it.
Result<Fd> MakeOrgFolder(const Shared& shared, const OrgId& org) {
  const std::string& name = org.str();
  if (::mkdirat(shared.root.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
    return DiskError(errno, "organisation " + Quote(name));
  }
  Opened made = filesystem::OpenFolderBelow(shared.root.get(), name);
  if (!made.fd.valid()) return DiskError(made.error, "organisation " + Quote(name));
  if (::fchmod(made.fd.get(), 0755) != 0 || ::fsync(shared.root.get()) != 0) {
    return DiskError(errno, "organisation " + Quote(name));
  }
  return std::move(made.fd);
}

// Jobs may have closed folders to their own user, which is ours where we are not root.
void OpenUp(const fs::path& folder) {
  std::error_code error;
  fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add | fs::perm_options::nofollow, error);
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code unknown;
    if (it->symlink_status(unknown).type() == fs::file_type::directory) OpenUp(it->path());
  }
}

Status RemoveWhole(const fs::path& folder) {
  if (RemoveTree(folder).ok()) return Ok{};
  OpenUp(folder);
  return RemoveTree(folder);
}

}  // namespace

FilesystemStore::FilesystemStore(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
FilesystemStore::~FilesystemStore() = default;

Result<std::unique_ptr<FilesystemStore>> FilesystemStore::Open(const fs::path& folder,
                                                               OwnerOf owner_of,
                                                               AttributeMode mode) {
  CML_RETURN_IF_ERROR(MakeFolders(folder, 0755));
  CML_RETURN_IF_ERROR(RemoveWhole(folder / ".staging"));  // what a crash left
  for (const char* name : {".staging", ".uploads"}) {
    CML_RETURN_IF_ERROR(MakeFolders(folder / name, 0700));
  }
  filesystem::RemoveOldUploads(folder / ".uploads");
  CML_ASSIGN_OR_RETURN(Fd root, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  CML_ASSIGN_OR_RETURN(Fd staging, OpenFile(folder / ".staging", O_RDONLY | O_DIRECTORY));
  CML_ASSIGN_OR_RETURN(auto attributes,
                       filesystem::AttributeStore::Open(folder / ".attributes", mode));
  if (const Opened probe = filesystem::OpenFolderBelow(root.get(), ""); probe.error == ENOSYS) {
    return Error(Code::kFailedPrecondition,
                 "the object store needs Linux 5.6 or newer (the system call openat2)");
  }
  std::shared_ptr<Shared> shared(new Shared{
      folder, std::move(root), std::move(staging), std::move(attributes), std::move(owner_of), {}});
  return std::unique_ptr<FilesystemStore>(new FilesystemStore(std::move(shared)));
}

Result<fs::path> FilesystemStore::BucketFolder(const OrgId& org, const std::string& bucket) const {
  CML_RETURN_IF_ERROR(OpenBucket(*shared_, org, bucket));
  return shared_->folder / org.str() / bucket;
}

Result<fs::path> FilesystemStore::OrganisationFolder(const OrgId& org) const {
  CML_RETURN_IF_ERROR(filesystem::CheckOrg(org));
  CML_ASSIGN_OR_RETURN([[maybe_unused]] const Fd made, MakeOrgFolder(*shared_, org));
  return shared_->folder / org.str();
}

// ---- buckets

Result<std::vector<BucketInfo>> FilesystemStore::Buckets(const OrgId& org) {
  CML_RETURN_IF_ERROR(filesystem::CheckOrg(org));
  std::vector<BucketInfo> buckets;
  std::error_code error;
  for (fs::directory_iterator it(shared_->folder / org.str(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    auto folder = OpenBucket(*shared_, org, name);
    if (folder.ok()) buckets.push_back({name, CreatedAt(folder.value().get())});
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return DiskError(error.value(), "buckets");
  }
  std::ranges::sort(buckets, {}, &BucketInfo::name);
  return buckets;
}

Result<BucketInfo> FilesystemStore::Bucket(const OrgId& org, const std::string& bucket) {
  CML_ASSIGN_OR_RETURN(const Fd folder, OpenBucket(*shared_, org, bucket));
  return BucketInfo{bucket, CreatedAt(folder.get())};
}

// Made aside and renamed, so that a bucket is never seen before it is its organisation's.
Status FilesystemStore::MakeBucket(const OrgId& org, const std::string& bucket) {
  CML_RETURN_IF_ERROR(filesystem::CheckOrg(org));
  CML_RETURN_IF_ERROR(CheckBucketName(bucket));
  CML_ASSIGN_OR_RETURN(const Fd parent, MakeOrgFolder(*shared_, org));
  const int staging = shared_->staging.get();
  const std::string part = "bucket-" + RandomToken(16);
  if (::mkdirat(staging, part.c_str(), 0700) != 0) return DiskError(errno, Named(bucket));
  const auto owner = shared_->owner_of(org);
  int error = 0;
  if (owner &&
      ::fchownat(staging, part.c_str(), owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0) {
    error = errno;
  } else if (::renameat2(staging, part.c_str(), parent.get(), bucket.c_str(), RENAME_NOREPLACE) !=
             0) {
    error = errno;
  }
  if (error == 0) {
    if (::fsync(parent.get()) != 0) return DiskError(errno, Named(bucket));
    return Ok{};
  }
  ::unlinkat(staging, part.c_str(), AT_REMOVEDIR);
  if (error == EEXIST) return Error(Code::kAlreadyExists, Named(bucket) + " exists already");
  return DiskError(error, Named(bucket));
}

Status FilesystemStore::RemoveBucket(const OrgId& org, const std::string& bucket) {
  const Error not_empty(Code::kFailedPrecondition,
                        Named(bucket) + " is not empty; remove its objects first");
  const std::string aside = "removed-" + RandomToken(16);
  {
    const std::unique_lock lock(shared_->removal);
    CML_ASSIGN_OR_RETURN(const Fd folder, OpenBucket(*shared_, org, bucket));
    if (filesystem::HasAny(*shared_, folder.get(), "")) return not_empty;
    const Opened parent = filesystem::OpenFolderBelow(shared_->root.get(), org.str());
    const int staging = shared_->staging.get();
    if (!parent.fd.valid()) return DiskError(parent.error, Named(bucket));
    if (::renameat(parent.fd.get(), bucket.c_str(), staging, aside.c_str()) != 0) {
      return DiskError(errno, Named(bucket));
    }
    // A job may have written in between.
    if (filesystem::HasAny(*shared_, folder.get(), "") &&
        ::renameat(staging, aside.c_str(), parent.fd.get(), bucket.c_str()) == 0) {
      return not_empty;
    }
    if (::fsync(parent.fd.get()) != 0) return DiskError(errno, Named(bucket));
    filesystem::RemoveUploadsOf(*shared_, org, bucket);
  }
  (void)RemoveWhole(shared_->folder / ".staging" / aside).ok();  // else at the next start
  return Ok{};
}

Status FilesystemStore::RemoveAllOf(const OrgId& org) {
  CML_RETURN_IF_ERROR(filesystem::CheckOrg(org));
  const std::string what = "buckets of organisation " + Quote(org.str());
  const std::string aside = "removed-" + RandomToken(16);
  {
    const std::unique_lock lock(shared_->removal);
    if (::renameat(shared_->root.get(), org.str().c_str(), shared_->staging.get(), aside.c_str()) != 0 &&
        errno != ENOENT) {
      return DiskError(errno, what);
    }
    if (::fsync(shared_->root.get()) != 0) return DiskError(errno, what);
    CML_RETURN_IF_ERROR(RemoveTree(shared_->folder / ".uploads" / org.str()));
  }
  (void)RemoveWhole(shared_->folder / ".staging" / aside).ok();  // else at the next start
  return Ok{};
}

// ---- objects

Result<ObjectInfo> FilesystemStore::Stat(const OrgId& org, const std::string& bucket,
                                         const std::string& key) {
  return filesystem::StatObject(*shared_, {org, bucket, key});
}

Result<std::unique_ptr<ObjectReader>> FilesystemStore::Open(const OrgId& org,
                                                            const std::string& bucket,
                                                            const std::string& key) {
  return filesystem::MakeReader(shared_, {org, bucket, key});
}

Result<std::unique_ptr<ObjectWriter>> FilesystemStore::Put(const OrgId& org,
                                                           const std::string& bucket,
                                                           const std::string& key,
                                                           PutOptions options) {
  return filesystem::MakeWriter(shared_, {org, bucket, key}, std::move(options));
}

Status FilesystemStore::Remove(const OrgId& org, const std::string& bucket,
                               const std::string& key) {
  return filesystem::RemoveObject(*shared_, {org, bucket, key});
}

Result<ListPage> FilesystemStore::List(const OrgId& org, const std::string& bucket,
                                       const ListRequest& rq) {
  CML_ASSIGN_OR_RETURN(const Fd folder, OpenBucket(*shared_, org, bucket));
  const Place place{org, bucket, ""};
  return filesystem::ListObjects(*shared_, place, folder.get(), rq);
}

// ---- multipart uploads

Result<std::string> FilesystemStore::BeginUpload(const OrgId& org, const std::string& bucket,
                                                 const std::string& key, PutOptions options) {
  return filesystem::BeginUpload(*shared_, {org, bucket, key}, options);
}

Result<std::unique_ptr<ObjectWriter>> FilesystemStore::PutPart(const OrgId& org,
                                                               const std::string& bucket,
                                                               const std::string& upload,
                                                               int number) {
  return filesystem::MakePartWriter(shared_, {org, bucket, upload}, number);
}

Result<std::vector<PartInfo>> FilesystemStore::Parts(const OrgId& org, const std::string& bucket,
                                                     const std::string& upload) {
  return filesystem::ListParts(*shared_, {org, bucket, upload});
}

Result<ObjectInfo> FilesystemStore::CompleteUpload(const OrgId& org, const std::string& bucket,
                                                   const std::string& upload,
                                                   const std::vector<PartInfo>& parts) {
  return filesystem::CompleteUpload(shared_, {org, bucket, upload}, parts);
}

Status FilesystemStore::AbortUpload(const OrgId& org, const std::string& bucket,
                                    const std::string& upload) {
  return filesystem::AbortUpload(*shared_, {org, bucket, upload});
}

}  // namespace cml::objectstore
