// codec/identity_json.h — organisations, users, keys and namespaces as the API shows and takes them,
// and users as the store keeps them. Pure.
//
// Decoders fail with kInvalidArgument (a field), FromDocument with kDataLoss. Unknown fields are
// passed over; a field that is absent or null is nullopt: "as it is". No encoder ever writes a
// secret but EncodeNewKey.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/identity.h"
#include "core/quota.h"

namespace cml::codec {

// ---- organisations
struct OrgFields {
  std::optional<std::string> name, mail, description, project, reason;
};
Result<OrgFields> DecodeOrg(std::string_view body);  // an empty body: no fields
std::string EncodeOrg(const Org& org);
std::string EncodeOrgs(const std::vector<Org>& orgs);  // {"data": […]}

// ---- users
struct UserFields {
  std::optional<std::string> name, mail;
};
struct NamedUser {
  User user;
  OrgId org;
  std::string org_name;
  std::size_t keys = 0;
};
Result<UserFields> DecodeUser(std::string_view body);
std::string EncodeUser(const NamedUser& user);
std::string EncodeUsers(const std::vector<NamedUser>& users);
std::string ToDocument(const User& user);
Result<User> UserFromDocument(std::string_view text);

// ---- keys
struct KeyFields {
  std::optional<KeyRole> role;
  std::optional<std::string> user, label;
  std::optional<bool> disabled;
  std::optional<SysTime> expires;              // epoch: never ("expires": "")
  std::optional<std::int64_t> expires_in;      // seconds
  std::optional<std::int64_t> overlap;         // seconds
};
struct NamedKey {
  ApiKey key;
  std::string org_name;
};
Result<KeyFields> DecodeKey(std::string_view body);  // an empty body: no fields
// `now` decides whether its state is "active" or "expired".
std::string EncodeKey(const NamedKey& key, SysTime now);
std::string EncodeKeys(const std::vector<NamedKey>& keys, SysTime now);
std::string EncodeNewKey(const NamedKey& key, std::string_view secret, SysTime now);
std::string_view StateOf(const ApiKey& key, SysTime now);  // "active", "disabled", "expired"

// ---- namespaces (cloud_ml v1, 11.8): the published client's view of organisations
struct NamespaceFields {
  std::string name;
  std::optional<std::string> owner_email, description;
};
Result<NamespaceFields> DecodeNamespace(std::string_view body);
std::string EncodeNamespace(const Org& org);                       // {"data": {…}}
std::string EncodeNamespaces(const std::vector<Org>& orgs);        // {"data": […]}

struct NamespaceQuotaFields {
  std::string name;
  std::optional<std::int64_t> cpu, memory, gpu;  // cores, GiB, cards
};
struct NamespaceQuota {
  std::string name;
  GroupQuota total;
  Amounts used;
};
Result<NamespaceQuotaFields> DecodeNamespaceQuota(std::string_view body);
std::string EncodeNamespaceQuota(const NamespaceQuota& quota);
std::string EncodeNamespaceQuotas(const std::vector<NamespaceQuota>& quotas);

struct NamespaceUser {
  std::string name, user_id;
};
Result<NamespaceUser> DecodeNamespaceUser(std::string_view body);
std::string EncodeNamespaceUser(const NamespaceUser& user);
std::string EncodeNamespaceUsers(const std::vector<NamespaceUser>& users);

}  // namespace cml::codec
