#include "service/orgs.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/random.h"
#include "base/strings.h"
#include "codec/document.h"

namespace cml::service {
namespace {

constexpr std::size_t kAccessKeyLength = 20;
constexpr std::size_t kSecretLength = 40;  // about 207 bits
constexpr std::int64_t kNobody = 65534;
constexpr const char* kAdministrator = "administrator";         // label of the keys that the server makes
constexpr const char* kAdministratorKey = "administrator key";  // the document that says which it is

SysTime AtMinute(std::int64_t minute) { return SysTime{std::chrono::minutes{minute}}; }

Error NoSuchOrg(const std::string& text) {
  return Error(Code::kNotFound, "organisation " + Quote(text) + ": there is no such organisation");
}

}  // namespace

// ---- reading

Result<std::shared_ptr<const KnownKey>> Orgs::Key(const AccessKey& key) {
  std::uint64_t seen = 0;
  {
    const std::shared_lock lock(mu_);
    if (const auto it = keys_.find(key); it != keys_.end()) return it->second;
    seen = changes_;
  }
  CML_ASSIGN_OR_RETURN(const ApiKey row, store_.GetKey(key));
  CML_ASSIGN_OR_RETURN(const Org org, Find(row.org));
  CML_ASSIGN_OR_RETURN(Secret secret, box_.Open(row.sealed_secret, key.str()));
  auto known = std::make_shared<KnownKey>(Caller{row.org, row.role, row.access_key, row.user, row.org},
                                          std::move(secret));
  known->disabled = row.disabled || org.state == OrgState::kDeleting;
  known->expires = row.expires;
  known->kept_minute = std::chrono::floor<std::chrono::minutes>(row.last_used).time_since_epoch().count();
  known->used_minute = known->kept_minute.load();
  const std::unique_lock lock(mu_);
  if (changes_ == seen) keys_[key] = known;
  return std::shared_ptr<const KnownKey>(known);
}

Result<Org> Orgs::Find(const OrgId& id) {
  std::uint64_t seen = 0;
  {
    const std::shared_lock lock(mu_);
    if (const auto it = orgs_.find(id); it != orgs_.end()) return it->second;
    seen = changes_;
  }
  auto org = store_.GetOrg(id);
  if (!org.ok()) return org.error().code() == Code::kNotFound ? NoSuchOrg(id.str()) : org.error();
  const std::unique_lock lock(mu_);
  if (changes_ == seen) orgs_[id] = org.value();
  return org;
}

Result<Org> Orgs::FindByText(const std::string& text) {
  if (ParseUnsigned(text)) return Find(OrgId{text});
  CML_ASSIGN_OR_RETURN(const auto all, store_.ListOrgs());
  for (const Org& org : all) {
    if (org.name == text) return org;
  }
  return NoSuchOrg(text);
}

Result<std::string> Orgs::NameOf(const OrgId& id) {
  CML_ASSIGN_OR_RETURN(const Org org, Find(id));
  return org.name;
}

Status Orgs::MayChange(const Caller& caller) {
  if (IsPlatformAdmin(caller)) return Ok{};
  CML_ASSIGN_OR_RETURN(const Org org, Find(caller.org));
  switch (org.state) {
    case OrgState::kActive: return Ok{};
    case OrgState::kSuspended:
      return Error(Code::kPermissionDenied,
                   fmt::format("organisation {} is suspended: {}; it may read, and nothing of it is changed or started",
                               org.name, org.reason));
    case OrgState::kDeleting:
      return Error(Code::kPermissionDenied, fmt::format("organisation {} is being deleted", org.name));
  }
  return Ok{};
}

std::string Orgs::WhyHeldBack(const OrgId& id) {
  const auto org = Find(id);
  if (!org.ok()) return {};
  switch (org.value().state) {
    case OrgState::kActive: return {};
    case OrgState::kSuspended:
      return fmt::format("organisation {} is suspended: {}", org.value().name, org.value().reason);
    case OrgState::kDeleting: return fmt::format("organisation {} is being deleted", org.value().name);
  }
  return {};
}

std::int64_t Orgs::UidAt(const OrgId& org) const {
  return first_.unix_uid + ParseInt(org.str()).value_or(0) - ParseInt(first_.id.str()).value_or(0);
}

std::int64_t Orgs::UidOf(const OrgId& id) {
  const auto org = Find(id);
  if (!org.ok()) return kNobody;
  return org.value().unix_uid > 0 ? org.value().unix_uid : UidAt(id);
}

// ---- organisations

Result<Org> Orgs::GiveUid(Org org, const OrgAlongside& with) {
  const Org before = org;
  org.unix_uid = UidAt(org.id);
  const Status given = store_.UpdateOrg(org, with ? with(before, org) : store::Alongside{});
  Forget(org.id);
  CML_RETURN_IF_ERROR(given);
  return org;
}

Result<Org> Orgs::Create(Org org, const OrgAlongside& with, const OrgFirst& first) {
  const std::scoped_lock one(write_mu_);
  org.id = {};
  org.unix_uid = 0;
  org.created = clock_.Now();
  CML_ASSIGN_OR_RETURN(org, store_.CreateOrg(org, first ? first(org) : store::Alongside{}));
  return GiveUid(std::move(org), with);
}

Result<Org> Orgs::Change(const OrgId& id, const std::function<Status(Org&)>& change, const OrgAlongside& with) {
  const std::scoped_lock one(write_mu_);
  auto read = store_.GetOrg(id);
  if (!read.ok()) return read.error().code() == Code::kNotFound ? NoSuchOrg(id.str()) : read.error();
  const Org before = std::move(read).value();
  Org after = before;
  CML_RETURN_IF_ERROR(change(after));
  const Status written = store_.UpdateOrg(after, with ? with(before, after) : store::Alongside{});
  Forget(id);  // also after an error: the write may have happened
  CML_RETURN_IF_ERROR(written);
  return after;
}

Status Orgs::Erase(const OrgId& id) {
  const std::scoped_lock one(write_mu_);
  const Status erased = store_.EraseOrg(id);
  Forget(id);
  return erased;
}

void Orgs::Forget(const OrgId& org) {
  const std::unique_lock lock(mu_);
  ++changes_;
  orgs_.erase(org);
  std::erase_if(keys_, [&org](const auto& entry) { return entry.second->caller.home == org; });
  names_version_.fetch_add(1, std::memory_order_release);
}

// ---- keys

Orgs::NewKey Orgs::NewPair() {
  return {AccessKey{"AK" + RandomToken(kAccessKeyLength - 2)}, Secret(RandomToken(kSecretLength))};
}

Result<Orgs::NewKey> Orgs::CreateKey(ApiKey row, const store::Alongside& with) {
  NewKey made = NewPair();
  CML_RETURN_IF_ERROR(AddKey(made, std::move(row), with));
  return made;
}

Status Orgs::AddKey(const NewKey& pair, ApiKey row, const store::Alongside& with) {
  row.access_key = pair.access_key;
  row.sealed_secret = box_.Seal(pair.secret.Reveal(), pair.access_key.str());
  row.created = clock_.Now();
  return store_.PutKey(row, with);
}

Result<Orgs::NewKey> Orgs::CreateKey(const OrgId& org, KeyRole role, const std::string& label) {
  ApiKey row;
  row.org = org;
  row.role = role;
  row.label = label;
  return CreateKey(std::move(row));
}

Result<Orgs::NewAdministrator> Orgs::MakeAdministratorKey(const OrgId& org) {
  NewAdministrator made;
  auto noted = store_.GetDocument(store::DocumentKind::kSetting, OrgId{}, kAdministratorKey);
  if (!noted.ok() && noted.error().code() != Code::kNotFound) return std::move(noted).error();
  const auto which = noted.ok() ? codec::Document::Parse(noted.value().body) : Result<codec::Document>(codec::Document());
  CML_ASSIGN_OR_RETURN(const auto rows, store_.ListKeys(org));
  for (const ApiKey& row : rows) {
    // Servers before this one left no note, but always this label.
    const bool ours = noted.ok() ? which.ok() && row.access_key.str() == which.value().Str()
                                 : row.label == kAdministrator && row.role == KeyRole::kPlatformAdmin &&
                                       row.user.empty() && row.replaces.empty();
    if (!ours || row.disabled) continue;
    CML_RETURN_IF_ERROR(SetDisabled(row.access_key, true));
    made.disabled.push_back(row.access_key);
  }
  NewKey pair = NewPair();
  ApiKey row;
  row.org = org;
  row.role = KeyRole::kPlatformAdmin;
  row.label = kAdministrator;
  store::Alongside with;
  with.documents = {{{store::DocumentKind::kSetting, OrgId{}, kAdministratorKey,
                      codec::Document::String(pair.access_key.str()).Dump(), clock_.Now(), {}},
                     store::DocumentWrite::Act::kPut}};
  CML_RETURN_IF_ERROR(AddKey(pair, std::move(row), with));
  made.key = std::move(pair);
  return made;
}

Result<bool> Orgs::HasAdministrator(const Besides& without) {
  CML_ASSIGN_OR_RETURN(const auto orgs, store_.ListOrgs());
  for (const Org& org : orgs) {
    if (org.state != OrgState::kActive || org.id == without.org) continue;
    CML_ASSIGN_OR_RETURN(const auto keys, store_.ListKeys(org.id));
    const auto lasts = [&without](const ApiKey& key) {
      return IsLastingAdministrator(key) &&
             std::ranges::find(without.keys, key.access_key) == without.keys.end();
    };
    if (std::ranges::any_of(keys, lasts)) return true;
  }
  return false;
}

Status Orgs::PutKey(const ApiKey& row, const store::Alongside& with) {
  const Status put = store_.PutKey(row, with);
  Forget(row.access_key);
  return put;
}

Status Orgs::EraseKey(const AccessKey& key, const store::Alongside& with) {
  const Status erased = store_.EraseKey(key, with);
  Forget(key);
  return erased;
}

Status Orgs::SetDisabled(const AccessKey& key, bool disabled) {
  CML_ASSIGN_OR_RETURN(ApiKey row, store_.GetKey(key));
  row.disabled = disabled;
  return PutKey(row);
}

// A use that is not in the store yet goes there first: it would be lost with the entry.
void Orgs::Forget(const AccessKey& key) {
  std::int64_t minute = 0;
  {
    const std::unique_lock lock(mu_);
    ++changes_;
    const auto it = keys_.find(key);
    if (it == keys_.end()) return;
    if (it->second->used_minute > it->second->kept_minute) minute = it->second->used_minute;
    keys_.erase(it);
  }
  if (minute > 0) (void)store_.TouchKeys({{key, AtMinute(minute)}}).ok();  // a note, no more
}

void Orgs::AddUse(ApiKey& row) {
  const std::shared_lock lock(mu_);
  const auto it = keys_.find(row.access_key);
  if (it != keys_.end()) row.last_used = std::max(row.last_used, AtMinute(it->second->used_minute));
}

Result<ApiKey> Orgs::Row(const AccessKey& key) {
  CML_ASSIGN_OR_RETURN(ApiKey row, store_.GetKey(key));
  AddUse(row);
  return row;
}

Result<std::vector<ApiKey>> Orgs::Rows(const OrgId& org) {
  CML_ASSIGN_OR_RETURN(std::vector<ApiKey> rows, store_.ListKeys(org));
  for (ApiKey& row : rows) AddUse(row);
  return rows;
}

Status Orgs::FlushUses() {
  std::vector<std::pair<AccessKey, SysTime>> used;
  std::vector<std::pair<std::shared_ptr<const KnownKey>, std::int64_t>> flushed;
  {
    const std::shared_lock lock(mu_);
    for (const auto& [key, known] : keys_) {
      const std::int64_t minute = known->used_minute;
      if (minute <= known->kept_minute) continue;
      used.emplace_back(key, AtMinute(minute));
      flushed.emplace_back(known, minute);
    }
  }
  if (used.empty()) return Ok{};
  CML_RETURN_IF_ERROR(store_.TouchKeys(used));
  for (const auto& [known, minute] : flushed) known->kept_minute = minute;
  return Ok{};
}

Result<Orgs::FirstStart> Orgs::EnsureDefaultOrg(std::int64_t first_uid) {
  CML_ASSIGN_OR_RETURN(const std::vector<Org> all, store_.ListOrgs());
  if (!all.empty()) {
    const auto number = [](const Org& org) { return ParseInt(org.id.str()).value_or(0); };
    first_ = *std::ranges::min_element(all, {}, number);
    for (const Org& org : all) {
      if (org.unix_uid == 0 && org.id != first_.id) CML_RETURN_IF_ERROR(GiveUid(org, {}));
    }
    return FirstStart{first_, false};
  }
  Org org;
  org.name = "default";
  org.created = clock_.Now();
  org.unix_uid = first_uid;
  CML_ASSIGN_OR_RETURN(first_, store_.CreateOrg(org));
  return FirstStart{first_, true};
}

}  // namespace cml::service
