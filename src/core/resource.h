// core/resource.h — what all resources share: who, what, when. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/time.h"

namespace cml {

enum class ResourceKind { kTrainJob };

constexpr std::string_view ToString(ResourceKind k) noexcept {
  switch (k) {
    case ResourceKind::kTrainJob: return "train_job";
  }
  return "";
}

struct Meta {
  ResourceId id;
  OrgId org;
  std::string name;  // unique in the organisation among what is not being deleted
  SysTime created{}, updated{};
};

// Something that happened to a resource, as a person should read it (cloud_ml v1, 7.2).
enum class EventType { kNormal, kWarning };
struct Event {
  SysTime first{}, last{};
  std::int64_t count = 1;
  EventType type = EventType::kNormal;
  std::string reason;   // CamelCase word
  std::string message;  // one sentence
};

}  // namespace cml
