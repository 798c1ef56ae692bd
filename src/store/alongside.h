// store/alongside.h — what the implementations of store.h have in common in writing an Alongside.
// Private to them. Pure, thread-safe.
#pragma once
#include <string>
#include <vector>

#include "codec/audit_json.h"
#include "store/store.h"

namespace cml::store {

// The columns of a document's key in words, for messages: user "ann".
inline std::string NameOf(const Document& document) {
  return std::string(ToString(document.kind)) + " \"" + document.key + "\"";
}

// kInvalidArgument: the caller has a bug; nothing of it may be written.
inline Status CheckUsage(const UsageRecord& r) {
  if (r.id.empty()) return Error(Code::kInvalidArgument, "a usage record needs an id");
  if (r.millicores < 0 || r.memory_bytes < 0 || r.gpus < 0 || r.storage_bytes < 0) {
    return Error(Code::kInvalidArgument, "usage record " + r.id + " has a negative amount");
  }
  return Ok{};
}

// The line that an entry becomes; its number and its hash come with the commit.
inline AuditLine LineOf(const AuditEntry& entry) {
  AuditLine line;
  line.at = entry.at;
  line.org = entry.org;
  line.text = codec::EncodeAudit(entry);
  return line;
}

}  // namespace cml::store
