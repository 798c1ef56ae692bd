// api/auth/authenticator.h — who sent this request? Verifies the signatures of cloud_ml v1 (Galaxy
// V3, section 2, and its older form) and of AWS Signature Version 4 (service "cloudml").
//
// Thread-safe; no I/O once a key is known (service/orgs.h keeps it). kUnauthenticated for
// everything that is wrong: an unknown key, a disabled or expired one and a wrong signature give the
// same answer after the same work.
#pragma once
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "api/access_table.h"
#include "net/http.h"
#include "net/signing.h"
#include "service/orgs.h"

namespace cml::api {

class Authenticator {
 public:
  // A changing SigV4 request that was signed before `started` could be the replay of one that an
  // earlier process has seen, so it is refused. (Times are whole seconds: so is one that is signed
  // in the second of the start.) The epoch: there was no earlier process.
  Authenticator(service::Orgs& orgs, const Clock& clock, SysTime started)
      : orgs_(orgs), clock_(clock), started_(started) {}

  // The request with its whole body.
  Result<service::Caller> Authenticate(const net::Request& request);

  // Is there the organisation that the caller acts on, and may it be changed? kNotFound;
  // kPermissionDenied with the reason why it is suspended.
  Status CheckOrg(const service::Caller& caller, Effect effect);

  // The secret of a valid key, for the object store's own protocols. kUnauthenticated.
  struct Identity {
    service::Caller caller;
    Secret secret;
    std::shared_ptr<const service::KnownKey> key;  // for UsedAt, once a signature was right
  };
  Result<Identity> Identify(const AccessKey& key);

 private:
  Result<service::Caller> GalaxyV3(const net::Request& request, std::string_view signature);
  Result<service::Caller> OlderGalaxy(const net::Request& request, std::string_view signature);
  Result<service::Caller> SigV4(const net::Request& request);
  using Known = std::shared_ptr<const service::KnownKey>;
  std::pair<Known, bool> Look(const AccessKey& key);
  Result<service::Caller> Accept(const Known& key) const;
  Result<SysTime> CheckClock(SysTime signed_at) const;
  Status RefuseReplay(const std::string& signature, SysTime signed_at);

  service::Orgs& orgs_;
  const Clock& clock_;
  const SysTime started_;
  std::mutex mu_;
  std::unordered_set<std::string> seen_;                      // guarded by mu_
  std::deque<std::pair<SysTime, std::string>> seen_in_order_;  // guarded by mu_; when to forget
};

}  // namespace cml::api
