// objectstore/filesystem/objects.h — what the parts of the store share, and single objects in it.
// Thread-safe: descriptors that do not change, and one lock.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>

#include "crypto/digest.h"
#include "objectstore/filesystem/attributes.h"
#include "objectstore/filesystem/safe_path.h"
#include "objectstore/object_store.h"

namespace cml::objectstore::filesystem {

struct Shared {
  std::filesystem::path folder;
  Fd root;
  Fd staging;
  AttributeStore attributes;
  std::function<std::optional<Owner>(const OrgId&)> owner_of;
  // Shared by whoever gives an object its name, exclusive for the removal of buckets and folders.
  mutable std::shared_mutex removal;
};
using SharedPtr = std::shared_ptr<Shared>;

// Where an object is or will be.
struct Place {
  OrgId org;
  std::string bucket;
  std::string key;
};

Status CheckOrg(const OrgId& org);
// kNotFound when there is no such bucket; kInvalidArgument when there can be none.
Result<Fd> OpenBucket(const Shared& shared, const OrgId& org, const std::string& bucket);

// A file of the staging folder with what is written to it. Removed with the value unless it moved.
class StagedFile {
 public:
  static Result<StagedFile> Make(SharedPtr shared);
  StagedFile(StagedFile&&) = default;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();

  Status Write(std::string_view bytes);
  std::uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  std::string FinishMd5() { return crypto::ToHex(digest_.Finish()); }
  void MovedAway() { name_.clear(); }

 private:
  StagedFile(SharedPtr shared, Fd fd, std::string name)
      : shared_(std::move(shared)), fd_(std::move(fd)), name_(std::move(name)) {}

  SharedPtr shared_;
  Fd fd_;
  std::string name_;
  crypto::Digester digest_{crypto::Hash::kMd5};
  std::uint64_t size_ = 0;
};

ObjectInfo MakeInfo(const std::string& key, const struct stat& st, const Attributes& attributes);

// Gives the staged bytes their place, durably; the file becomes the organisation's.
Result<ObjectInfo> Publish(Shared& shared, const Place& place, StagedFile& staged,
                           const Attributes& attributes);

Result<std::unique_ptr<ObjectWriter>> MakeWriter(const SharedPtr& shared, const Place& place,
                                                 PutOptions options);
Result<std::unique_ptr<ObjectReader>> MakeReader(const SharedPtr& shared, const Place& place);
Result<ObjectInfo> StatObject(const Shared& shared, const Place& place);
Status RemoveObject(const Shared& shared, const Place& place);

// The entry `name` of the folder `parent` as an object for a list: nullopt where it is none. Never
// computes a checksum.
std::optional<ObjectInfo> DescribeEntry(const Shared& shared, int parent, const std::string& name,
                                        const Place& place);
// Has somebody put the key "path/", or is it only a folder on the way to others?
bool IsMarker(const Shared& shared, int folder);

}  // namespace cml::objectstore::filesystem
