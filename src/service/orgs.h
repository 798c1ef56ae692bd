// service/orgs.h — who is known: the names behind the ids, and the secret behind an access key.
//
// Thread-safe. Names and opened keys are kept in memory, as every request needs them. Every change
// of a key or an organisation goes through here, and has been seen by all when it returns. The use
// cases with their rules stand in org_admin.h, users.h and keys.h.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "base/secret.h"
#include "service/caller.h"
#include "store/store.h"

namespace cml::service {

// The cipher that keeps secrets at rest, as it is needed here; crypto/seal.h implements it.
class SecretBox {
 public:
  virtual ~SecretBox() = default;
  virtual std::string Seal(std::string_view plain, std::string_view context) const = 0;
  virtual Result<Secret> Open(std::string_view sealed, std::string_view context) const = 0;
};

struct KnownKey {
  KnownKey(Caller c, Secret s) : caller(std::move(c)), secret(std::move(s)) {}

  Caller caller;
  Secret secret;
  bool disabled = false;  // or its organisation is being deleted
  SysTime expires{};      // epoch: never

  bool ValidAt(SysTime now) const { return !disabled && (expires == SysTime{} || now < expires); }
  // Notes that a request was signed with it. Cheap, and kept in memory until FlushUses.
  void UsedAt(SysTime now) const {
    const std::int64_t minute = std::chrono::floor<std::chrono::minutes>(now).time_since_epoch().count();
    if (used_minute.load(std::memory_order_relaxed) < minute) used_minute.store(minute, std::memory_order_relaxed);
  }
  mutable std::atomic<std::int64_t> used_minute{0};  // since 1970
  mutable std::atomic<std::int64_t> kept_minute{0};  // what the store knows of it
};

inline bool IsLastingAdministrator(const ApiKey& key) {
  return key.role == KeyRole::kPlatformAdmin && !key.disabled && key.expires == SysTime{};
}

class Orgs {
 public:
  Orgs(store::Store& store, const SecretBox& box, const Clock& clock)
      : store_(store), box_(box), clock_(clock) {}

  // kNotFound: there is no such key. One that is no longer valid is found, and says so.
  Result<std::shared_ptr<const KnownKey>> Key(const AccessKey& key);
  Result<std::string> NameOf(const OrgId& org);
  Result<Org> Find(const OrgId& org);
  // By number or name. kNotFound.
  Result<Org> FindByText(const std::string& id_or_name);
  // Grows with each change of an organisation: an answer with names in it holds as long as it stays.
  std::uint64_t names_version() const { return names_version_.load(std::memory_order_acquire); }

  // May the caller change something of the organisation that he acts on? kPermissionDenied with the
  // reason while it is suspended or being deleted; platform administrators may.
  Status MayChange(const Caller& caller);
  // Why nothing new of the organisation may start; empty: it may.
  std::string WhyHeldBack(const OrgId& org);
  // The user under whom its jobs run and its files lie; nobody's (65534) when there is no such
  // organisation.
  std::int64_t UidOf(const OrgId& org);

  // ---- organisations
  // The uid is that of the first organisation + distance of the numbers, so it is never used twice.
  using OrgAlongside = std::function<store::Alongside(const Org& before, const Org& after)>;
  // Two writes: the organisation with `first` (its number is not known yet), then its uid with
  // `with`. A crash in between is repaired at the next start.
  using OrgFirst = std::function<store::Alongside(const Org& org)>;
  Result<Org> Create(Org org, const OrgAlongside& with = {}, const OrgFirst& first = {});
  // Reads, changes, writes; one change at a time. What `change` returns but OK is handed back and
  // nothing is written.
  Result<Org> Change(const OrgId& id, const std::function<Status(Org&)>& change, const OrgAlongside& with = {});
  Status Erase(const OrgId& id);  // the last step of a deletion
  Result<std::vector<Org>> List() { return store_.ListOrgs(); }
  // The one that the server began with. It can be neither suspended nor deleted.
  const OrgId& first() const { return first_.id; }

  // ---- keys
  struct NewKey {
    AccessKey access_key;
    Secret secret;
  };
  // A new key pair, without '/' and '+' in either part (cloud_ml v1, section 3). Of `row` counts
  // all but the pair and the time of creation.
  Result<NewKey> CreateKey(ApiKey row, const store::Alongside& with = {});
  Result<NewKey> CreateKey(const OrgId& org, KeyRole role, const std::string& label);
  // The same in two steps, for who has to know the pair before it is written.
  static NewKey NewPair();
  Status AddKey(const NewKey& pair, ApiKey row, const store::Alongside& with);
  // The key that the server makes for its administrator by itself. There is one at a time: those it
  // made before are disabled first, so that a lost pair does not stay good.
  struct NewAdministrator {
    NewKey key;
    std::vector<AccessKey> disabled;
  };
  Result<NewAdministrator> MakeAdministratorKey(const OrgId& org);
  // What the platform must not lose: a platform administrator's key that is neither disabled nor
  // going to expire, in an active organisation. Is there one besides those of `without`?
  struct Besides {
    std::vector<AccessKey> keys;
    OrgId org;  // and all of its keys
  };
  Result<bool> HasAdministrator(const Besides& without);
  Status PutKey(const ApiKey& row, const store::Alongside& with = {});
  Status EraseKey(const AccessKey& key, const store::Alongside& with = {});
  Status SetDisabled(const AccessKey& key, bool disabled);
  // With the uses that are not in the store yet.
  Result<ApiKey> Row(const AccessKey& key);
  Result<std::vector<ApiKey>> Rows(const OrgId& org);
  // Brings the uses into the store. Call it now and then, and at the end.
  Status FlushUses();

  // The first start of a server: makes the organisation "default" where there is no organisation
  // yet. Its jobs run under `first_uid`; later organisations get the uids after it. Repairs what a
  // crash in the middle of Create left.
  struct FirstStart {
    Org org;
    bool created = false;
  };
  Result<FirstStart> EnsureDefaultOrg(std::int64_t first_uid);

 private:
  Result<Org> GiveUid(Org org, const OrgAlongside& with);
  std::int64_t UidAt(const OrgId& org) const;
  void Forget(const OrgId& org);   // and its keys
  void Forget(const AccessKey& key);
  void AddUse(ApiKey& row);

  store::Store& store_;
  const SecretBox& box_;
  const Clock& clock_;
  Org first_;                  // set once, before the first request
  std::mutex write_mu_;        // one change of an organisation at a time
  std::shared_mutex mu_;
  std::uint64_t changes_ = 0;  // guarded by mu_; what was read before a change is not kept after it
  std::unordered_map<AccessKey, std::shared_ptr<const KnownKey>> keys_;  // guarded by mu_
  std::unordered_map<OrgId, Org> orgs_;                                  // guarded by mu_
  std::atomic<std::uint64_t> names_version_{1};
};

}  // namespace cml::service
