// store/sqlite/rows.h — rows of the tables as values: columns in the order in which the statements
// of sql_statements.h name them. kDataLoss: a word or number that no version of ours has written.
#pragma once
#include "store/sqlite/database.h"
#include "store/store.h"

namespace cml::store::sqlite {

Result<Org> ReadOrg(Query& query);
Result<ApiKey> ReadKey(Query& query);
Result<Row> ReadRow(Query& query, ResourceKind kind);
Result<Reservation> ReadReservation(Query& query);  // group and amounts
Result<QuotaGroup> ReadGroup(Query& query);
Amounts ReadAmounts(Query& query);
Document ReadDocument(Query& query, DocumentKind kind);
AuditLine ReadAuditLine(Query& query);
Result<UsageRecord> ReadUsageRecord(Query& query);
UsageSums ReadUsageSums(Query& query);

// The same columns as parameters.
Query& BindReservation(Query& query, const Reservation& reservation);
Query& BindAmounts(Query& query, const Amounts& amounts);
Query& BindUsageSums(Query& query, const UsageSums& sums);
Result<Event> ReadEvent(Query& query);

inline std::int64_t ToNumber(SysTime t) { return t.time_since_epoch().count(); }
inline std::int64_t ToNumber(UsageDay d) { return d.time_since_epoch().count(); }
inline std::int64_t ToNumber(Revision r) { return static_cast<std::int64_t>(r); }
inline std::int64_t ToNumber(LeaderToken t) { return static_cast<std::int64_t>(t); }

}  // namespace cml::store::sqlite
