// store/sqlite/reads.h — reads of documents, audit and usage on a reading connection. Codes as in
// store/store.h.
#pragma once
#include <vector>

#include "base/secret.h"
#include "store/sqlite/database.h"
#include "store/store.h"

namespace cml::store::sqlite {

// All rows of a query that has its parameters.
template <class T, class Read>
Result<std::vector<T>> Collect(Query& query, Read read) {
  std::vector<T> all;
  for (;;) {
    CML_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return all;
    Result<T> one = read();
    if (!one.ok()) return std::move(one).error();
    all.push_back(std::move(one).value());
  }
}

// As a parameter of LIMIT: no caller shows more at once.
std::int64_t LimitOf(std::size_t most);

Result<Document> GetDocument(Database& db, const Document& wanted);  // its kind, org and key
Result<std::vector<Document>> ListDocuments(Database& db, const DocumentQuery& wanted);
Result<std::vector<AuditLine>> ReadAudit(Database& db, const AuditQuery& wanted);
Result<AuditVerdict> VerifyAudit(Database& db, const Secret& key);  // in a snapshot
Result<std::vector<UsageRow>> ReadUsage(Database& db, const UsageQuery& wanted);
Result<std::vector<UsageRecord>> ListUsage(Database& db, const UsageListQuery& wanted);
Status VerifyQuotaUse(Database& db);

}  // namespace cml::store::sqlite
