// service/caller.h — on whose behalf a use case runs. Filled by the API's authentication; plain
// values.
#pragma once
#include "core/identity.h"

namespace cml::service {

struct Caller {
  OrgId org;
  KeyRole role = KeyRole::kViewer;
  AccessKey key;
};

inline bool IsPlatformAdmin(const Caller& c) { return c.role == KeyRole::kPlatformAdmin; }
inline bool MayWrite(const Caller& c) { return c.role != KeyRole::kViewer; }

}  // namespace cml::service
