// core/identity.h — organisations and the keys that act for them. Pure values.
#pragma once
#include <cstdint>
#include <string>

#include "base/id.h"
#include "base/time.h"

namespace cml {

struct Org {
  OrgId id;
  std::string name;
  SysTime created{};
  std::int64_t unix_uid = 0;  // the uid its jobs run under where the server is root
};

enum class KeyRole { kPlatformAdmin, kOrgAdmin, kMember, kViewer };

struct ApiKey {
  AccessKey access_key;
  OrgId org;
  KeyRole role = KeyRole::kMember;
  std::string sealed_secret;  // crypto/seal.h; never the secret itself
  std::string label;
  bool disabled = false;
  SysTime created{};
};

}  // namespace cml
