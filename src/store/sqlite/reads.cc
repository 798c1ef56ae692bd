#include "store/sqlite/reads.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "base/strings.h"
#include "store/alongside.h"
#include "store/sql_ledger_statements.h"
#include "store/sql_statements.h"
#include "store/sqlite/ledger.h"
#include "store/sqlite/rows.h"

namespace cml::store::sqlite {
namespace {

constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();

std::int64_t FromOf(SysTime from) { return from == SysTime{} ? kFirst : ToNumber(from); }
std::int64_t UntilOf(SysTime until) { return until == SysTime{} ? kLast : ToNumber(until); }

// Documents as the query gives them, until there are enough or the prefix is behind.
enum class OtherKeys { kEnd, kPassOver };
Result<std::vector<Document>> CollectDocuments(Query& query, const DocumentQuery& wanted, OtherKeys others) {
  std::vector<Document> all;
  while (all.size() < wanted.most) {
    CML_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) break;
    Document document = ReadDocument(query, wanted.kind);
    if (document.key.starts_with(wanted.prefix)) {
      all.push_back(std::move(document));
    } else if (others == OtherKeys::kEnd) {
      break;
    }
  }
  return all;
}

// ---- usage

struct DayStatement {
  const char* of_all;
  const char* of_org;
};

DayStatement StatementsFor(UsageQuery::By by) {
  switch (by) {
    case UsageQuery::By::kDay:
    case UsageQuery::By::kOrg:
      return {sql::kUsageByOrg, sql::kUsageOfOrgByOrg};
    case UsageQuery::By::kUser:
      return {sql::kUsageByUser, sql::kUsageOfOrgByUser};
    case UsageQuery::By::kLabel:
      return {sql::kUsageByLabel, sql::kUsageOfOrgByLabel};
  }
  return {};
}

UsageRow ReadUsageRow(Query& query, UsageQuery::By by) {
  UsageRow row;
  row.day = UsageDay(std::chrono::days(query.Number()));
  row.org = OrgId(query.Text());
  row.kind = query.Text();
  row.gpu_model = query.Text();
  (by == UsageQuery::By::kLabel ? row.label : row.user) = query.Text();
  row.sums = ReadUsageSums(query);
  return row;
}

// The rows of one day without their organisations.
std::vector<UsageRow> WithoutOrgs(std::vector<UsageRow> rows) {
  std::map<std::pair<std::string, std::string>, UsageRow> sums;
  for (UsageRow& row : rows) {
    const auto [at, is_new] = sums.try_emplace({row.kind, row.gpu_model}, row);
    if (is_new) {
      at->second.org = OrgId();
    } else {
      at->second.sums += row.sums;
    }
  }
  rows.clear();
  for (auto& [key, row] : sums) rows.push_back(std::move(row));
  return rows;
}

Result<std::vector<UsageRow>> ReadUsageOfDay(Database& db, const UsageQuery& wanted, std::int64_t day) {
  const DayStatement statement = StatementsFor(wanted.by);
  Query query(db, wanted.org ? statement.of_org : statement.of_all);
  query.Bind(day);
  if (wanted.org) query.Bind(wanted.org->str());
  if (wanted.by == UsageQuery::By::kLabel) query.Bind(wanted.label);
  CML_ASSIGN_OR_RETURN(auto rows, Collect<UsageRow>(query, [&] { return Result<UsageRow>(ReadUsageRow(query, wanted.by)); }));
  if (wanted.by == UsageQuery::By::kDay) return WithoutOrgs(std::move(rows));
  return rows;
}

Result<std::int64_t> LongestUsage(Database& db) {
  Query query(db, sql::kGetNumber);
  CML_ASSIGN_OR_RETURN(const bool found, query.Bind(std::string_view("usage_longest")).Step());
  return found ? query.Number() : 0;
}

}  // namespace

std::int64_t LimitOf(std::size_t most) {
  constexpr std::size_t kMost = 1U << 20;
  return static_cast<std::int64_t>(std::min(most, kMost));
}

// ---- documents

Result<Document> GetDocument(Database& db, const Document& wanted) {
  Query query(db, sql::kGetDocument);
  query.Bind(ToString(wanted.kind)).Bind(wanted.org.str()).Bind(wanted.key);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return Error(Code::kNotFound, NameOf(wanted) + " does not exist");
  return ReadDocument(query, wanted.kind);
}

Result<std::vector<Document>> ListDocuments(Database& db, const DocumentQuery& wanted) {
  if (!wanted.org) {
    Query query(db, sql::kListDocuments);
    query.Bind(ToString(wanted.kind)).Bind(wanted.after_org.str()).Bind(wanted.after_key);
    return CollectDocuments(query, wanted, OtherKeys::kPassOver);
  }
  const bool from_start = wanted.after_org.empty() && wanted.after_key.empty();
  std::string after;
  if (!from_start && wanted.after_org > *wanted.org) return std::vector<Document>();
  if (wanted.after_org == *wanted.org) after = wanted.after_key;
  Query query(db, sql::kListDocumentsOfOrg);
  query.Bind(ToString(wanted.kind)).Bind(wanted.org->str()).Bind(wanted.prefix).Bind(after);
  return CollectDocuments(query, wanted, OtherKeys::kEnd);
}

// ---- audit

Result<std::vector<AuditLine>> ReadAudit(Database& db, const AuditQuery& wanted) {
  const bool newest_first = wanted.before != 0;
  Query query(db, wanted.org ? (newest_first ? sql::kAuditOfOrgBefore : sql::kAuditOfOrgAfter)
                             : (newest_first ? sql::kAuditBefore : sql::kAuditAfter));
  const std::uint64_t edge = newest_first ? wanted.before : wanted.after;
  query.Bind(static_cast<std::int64_t>(std::min(edge, static_cast<std::uint64_t>(kLast))));
  query.Bind(FromOf(wanted.from)).Bind(UntilOf(wanted.until));
  if (wanted.org) query.Bind(wanted.org->str());
  query.Bind(LimitOf(wanted.most));
  return Collect<AuditLine>(query, [&] { return Result<AuditLine>(ReadAuditLine(query)); });
}

Result<AuditVerdict> VerifyAudit(Database& db, const Secret& key) {
  CML_ASSIGN_OR_RETURN(const AuditHead head, ReadAuditHead(db));
  AuditCheck check;
  Query query(db, sql::kAllAudit);
  for (;;) {
    CML_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more || !check.Take(ReadAuditLine(query))) return check.Finish(head, key);
  }
}

// ---- usage

// Day by day: each is a short stretch of the table, however many there are of others.
Result<std::vector<UsageRow>> ReadUsage(Database& db, const UsageQuery& wanted) {
  std::int64_t from = ToNumber(wanted.from), until = ToNumber(wanted.until);
  {
    Query query(db, sql::kUsageDays);
    CML_ASSIGN_OR_RETURN(const bool found, query.Step());
    const auto first = found ? query.NumberOrNull() : std::nullopt;
    if (!first) return std::vector<UsageRow>();
    from = std::max(from, *first);
    until = std::min(until, query.Number() + 1);
  }
  std::vector<UsageRow> all;
  for (std::int64_t day = from; day < until; ++day) {
    CML_ASSIGN_OR_RETURN(auto rows, ReadUsageOfDay(db, wanted, day));
    std::move(rows.begin(), rows.end(), std::back_inserter(all));
  }
  return all;
}

Result<std::vector<UsageRecord>> ListUsage(Database& db, const UsageListQuery& wanted) {
  CML_ASSIGN_OR_RETURN(const std::int64_t longest, LongestUsage(db));
  const std::int64_t until = UntilOf(wanted.until);
  const bool from_start = wanted.after_id.empty();
  const std::int64_t after = from_start ? kFirst : ToNumber(wanted.after_to);
  Query query(db, !wanted.resource.empty() ? sql::kListUsageOfResource
                  : wanted.org             ? sql::kListUsageOfOrg
                                           : sql::kListUsage);
  query.Bind(std::max(FromOf(wanted.from), from_start ? kFirst : after - 1))
      .Bind(until)
      .Bind(until > kLast - longest ? kLast : until + longest)
      .Bind(after)
      .Bind(wanted.after_id);
  if (!wanted.resource.empty()) {
    query.Bind(wanted.resource.str());
  } else if (wanted.org) {
    query.Bind(wanted.org->str());
  }
  query.Bind(LimitOf(wanted.most));
  CML_ASSIGN_OR_RETURN(auto all, Collect<UsageRecord>(query, [&] { return ReadUsageRecord(query); }));
  if (!wanted.resource.empty() && wanted.org) {
    std::erase_if(all, [&](const UsageRecord& r) { return r.org != *wanted.org; });
  }
  return all;
}

// ---- quotas

Status VerifyQuotaUse(Database& db) {
  Query query(db, sql::kWrongQuotaUse);
  CML_ASSIGN_OR_RETURN(const bool wrong, query.Step());
  if (!wrong) return Ok{};
  const std::string org = query.Text(), group = query.Text();
  return Error(Code::kDataLoss, "organisation " + Quote(org) + " does not hold what its resources hold, in group " + group);
}

}  // namespace cml::store::sqlite
