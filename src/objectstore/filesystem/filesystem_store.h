// objectstore/filesystem/filesystem_store.h — buckets as folders, objects as plain files in them.
//
// Object "a/b" of bucket x of organisation 1 is the file FOLDER/1/x/a/b. Inside jobs a bucket is
// bound at /fds/x, so what a job writes there is an object at once, and the other way round. Beside
// the organisations lie FOLDER/.staging (writes in progress, emptied at start), .uploads (multipart
// uploads, kept for a week) and .attributes (see attributes.h).
//
// More than object_store.h promises:
//   * No link, fifo or device that a job plants is followed or waited for; none is an object. Nor
//     is a hard link to a file of another user.
//   * A key that ends in '/' is a folder marker without bytes. A key below an object, or one that
//     is a folder of other objects, is kFailedPrecondition: files are no folders.
//   * What a job wrote gets its MD5 as etag when somebody asks for the object, up to 64 MiB; a
//     bigger one has an etag that ends in "-0" and changes with size or time of the file. In lists
//     the etag of what nobody has asked for yet is empty.
//   * A full read in order is checked against the remembered MD5; its last piece is kDataLoss when
//     size and time of the file are unchanged and the bytes are not.
//   * A page of a list reads the folders it shows, not the folders below a common prefix.
// Needs openat2 (Linux 5.6). Thread-safe; one process per FOLDER. Readers and writers may outlive
// the store.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>

#include "objectstore/filesystem/attributes.h"
#include "objectstore/filesystem/safe_path.h"
#include "objectstore/object_store.h"

namespace cml::objectstore {
namespace filesystem {
struct Shared;
}

class FilesystemStore final : public ObjectStore {
 public:
  using Owner = filesystem::Owner;
  // Whom an organisation's files belong to. nullopt: to the server's own user, which is not root.
  using OwnerOf = std::function<std::optional<Owner>(const OrgId&)>;

  // Makes the folder when it is not there; all of it must be one file system.
  using AttributeMode = filesystem::AttributeMode;
  static Result<std::unique_ptr<FilesystemStore>> Open(
      const std::filesystem::path& folder, OwnerOf owner_of,
      AttributeMode mode = AttributeMode::kBestThereIs);
  ~FilesystemStore() override;

  // The folder of all buckets of an organisation, which is bound into its jobs; made when it is not
  // there. kInvalidArgument.
  Result<std::filesystem::path> OrganisationFolder(const OrgId& org) const;
  // The folder of one of them. kNotFound; kInvalidArgument.
  Result<std::filesystem::path> BucketFolder(const OrgId& org, const std::string& bucket) const;

  Result<std::vector<BucketInfo>> Buckets(const OrgId& org) override;
  Result<BucketInfo> Bucket(const OrgId& org, const std::string& bucket) override;
  Status MakeBucket(const OrgId& org, const std::string& bucket) override;
  Status RemoveBucket(const OrgId& org, const std::string& bucket) override;
  // What a job wrote counts as well. Names of one file share its bytes, and the holes of a big file
  // are not counted.
  Result<std::uint64_t> Size(const OrgId& org) override;
  Status RemoveAllOf(const OrgId& org) override;

  Result<ObjectInfo> Stat(const OrgId& org, const std::string& bucket,
                          const std::string& key) override;
  Result<std::unique_ptr<ObjectReader>> Open(const OrgId& org, const std::string& bucket,
                                             const std::string& key) override;
  Result<std::unique_ptr<ObjectWriter>> Put(const OrgId& org, const std::string& bucket,
                                            const std::string& key, PutOptions options) override;
  Status Remove(const OrgId& org, const std::string& bucket, const std::string& key) override;
  Result<ListPage> List(const OrgId& org, const std::string& bucket,
                        const ListRequest& rq) override;

  Result<std::string> BeginUpload(const OrgId& org, const std::string& bucket,
                                  const std::string& key, PutOptions options) override;
  Result<std::unique_ptr<ObjectWriter>> PutPart(const OrgId& org, const std::string& bucket,
                                                const std::string& upload, int number) override;
  Result<std::vector<PartInfo>> Parts(const OrgId& org, const std::string& bucket,
                                      const std::string& upload) override;
  Result<ObjectInfo> CompleteUpload(const OrgId& org, const std::string& bucket,
                                    const std::string& upload,
                                    const std::vector<PartInfo>& parts) override;
  Status AbortUpload(const OrgId& org, const std::string& bucket,
                     const std::string& upload) override;

 private:
  explicit FilesystemStore(std::shared_ptr<filesystem::Shared> shared);
  std::shared_ptr<filesystem::Shared> shared_;
};

}  // namespace cml::objectstore
