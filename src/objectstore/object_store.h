// objectstore/object_store.h — the seam to a store of buckets and objects. filesystem/ implements
// it; s3/, webhdfs/ and http/ have their folders later.
//
// Promises (testing/object_store_contract.h):
//   1. Thread-safe. Blocks on disk or network: never call it from an event loop.
//   2. A Put is atomic and durable when it has returned: readers see the old object or the new one.
//   3. An organisation sees its own buckets only; another's bucket is kNotFound, and its name may
//      be used by both.
//   4. Bytes come back with the checksum they were written with, or as kDataLoss.
// Codes: kInvalidArgument (bucket or key), kNotFound, kAlreadyExists, kFailedPrecondition (bucket
// not empty), kUnavailable (no space left), kDataLoss.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"

namespace cml::objectstore {

struct BucketInfo {
  std::string name;
  SysTime created{};
};

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;          // hex MD5, or md5-of-md5s "-N" for multipart uploads; without quotes
  std::string content_type;
  SysTime modified{};
  std::map<std::string, std::string> metadata;  // user metadata, names in lower case
};

struct ListRequest {
  std::string prefix;
  std::string delimiter;     // empty or "/"
  std::string start_after;   // keys after this one
  std::size_t most = 1000;   // keys and common prefixes together
};
struct ListPage {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next;          // pass as start_after
};

// One write in progress. Destroyed without Commit: nothing happened.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Status Write(std::string_view bytes) = 0;
  virtual Result<ObjectInfo> Commit() = 0;
};

class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual const ObjectInfo& info() const = 0;
  // At most `most` bytes from `offset`; empty at the end.
  virtual Result<std::string> Read(std::uint64_t offset, std::size_t most) = 0;
};

struct PutOptions {
  std::string content_type;
  std::map<std::string, std::string> metadata;
};

struct PartInfo {
  int number = 0;
  std::uint64_t size = 0;
  std::string etag;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Result<std::vector<BucketInfo>> Buckets(const OrgId& org) = 0;
  virtual Result<BucketInfo> Bucket(const OrgId& org, const std::string& bucket) = 0;
  virtual Status MakeBucket(const OrgId& org, const std::string& bucket) = 0;
  virtual Status RemoveBucket(const OrgId& org, const std::string& bucket) = 0;  // only an empty one
  // All that the organisation has: buckets, objects, uploads. OK when there is nothing; what is
  // written meanwhile may be left.
  virtual Status RemoveAllOf(const OrgId& org) = 0;

  // Bytes of all objects of the organisation and of the parts of its unfinished uploads, about as
  // they are now: writers go on meanwhile.
  virtual Result<std::uint64_t> Size(const OrgId& org) = 0;

  virtual Result<ObjectInfo> Stat(const OrgId& org, const std::string& bucket, const std::string& key) = 0;
  virtual Result<std::unique_ptr<ObjectReader>> Open(const OrgId& org, const std::string& bucket,
                                                     const std::string& key) = 0;
  virtual Result<std::unique_ptr<ObjectWriter>> Put(const OrgId& org, const std::string& bucket,
                                                    const std::string& key, PutOptions options) = 0;
  virtual Status Remove(const OrgId& org, const std::string& bucket, const std::string& key) = 0;  // OK when absent
  virtual Result<ListPage> List(const OrgId& org, const std::string& bucket, const ListRequest& rq) = 0;

  // Multipart uploads: parts 1…10,000, at least 5 MiB each but the last (S3 API reference).
  virtual Result<std::string> BeginUpload(const OrgId& org, const std::string& bucket,
                                          const std::string& key, PutOptions options) = 0;
  virtual Result<std::unique_ptr<ObjectWriter>> PutPart(const OrgId& org, const std::string& bucket,
                                                        const std::string& upload, int number) = 0;
  virtual Result<std::vector<PartInfo>> Parts(const OrgId& org, const std::string& bucket,
                                              const std::string& upload) = 0;
  // Parts in the given order; an empty list: all that there are.
  virtual Result<ObjectInfo> CompleteUpload(const OrgId& org, const std::string& bucket,
                                            const std::string& upload,
                                            const std::vector<PartInfo>& parts) = 0;
  virtual Status AbortUpload(const OrgId& org, const std::string& bucket, const std::string& upload) = 0;
};

}  // namespace cml::objectstore
