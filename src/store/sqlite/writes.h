// store/sqlite/writes.h — the store's writes as they run inside a transaction of the write queue.
//
// Each leaves the transaction to its caller and reports a refusal as an error, upon which the
// caller takes back what it had done. Codes as in store/store.h.
#pragma once
#include "store/sqlite/alongside.h"
#include "store/sqlite/database.h"
#include "store/store.h"

namespace cml::store::sqlite {

Status InsertRow(Writer writer, const Row& row, Prepared& with);
Status SaveWish(Writer writer, const Row& row, Prepared& with);
Status SaveRecord(Writer writer, const Row& row, LeaderToken leader, Prepared& with);
Status EraseRow(Writer writer, const Row& row, LeaderToken leader, Prepared& with);
Status AddEvent(Database& db, ResourceKind kind, const ResourceId& id, const Event& event);
Result<LeaderToken> NextLeader(Database& db);
Status Touch(Database& db);  // the smallest real write

}  // namespace cml::store::sqlite
