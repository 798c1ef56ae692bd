// service/keys.h — the use cases of access keys: made, listed, changed, rotated, deleted.
//
// The rules: nobody gives, changes or takes a key of a role above his own; there is always one
// key of a platform administrator that is neither disabled nor going to expire; a member and a
// viewer see their own keys alone. A secret is handed out when its key is made, and again to the
// same request under the same idempotency key; never else.
//
// Thread-safe; blocks as long as the store does. A platform administrator reaches every key,
// everybody else those of his organisation; others are kNotFound. kInvalidArgument (a field),
// kPermissionDenied (a role), kFailedPrecondition.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "codec/identity_json.h"
#include "service/idempotency.h"
#include "service/orgs.h"

namespace cml::service {

class Keys {
 public:
  struct Deps {
    store::Store& store;
    Orgs& orgs;
    const Clock& clock;
  };
  explicit Keys(Deps deps) : d_(std::move(deps)) {}

  struct Made {
    codec::NamedKey key;
    Secret secret;
  };
  Result<Made> Create(const Caller& caller, const codec::KeyFields& fields);
  enum class Scope { kOwn, kAll };
  Result<std::vector<codec::NamedKey>> List(const Caller& caller, Scope scope);
  Result<codec::NamedKey> Describe(const Caller& caller, const AccessKey& key);
  // role, label, disabled, expires.
  Result<codec::NamedKey> Update(const Caller& caller, const AccessKey& key, const codec::KeyFields& fields);
  // A new key with the same rights; the old one expires after `overlap` seconds (a day where it is
  // not given), or earlier where it would have anyhow.
  Result<Made> Rotate(const Caller& caller, const AccessKey& key, const codec::KeyFields& fields);
  Status Delete(const Caller& caller, const AccessKey& key);
  // All keys of a user of the caller's organisation; none of them, where one may not be deleted.
  Status EraseOf(const Caller& caller, const std::string& user);

 private:
  struct Rotation {
    codec::NamedKey next;
    std::optional<std::int64_t> overlap;  // seconds
  };
  Result<Made> Make(const Caller& caller, const codec::KeyFields& fields, const KeepOnce& keep);
  Result<Made> MakeNext(const Caller& caller, const AccessKey& key, const codec::KeyFields& fields, const KeepOnce& keep);
  // What an earlier request has made, with its secret.
  Result<Made> MadeAs(const Caller& caller, const AccessKey& key);
  // Gives the old key its end, and commits with it what is in `with`.
  Status End(const Caller& caller, ApiKey old, const Rotation& rotation, store::Alongside with);
  Result<ApiKey> Find(const Caller& caller, const AccessKey& key);
  Status MayChange(const Caller& caller, const ApiKey& key) const;
  // Ok when a lasting administrator's key is left without those of `without`.
  Status KeepsAnAdministrator(const std::vector<AccessKey>& without);
  Result<codec::NamedKey> Named(ApiKey key);

  Deps d_;
  std::mutex mu_;  // one change of a key at a time
};

}  // namespace cml::service
