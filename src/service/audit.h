// service/audit.h — how a use case says who did what, in the transaction of the change itself.
//
// A use case that writes puts AuditOf(…) into its Alongside and, when the write has returned OK,
// calls Audited(caller). A change that was refused, or that touches no store, gets its line from
// the front afterwards. Pure but for the flag in the caller's request; the same thread as the
// request.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/audit.h"
#include "service/caller.h"

namespace cml::service {

struct AuditSubject {
  std::string target;         // "train_job ranker"
  std::string before, after;  // JSON without secrets; empty: nothing to say
};

// Empty where the server itself acts (no request): there is nobody to name.
inline std::vector<AuditEntry> AuditOf(const Caller& caller, SysTime now, AuditSubject subject) {
  if (caller.request == nullptr) return {};
  AuditEntry entry;
  entry.at = now;
  entry.org = caller.org;
  entry.actor_org = caller.home;
  entry.user = caller.user;
  entry.key = caller.key;
  entry.role = caller.role;
  entry.peer = caller.request->peer;
  entry.request_id = caller.request->id;
  entry.action = caller.request->action;
  entry.target = std::move(subject.target);
  entry.before = std::move(subject.before);
  entry.after = std::move(subject.after);
  return {std::move(entry)};
}

inline void Audited(const Caller& caller) {
  if (caller.request != nullptr) caller.request->audited = true;
}

}  // namespace cml::service
