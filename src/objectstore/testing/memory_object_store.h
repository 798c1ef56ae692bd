// objectstore/testing/memory_object_store.h — an object store that forgets, for tests of what lies
// above the seam. Passes object_store_contract.h. Thread-safe: one lock around everything.
#pragma once
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "crypto/digest.h"
#include "objectstore/names.h"
#include "objectstore/object_store.h"

namespace cml::objectstore {

class MemoryObjectStore final : public ObjectStore {
 public:
  explicit MemoryObjectStore(const Clock& clock) : clock_(clock) {}

  // The next writes answer that no space is left.
  void SetFull(std::atomic<bool>::value_type full) { full_ = full; }

  Result<std::vector<BucketInfo>> Buckets(const OrgId& org) override {
    const std::lock_guard lock(mutex_);
    std::vector<BucketInfo> found;
    for (const auto& [id, bucket] : buckets_) {
      if (id.first == org) found.push_back({id.second, bucket.created});
    }
    return found;
  }

  Result<BucketInfo> Bucket(const OrgId& org, const std::string& bucket) override {
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(const auto* found, Find(org, bucket));
    return BucketInfo{bucket, found->created};
  }

  Status MakeBucket(const OrgId& org, const std::string& bucket) override {
    CML_RETURN_IF_ERROR(CheckBucketName(bucket));
    const std::lock_guard lock(mutex_);
    if (!buckets_.try_emplace({org, bucket}, Stored{clock_.Now(), {}, {}}).second) {
      return Error(Code::kAlreadyExists, "bucket " + Quote(bucket) + " exists");
    }
    return Ok{};
  }

  Status RemoveBucket(const OrgId& org, const std::string& bucket) override {
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(const auto* found, Find(org, bucket));
    if (!found->objects.empty()) {
      return Error(Code::kFailedPrecondition, "bucket " + Quote(bucket) + " is not empty");
    }
    buckets_.erase({org, bucket});
    return Ok{};
  }

  Result<std::uint64_t> Size(const OrgId& org) override {
    const std::lock_guard lock(mutex_);
    std::uint64_t bytes = 0;
    for (const auto& [id, bucket] : buckets_) {
      if (id.first != org) continue;
      for (const auto& [key, object] : bucket.objects) bytes += object->bytes.size();
      for (const auto& [upload_id, upload] : bucket.uploads) {
        for (const auto& [number, part] : upload.parts) bytes += part.size();
      }
    }
    return bytes;
  }

  Status RemoveAllOf(const OrgId& org) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(buckets_, [&org](const auto& entry) { return entry.first.first == org; });
    return Ok{};
  }

  Result<ObjectInfo> Stat(const OrgId& org, const std::string& bucket,
                          const std::string& key) override {
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(const auto object, FindObject(org, bucket, key));
    return object->info;
  }

  Result<std::unique_ptr<ObjectReader>> Open(const OrgId& org, const std::string& bucket,
                                             const std::string& key) override {
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(auto object, FindObject(org, bucket, key));
    return std::unique_ptr<ObjectReader>(std::make_unique<Reader>(std::move(object)));
  }

  Result<std::unique_ptr<ObjectWriter>> Put(const OrgId& org, const std::string& bucket,
                                            const std::string& key, PutOptions options) override {
    const std::lock_guard lock(mutex_);
    CML_RETURN_IF_ERROR(CheckPut(key, options));
    CML_RETURN_IF_ERROR(Find(org, bucket));
    return MakeWriter([this, org, bucket, key, options](std::string bytes) -> Result<ObjectInfo> {
      const std::string etag = Md5(bytes);
      return Keep(org, bucket, key, {std::move(bytes), etag, options});
    });
  }

  Status Remove(const OrgId& org, const std::string& bucket, const std::string& key) override {
    const std::lock_guard lock(mutex_);
    CML_RETURN_IF_ERROR(CheckKey(key));
    CML_ASSIGN_OR_RETURN(auto* found, Find(org, bucket));
    found->objects.erase(key);
    return Ok{};
  }

  Result<ListPage> List(const OrgId& org, const std::string& bucket,
                        const ListRequest& rq) override {
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(const auto* found, Find(org, bucket));
    if (!rq.delimiter.empty() && rq.delimiter != "/") {
      return Error(Code::kInvalidArgument, "the delimiter is \"/\" or nothing");
    }
    ListPage page;
    if (rq.most == 0) return page;
    for (const auto& [key, object] : found->objects) {
      if (!key.starts_with(rq.prefix) || key <= rq.start_after) continue;
      const std::size_t cut =
          rq.delimiter.empty() ? std::string::npos : key.find(rq.delimiter, rq.prefix.size());
      const bool folded = cut != std::string::npos;
      const std::string name = folded ? key.substr(0, cut + 1) : key;
      if (folded && !page.common_prefixes.empty() && page.common_prefixes.back() == name) continue;
      if (page.objects.size() + page.common_prefixes.size() == rq.most) {
        page.truncated = true;
        break;
      }
      // behind a prefix: a byte that no UTF-8 has is greater than all that follows it
      page.next = folded ? name + "\xff" : name;
      if (folded) {
        page.common_prefixes.push_back(name);
      } else {
        page.objects.push_back(object->info);
      }
    }
    if (!page.truncated) page.next.clear();
    return page;
  }

  Result<std::string> BeginUpload(const OrgId& org, const std::string& bucket,
                                  const std::string& key, PutOptions options) override {
    const std::lock_guard lock(mutex_);
    CML_RETURN_IF_ERROR(CheckPut(key, options));
    CML_ASSIGN_OR_RETURN(auto* found, Find(org, bucket));
    const std::string id = "upload-" + std::to_string(++last_upload_);
    found->uploads[id] = {key, std::move(options), {}};
    return id;
  }

  Result<std::unique_ptr<ObjectWriter>> PutPart(const OrgId& org, const std::string& bucket,
                                                const std::string& upload, int number) override {
    const std::lock_guard lock(mutex_);
    if (number < 1 || number > 10'000) {
      return Error(Code::kInvalidArgument, "part numbers are 1 to 10000");
    }
    CML_RETURN_IF_ERROR(FindUpload(org, bucket, upload));
    return MakeWriter([this, org, bucket, upload, number](std::string bytes) -> Result<ObjectInfo> {
      const std::lock_guard inner(mutex_);
      CML_ASSIGN_OR_RETURN(auto* found, FindUpload(org, bucket, upload));
      ObjectInfo info;
      info.size = bytes.size();
      info.etag = Md5(bytes);
      info.modified = clock_.Now();
      found->parts[number] = std::move(bytes);
      return info;
    });
  }

  Result<std::vector<PartInfo>> Parts(const OrgId& org, const std::string& bucket,
                                      const std::string& upload) override {
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(const auto* found, FindUpload(org, bucket, upload));
    std::vector<PartInfo> parts;
    for (const auto& [number, bytes] : found->parts) {
      parts.push_back({number, bytes.size(), Md5(bytes)});
    }
    return parts;
  }

  Result<ObjectInfo> CompleteUpload(const OrgId& org, const std::string& bucket,
                                    const std::string& upload,
                                    const std::vector<PartInfo>& asked) override {
    Finished whole;
    std::string key;
    {
      const std::lock_guard lock(mutex_);
      CML_ASSIGN_OR_RETURN(const auto* found, FindUpload(org, bucket, upload));
      CML_ASSIGN_OR_RETURN(whole, Assemble(*found, asked));
      key = found->key;
    }
    CML_ASSIGN_OR_RETURN(ObjectInfo info, Keep(org, bucket, key, std::move(whole)));
    const std::lock_guard lock(mutex_);
    CML_ASSIGN_OR_RETURN(auto* bucket_found, Find(org, bucket));
    bucket_found->uploads.erase(upload);
    return info;
  }

  Status AbortUpload(const OrgId& org, const std::string& bucket,
                     const std::string& upload) override {
    const std::lock_guard lock(mutex_);
    CML_RETURN_IF_ERROR(FindUpload(org, bucket, upload));
    CML_ASSIGN_OR_RETURN(auto* found, Find(org, bucket));
    found->uploads.erase(upload);
    return Ok{};
  }

 private:
  struct Object {
    ObjectInfo info;
    std::string bytes;
  };
  struct Upload {
    std::string key;
    PutOptions options;
    std::map<int, std::string> parts;
  };
  struct Stored {
    SysTime created{};
    std::map<std::string, std::shared_ptr<const Object>> objects;
    std::map<std::string, Upload> uploads;
  };
  struct Finished {
    std::string bytes, etag;
    PutOptions options;
  };

  class Reader final : public ObjectReader {
   public:
    explicit Reader(std::shared_ptr<const Object> object) : object_(std::move(object)) {}
    const ObjectInfo& info() const override { return object_->info; }
    Result<std::string> Read(std::uint64_t offset, std::size_t most) override {
      if (offset >= object_->bytes.size()) return std::string();
      return object_->bytes.substr(offset, most);
    }

   private:
    std::shared_ptr<const Object> object_;
  };

  class Writer final : public ObjectWriter {
   public:
    using Commit_ = std::function<Result<ObjectInfo>(std::string)>;
    Writer(const std::atomic<bool>& full, Commit_ commit)
        : full_(full), commit_(std::move(commit)) {}
    Status Write(std::string_view bytes) override {
      if (full_) return Error(Code::kUnavailable, "no space left");
      bytes_ += bytes;
      return Ok{};
    }
    Result<ObjectInfo> Commit() override { return commit_(std::move(bytes_)); }

   private:
    const std::atomic<bool>& full_;
    Commit_ commit_;
    std::string bytes_;
  };

  static std::string Md5(std::string_view bytes) {
    return crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, bytes));
  }
  static Status CheckPut(const std::string& key, const PutOptions& options) {
    CML_RETURN_IF_ERROR(CheckKey(key));
    std::size_t metadata = 0;
    for (const auto& [name, value] : options.metadata) metadata += name.size() + value.size();
    return CheckPutOptions(options.content_type, metadata);
  }

  Result<std::unique_ptr<ObjectWriter>> MakeWriter(Writer::Commit_ commit) {
    return std::unique_ptr<ObjectWriter>(std::make_unique<Writer>(full_, std::move(commit)));
  }

  Result<Stored*> Find(const OrgId& org, const std::string& bucket) {
    const auto at = buckets_.find({org, bucket});
    if (at == buckets_.end()) {
      return Error(Code::kNotFound, "there is no bucket " + Quote(bucket));
    }
    return &at->second;
  }
  Result<std::shared_ptr<const Object>> FindObject(const OrgId& org, const std::string& bucket,
                                                   const std::string& key) {
    CML_RETURN_IF_ERROR(CheckKey(key));
    CML_ASSIGN_OR_RETURN(const auto* found, Find(org, bucket));
    const auto at = found->objects.find(key);
    if (at == found->objects.end()) {
      return Error(Code::kNotFound, "there is no object " + Quote(key));
    }
    return at->second;
  }
  Result<Upload*> FindUpload(const OrgId& org, const std::string& bucket,
                             const std::string& upload) {
    CML_ASSIGN_OR_RETURN(auto* found, Find(org, bucket));
    const auto at = found->uploads.find(upload);
    if (at == found->uploads.end()) {
      return Error(Code::kNotFound, "there is no upload " + Quote(upload));
    }
    return &at->second;
  }

  static Result<Finished> Assemble(const Upload& upload, std::vector<PartInfo> asked) {
    if (asked.empty()) {
      for (const auto& [number, bytes] : upload.parts) asked.push_back({number, 0, Md5(bytes)});
    }
    if (asked.empty()) return Error(Code::kInvalidArgument, "the upload has no parts");
    Finished whole;
    whole.options = upload.options;
    std::string digests;
    int last = 0;
    for (const PartInfo& part : asked) {
      const auto at = upload.parts.find(part.number);
      if (at == upload.parts.end() || Md5(at->second) != part.etag || part.number <= last) {
        return Error(Code::kInvalidArgument, "part " + std::to_string(part.number) +
                                                 " is missing, another, or out of order");
      }
      if (at->second.size() < (5U << 20) && &part != &asked.back()) {
        return Error(Code::kInvalidArgument,
                     "part " + std::to_string(part.number) + " is smaller than 5 MiB");
      }
      last = part.number;
      whole.bytes += at->second;
      digests += crypto::Digest(crypto::Hash::kMd5, at->second);
    }
    whole.etag = Md5(digests) + "-" + std::to_string(asked.size());
    return whole;
  }

  Result<ObjectInfo> Keep(const OrgId& org, const std::string& bucket, const std::string& key,
                          Finished whole) {
    const std::lock_guard lock(mutex_);
    if (key.ends_with('/') && !whole.bytes.empty()) {
      return Error(Code::kInvalidArgument, "key " + Quote(key) + ": a folder has no bytes");
    }
    if (whole.options.content_type.empty()) whole.options.content_type = "application/octet-stream";
    CML_ASSIGN_OR_RETURN(auto* found, Find(org, bucket));
    auto object = std::make_shared<Object>();
    object->info = {key,          whole.bytes.size(),    whole.etag, whole.options.content_type,
                    clock_.Now(), whole.options.metadata};
    object->bytes = std::move(whole.bytes);
    const ObjectInfo info = object->info;
    found->objects[key] = std::move(object);
    return info;
  }

  const Clock& clock_;
  std::atomic<bool> full_ = false;
  std::mutex mutex_;
  std::map<std::pair<OrgId, std::string>, Stored> buckets_;
  std::uint64_t last_upload_ = 0;
};

}  // namespace cml::objectstore
