// store/sqlite/alongside.h — writes documents, audit lines and usage in the transaction of a row.
//
// Prepare() runs in the caller's thread and does all that needs no database; the rest runs on the
// write queue's thread. Codes as in store/store.h.
#pragma once
#include <string>
#include <vector>

#include "store/sqlite/database.h"
#include "store/sqlite/ledger.h"
#include "store/store.h"

namespace cml::store::sqlite {

struct PreparedUsage {
  const UsageRecord* record;
  std::string labels;  // JSON
  std::vector<UsageOfDay> days;
};

// Points into the Alongside that it was made from.
struct Prepared {
  const Alongside* with;
  std::vector<AuditLine> lines;
  std::vector<PreparedUsage> usage;
};

Result<Prepared> Prepare(const Alongside& with);  // kInvalidArgument

struct Writer {
  Database& db;
  Ledger& ledger;
};

// All but the events. Once: the lines get their numbers.
Status WriteAlongside(Writer writer, Prepared& prepared);

Result<std::int64_t> NextNumber(Database& db, std::string_view name);

}  // namespace cml::store::sqlite
