// store/testing/memory_identities.h — the part of the store in memory that is organisations and keys.
//
// Not thread-safe: MemoryStore holds its lock. What Check… has accepted, the write after it does.
#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "store/store.h"

namespace cml::store::testing {

class MemoryIdentities {
 public:
  // ---- organisations
  Status CheckNew(const Org& org) const {
    CML_RETURN_IF_ERROR(CheckName(org));
    const bool uid_gone = org.unix_uid != 0 && gone_uids_.contains(org.unix_uid);
    if (orgs_.contains(org.id) || gone_orgs_.contains(org.id) || uid_gone) return Exists(org);
    return Ok{};
  }
  Org Add(Org org) {
    if (org.id.empty()) org.id = OrgId(std::to_string(last_org_ + 1));
    last_org_ = std::max(last_org_, ParseInt(org.id.str()).value_or(0));
    return orgs_[org.id] = org;
  }
  Status CheckChange(const Org& org) const {
    CML_RETURN_IF_ERROR(Find(org.id));
    return CheckName(org);
  }
  void Change(const Org& org) {
    Org& kept = orgs_[org.id];
    const Org was = std::exchange(kept, org);
    kept.created = was.created;
    if (was.unix_uid != 0) kept.unix_uid = was.unix_uid;
  }
  // With its keys.
  void Erase(const Org& org) {
    orgs_.erase(org.id);
    gone_orgs_.insert(org.id);
    if (org.unix_uid != 0) gone_uids_.insert(org.unix_uid);
    std::erase_if(keys_, [&](const auto& pair) { return pair.second.org == org.id; });
  }
  Result<Org> Find(const OrgId& id) const { return Lookup(orgs_, id, "organisation"); }
  std::vector<Org> Orgs() const {
    std::vector<Org> all;
    for (const auto& [id, org] : orgs_) all.push_back(org);
    std::ranges::sort(all, {}, [](const Org& o) { return std::tie(o.created, o.name); });
    return all;
  }

  // ---- keys
  void Put(const ApiKey& key) {
    const auto [at, is_new] = keys_.try_emplace(key.access_key, key);
    const SysTime last_used = at->second.last_used;
    at->second = key;
    at->second.last_used = last_used;
  }
  void Erase(const AccessKey& key) { keys_.erase(key); }
  void Touch(const AccessKey& key, SysTime when) {
    const auto at = keys_.find(key);
    if (at != keys_.end()) at->second.last_used = std::max(at->second.last_used, when);
  }
  Result<ApiKey> Find(const AccessKey& key) const { return Lookup(keys_, key, "key"); }
  std::vector<ApiKey> KeysOf(const OrgId& org) const {
    std::vector<ApiKey> all;
    for (const auto& [id, key] : keys_) {
      if (key.org == org) all.push_back(key);
    }
    std::ranges::sort(all, {}, [](const ApiKey& k) { return std::tie(k.created, k.access_key); });
    return all;
  }

 private:
  template <class Map, class Key>
  static auto Lookup(const Map& map, const Key& key, const std::string& what) -> Result<typename Map::mapped_type> {
    const auto at = map.find(key);
    if (at == map.end()) return Error(Code::kNotFound, what + " " + Quote(key.str()) + " does not exist");
    return at->second;
  }
  static Error Exists(const Org& org) {
    return {Code::kAlreadyExists, "organisation " + Quote(org.name) + " or its id or uid exists already"};
  }
  Status CheckName(const Org& org) const {
    for (const auto& [id, other] : orgs_) {
      if (other.name == org.name && id != org.id) return Exists(org);
    }
    return Ok{};
  }

  std::map<OrgId, Org> orgs_;
  std::int64_t last_org_ = 0;
  std::set<OrgId> gone_orgs_;
  std::set<std::int64_t> gone_uids_;
  std::map<AccessKey, ApiKey> keys_;
};

}  // namespace cml::store::testing
