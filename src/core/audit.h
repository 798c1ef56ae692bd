// core/audit.h — one line of the audit: who changed what, from where, and how it ended. Pure.
#pragma once
#include <cstdint>
#include <string>

#include "base/id.h"
#include "base/time.h"
#include "core/identity.h"

namespace cml {

// `before` and `after` are JSON texts without secrets, empty where there is nothing to say.
struct AuditEntry {
  SysTime at{};
  OrgId org;        // whose thing was changed: who may read the line
  OrgId actor_org;  // of the key
  std::string user;
  AccessKey key;
  KeyRole role = KeyRole::kViewer;
  std::string peer;        // address of the client
  std::string request_id;
  std::string action;      // "train_job.create", the word of the access table
  std::string target;      // "train_job ranker"
  int status = 200;        // of the answer
  std::string message;     // of the answer, where it was refused
  std::string before, after;
};

// A line as it stands in the chain: hash = SHA-256 over the hash before it and the line's own
// columns (docs/formats/audit.md). The first line has the number 1.
struct AuditLine {
  std::uint64_t seq = 0;
  SysTime at{};
  OrgId org;
  std::string text;  // codec/audit_json.h
  std::string hash;  // 64 hexadecimal digits
};

}  // namespace cml
