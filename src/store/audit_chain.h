// store/audit_chain.h — the chain of the audit: what the hash of a line is taken over, how the last
// one is signed, and the check of all of them (docs/formats/audit.md). Private to the
// implementations of store.h.
//
// Pure. An AuditCheck belongs to one thread at a time.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "core/audit.h"
#include "store/store.h"

namespace cml::store {

// The newest line as it stands beside the lines. `mac` is empty where there is no key.
struct AuditHead {
  std::uint64_t seq = 0;
  std::string hash;
  std::string mac;
};

std::string_view FirstAuditHash();  // what the first line is chained to: 64 zeros

// Hexadecimal SHA-256 over the hash before it and the line's columns.
std::string AuditHash(std::string_view hash_before, const AuditLine& line);
// Hexadecimal HMAC-SHA256; empty without a key.
std::string AuditMac(const Secret& key, std::uint64_t seq, std::string_view hash);

// Takes the lines in their order and remembers the first that is wrong.
class AuditCheck {
 public:
  // false: a line is wrong, no more are needed.
  bool Take(const AuditLine& line);
  AuditVerdict Finish(const AuditHead& head, const Secret& key);

 private:
  bool Wrong(std::uint64_t seq, std::string message);
  AuditVerdict verdict_;
};

}  // namespace cml::store
