#include "service/orgs.h"

#include <mutex>

#include "base/random.h"

namespace cml::service {
namespace {

constexpr std::size_t kAccessKeyLength = 20;
constexpr std::size_t kSecretLength = 40;  // about 207 bits

}  // namespace

Result<std::shared_ptr<const KnownKey>> Orgs::Key(const AccessKey& key) {
  {
    const std::shared_lock lock(mu_);
    if (const auto it = keys_.find(key); it != keys_.end()) return it->second;
  }
  CML_ASSIGN_OR_RETURN(const ApiKey row, store_.GetKey(key));
  CML_ASSIGN_OR_RETURN(Secret secret, box_.Open(row.sealed_secret, key.str()));
  auto known = std::make_shared<const KnownKey>(
      KnownKey{{row.org, row.role, row.access_key, row.user, row.org}, std::move(secret), row.disabled});
  const std::unique_lock lock(mu_);
  keys_[key] = known;
  return std::shared_ptr<const KnownKey>(known);
}

Result<Org> Orgs::Find(const OrgId& id) {
  {
    const std::shared_lock lock(mu_);
    if (const auto it = orgs_.find(id); it != orgs_.end()) return it->second;
  }
  CML_ASSIGN_OR_RETURN(Org org, store_.GetOrg(id));
  const std::unique_lock lock(mu_);
  orgs_[id] = org;
  return org;
}

Result<std::string> Orgs::NameOf(const OrgId& id) {
  CML_ASSIGN_OR_RETURN(const Org org, Find(id));
  return org.name;
}

Result<Orgs::NewKey> Orgs::CreateKey(const OrgId& org, KeyRole role, const std::string& label) {
  NewKey made{AccessKey{"AK" + RandomToken(kAccessKeyLength - 2)}, Secret(RandomToken(kSecretLength))};
  ApiKey row;
  row.access_key = made.access_key;
  row.org = org;
  row.role = role;
  row.sealed_secret = box_.Seal(made.secret.Reveal(), made.access_key.str());
  row.label = label;
  row.created = clock_.Now();
  CML_RETURN_IF_ERROR(store_.PutKey(row));
  return made;
}

Status Orgs::SetDisabled(const AccessKey& key, bool disabled) {
  CML_ASSIGN_OR_RETURN(ApiKey row, store_.GetKey(key));
  row.disabled = disabled;
  CML_RETURN_IF_ERROR(store_.PutKey(row));
  const std::unique_lock lock(mu_);
  keys_.erase(key);
  return Ok{};
}

Result<Orgs::FirstStart> Orgs::EnsureDefaultOrg(std::int64_t first_uid) {
  CML_ASSIGN_OR_RETURN(const std::vector<Org> all, store_.ListOrgs());
  if (!all.empty()) return FirstStart{all.front(), false};
  Org org;
  org.name = "default";
  org.created = clock_.Now();
  org.unix_uid = first_uid;
  CML_ASSIGN_OR_RETURN(org, store_.CreateOrg(org));
  return FirstStart{org, true};
}

}  // namespace cml::service
