// store/sqlite/rows.h — rows of the tables as values: columns in the order in which the statements
// of sql_statements.h name them. kDataLoss: a word or number that no version of ours has written.
#pragma once
#include "store/sqlite/database.h"
#include "store/store.h"

namespace cml::store::sqlite {

Org ReadOrg(Query& query);
Result<ApiKey> ReadKey(Query& query);
Row ReadRow(Query& query, ResourceKind kind);
Result<Event> ReadEvent(Query& query);

inline std::int64_t ToNumber(SysTime t) { return t.time_since_epoch().count(); }
inline std::int64_t ToNumber(Revision r) { return static_cast<std::int64_t>(r); }
inline std::int64_t ToNumber(LeaderToken t) { return static_cast<std::int64_t>(t); }

}  // namespace cml::store::sqlite
