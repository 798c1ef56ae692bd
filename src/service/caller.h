// service/caller.h — on whose behalf a use case runs, and by which request. Filled by the API's
// front; plain values.
#pragma once
#include <string>

#include "core/identity.h"

namespace cml::service {

// One request, from its head to its answer; one thread at a time. The front makes it for every
// signed request. Use cases note here that the audit line of the change has been committed along
// with it (service/audit.h); where none has, the front writes one with the answer's status.
struct RequestContext {
  std::string id;       // X-Request-Id
  std::string peer;     // address of the client
  std::string action;   // the word of the access table, "train_job.create"
  std::string idempotency_key;  // header Idempotency-Key; empty: none
  std::string fingerprint;      // digest of method, path and body
  bool audited = false;
  bool dry_run = false;   // the use case checks and changes nothing: no line in the audit
  bool replayed = false;  // an earlier request with the same idempotency key has done it
};

struct Caller {
  OrgId org;  // on whose things it acts: its own, or the one that a platform administrator named
  KeyRole role = KeyRole::kViewer;
  AccessKey key;
  std::string user{};                 // whose key it is; empty: the organisation's own
  OrgId home{};                       // the key's own organisation
  RequestContext* request = nullptr;  // null: no request, the server itself
};

inline bool IsPlatformAdmin(const Caller& c) { return c.role == KeyRole::kPlatformAdmin; }
inline bool MayWrite(const Caller& c) { return c.role >= KeyRole::kMember; }

}  // namespace cml::service
