// service/orgs.h — organisations and keys: the names behind the ids, and the secret behind an
// access key.
//
// Thread-safe. Names and opened keys are kept in memory, as every request needs them; what changes
// a key or an organisation goes through here and so refreshes them.
#pragma once
#include <functional>
#include <memory>
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
  Caller caller;
  Secret secret;
  bool disabled = false;
};

class Orgs {
 public:
  Orgs(store::Store& store, const SecretBox& box, const Clock& clock)
      : store_(store), box_(box), clock_(clock) {}

  // kNotFound: there is no such key. A disabled key is found, and says so.
  Result<std::shared_ptr<const KnownKey>> Key(const AccessKey& key);
  Result<std::string> NameOf(const OrgId& org);
  Result<Org> Find(const OrgId& org);

  struct NewKey {
    AccessKey access_key;
    Secret secret;
  };
  // A new key pair, without '/' and '+' in either part (cloud_ml v1, section 3).
  Result<NewKey> CreateKey(const OrgId& org, KeyRole role, const std::string& label);
  Status SetDisabled(const AccessKey& key, bool disabled);

  // The first start of a server: makes the organisation "default" where there is no organisation
  // yet. Its jobs run under `first_uid`; later organisations get the uids after it.
  struct FirstStart {
    Org org;
    bool created = false;
  };
  Result<FirstStart> EnsureDefaultOrg(std::int64_t first_uid);

 private:
  store::Store& store_;
  const SecretBox& box_;
  const Clock& clock_;
  std::shared_mutex mu_;
  std::unordered_map<AccessKey, std::shared_ptr<const KnownKey>> keys_;  // guarded by mu_
  std::unordered_map<OrgId, Org> orgs_;                                  // guarded by mu_
};

}  // namespace cml::service
