// core/identity.h — organisations, the people in them, and the keys that act for them. Pure values.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/time.h"

namespace cml {

// active ⇄ suspended; either → deleting → gone. A suspended organisation may read; nothing of it
// starts. One that is being deleted has no valid keys any more.
enum class OrgState { kActive, kSuspended, kDeleting };

struct Org {
  OrgId id;          // never used twice
  std::string name;  // unique; may change
  SysTime created{};
  std::int64_t unix_uid = 0;  // the uid its jobs run under where the server is root; never used twice
  OrgState state = OrgState::kActive;
  std::string reason{};  // why it is suspended
  std::string mail{};    // of its owner
  std::string description{};
  std::string project{};
};

// Ordered: each role may do what those before it may.
enum class KeyRole { kViewer, kMember, kOrgAdmin, kPlatformAdmin };

// A person or program of an organisation. What it may do, its keys say.
struct User {
  std::string name;  // unique in the organisation
  std::string mail{};
  SysTime created{};
  std::string created_by;
};

struct ApiKey {
  AccessKey access_key;
  OrgId org;
  KeyRole role = KeyRole::kMember;
  std::string sealed_secret;  // crypto/seal.h; never the secret itself
  std::string label{};
  bool disabled = false;
  SysTime created{};
  std::string user{};      // whose it is; empty: the organisation's own
  SysTime expires{};     // epoch: never
  SysTime last_used{};   // epoch: not yet; to the minute
  AccessKey replaces{};    // the key that this one was rotated from; empty: none
};

// The words of the API and of the store: "platform_admin", "org_admin", "member", "viewer".
std::string_view ToString(KeyRole role);
std::optional<KeyRole> ParseKeyRole(std::string_view word);
std::string_view ToString(OrgState state);  // "active", "suspended", "deleting"
std::optional<OrgState> ParseOrgState(std::string_view word);

}  // namespace cml
