// store/sqlite/writes.h — the store's writes as they run inside a transaction of the write queue.
//
// Each leaves the transaction to its caller and reports a refusal as an error, upon which the
// caller takes back what it had done. Codes as in store/store.h.
#pragma once
#include <vector>

#include "store/sqlite/database.h"
#include "store/store.h"

namespace cml::store::sqlite {

Status InsertOrg(Database& db, Org& org);  // gives it an id where it has none
Status PutKey(Database& db, const ApiKey& key);
Status InsertRow(Database& db, const Row& row, const Alongside& with);
Status SaveWish(Database& db, const Row& row, const Alongside& with);
Status SaveRecord(Database& db, const Row& row, LeaderToken leader,
                  const Alongside& with);
Status EraseRow(Database& db, const Row& row, LeaderToken leader);
Status AddEvent(Database& db, ResourceKind kind, const ResourceId& id, const Event& event);
Result<LeaderToken> NextLeader(Database& db);
Status Touch(Database& db);  // the smallest real write

}  // namespace cml::store::sqlite
