// core/usage.h — what was held, by whom and for how long: the raw material of the bill. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "base/id.h"
#include "base/time.h"

namespace cml {

// One stretch of time in which one replica of a run (or the buckets of an organisation) held
// something. `id` is the same whoever writes it and however often: the store keeps it once.
struct UsageRecord {
  std::string id;      // "k3v9x0q2ab.1/worker-0"; "storage/1/2026-01-02T03:00:00Z"
  std::string kind;    // "train_job", "storage"
  OrgId org;
  std::string user;    // whose key submitted it
  AccessKey key;
  ResourceId resource;
  std::string name;    // of the resource
  std::map<std::string, std::string> labels;
  std::int64_t millicores = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t gpus = 0;
  std::string gpu_model;
  std::int64_t storage_bytes = 0;
  SysTime from{}, to{};
};

}  // namespace cml
