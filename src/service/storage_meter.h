// service/storage_meter.h — what organisations keep in their buckets, as usage: bytes × time.
//
// Each reading ends the stretch that the one before it began, with the bytes that were read then:
// stretches follow each other without gap or overlap, also over restarts, as the reading and the
// record of the stretch are committed together. Not thread-safe; blocks while it walks the buckets.
#pragma once
#include <functional>
#include <vector>

#include "core/usage.h"
#include "objectstore/object_store.h"
#include "store/store.h"

namespace cml::service {

inline constexpr const char* kStorageReading = "storage_reading";  // key of its document (kSetting)

UsageRecord StorageUsage(const OrgId& org, SysTime from, SysTime to, std::int64_t bytes);

class StorageMeter {
 public:
  struct Deps {
    store::Store& store;
    objectstore::ObjectStore& objects;
    const Clock& clock;
  };
  explicit StorageMeter(Deps deps) : d_(deps) {}

  // One reading of every organisation. The first error is returned, after all were tried.
  Status Read();

 private:
  Status ReadOne(const OrgId& org);
  Deps d_;
};

}  // namespace cml::service
