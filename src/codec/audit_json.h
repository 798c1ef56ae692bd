// codec/audit_json.h — an entry of the audit as one line of JSON (docs/formats/audit.md), and back.
// Pure, thread-safe.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/audit.h"

namespace cml::codec {

// All fields, always, in one order, without a line break. `before` and `after` stand in it as the
// JSON they are, null where they are empty; what is no JSON becomes a JSON string.
std::string EncodeAudit(const AuditEntry& entry);

// kDataLoss: not what EncodeAudit wrote. `before` and `after` come back without needless blanks.
Result<AuditEntry> DecodeAudit(std::string_view line);

// "2026-11-24T08:04:43.123Z", as it stands in the line.
std::string FormatAuditTime(SysTime t);

}  // namespace cml::codec
