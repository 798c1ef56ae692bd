#include "store/sqlite/ledger.h"

#include "base/log.h"
#include "crypto/digest.h"
#include "store/sql_ledger_statements.h"
#include "store/sqlite/rows.h"

namespace cml::store::sqlite {
namespace {

constexpr std::size_t kMostAccounts = 4096;
constexpr std::string_view kTotal = "total";  // beside the words of the groups

GroupQuota ReadLimits(Query& query) {
  GroupQuota limits;
  limits.millicores = query.NumberOrNull();
  limits.memory_bytes = query.NumberOrNull();
  limits.gpus = query.NumberOrNull();
  limits.count = query.NumberOrNull();
  limits.priority = query.NumberOrNull();
  limits.priority_rank = query.Number();
  return limits;
}

Status WriteLimits(Database& db, const OrgId& org, std::string_view group, const GroupQuota& limits) {
  return Query(db, sql::kPutQuota)
      .Bind(org.str())
      .Bind(group)
      .BindOrNull(limits.millicores)
      .BindOrNull(limits.memory_bytes)
      .BindOrNull(limits.gpus)
      .BindOrNull(limits.count)
      .BindOrNull(limits.priority)
      .Bind(limits.priority_rank)
      .Run();
}

Status WriteHead(Database& db, const AuditHead& head) {
  return Query(db, sql::kPutAuditHead)
      .Bind(static_cast<std::int64_t>(head.seq))
      .Bind(head.hash)
      .Bind(head.mac)
      .Run();
}

}  // namespace

Result<Quota> ReadQuota(Database& db, const OrgId& org) {
  Quota quota;
  Query query(db, sql::kGetQuota);
  query.Bind(org.str());
  for (;;) {
    CML_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return quota;
    const std::string word = query.Text();
    const GroupQuota limits = ReadLimits(query);
    if (word == kTotal) quota.total = limits;
    for (const QuotaGroup group : kQuotaGroups) {
      if (word == ToString(group)) quota.of(group) = limits;
    }
  }
}

Result<QuotaUse> ReadQuotaUse(Database& db, const OrgId& org) {
  QuotaUse use;
  Query query(db, sql::kGetQuotaUse);
  query.Bind(org.str());
  for (;;) {
    CML_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return use;
    CML_ASSIGN_OR_RETURN(const QuotaGroup group, ReadGroup(query));
    use.of(group) = ReadAmounts(query);
  }
}

Result<AuditHead> ReadAuditHead(Database& db) {
  AuditHead head;
  Query query(db, sql::kGetAuditHead);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) {
    head.hash = FirstAuditHash();
    return head;
  }
  head.seq = static_cast<std::uint64_t>(query.Number());
  head.hash = query.Text();
  head.mac = query.Text();
  return head;
}

Status SignEmptyAudit(Database& db, const Secret& audit_key) {
  AuditHead head{0, std::string(FirstAuditHash()), ""};
  head.mac = AuditMac(audit_key, head.seq, head.hash);
  return WriteHead(db, head);
}

// ---- quotas

Result<Ledger::Account*> Ledger::AccountOf(Database& db, const OrgId& org) {
  if (const auto at = accounts_.find(org); at != accounts_.end()) return &at->second;
  Account account;
  CML_ASSIGN_OR_RETURN(account.quota, ReadQuota(db, org));
  CML_ASSIGN_OR_RETURN(account.use, ReadQuotaUse(db, org));
  return &accounts_.emplace(org, std::move(account)).first->second;
}

void Ledger::Remember(const OrgId& org, const Account* account) {
  accounts_before_.emplace_back(org, account != nullptr ? std::optional(*account) : std::nullopt);
}

Status Ledger::Reserve(Database& db, const OrgId& org, const Change& change) {
  if (change.from == change.to) return Ok{};
  CML_ASSIGN_OR_RETURN(Account* const account, AccountOf(db, org));
  if (change.check == Check::kQuota) {
    CML_RETURN_IF_ERROR(CheckQuota(account->quota, account->use, change.from, change.to));
  }
  Remember(org, account);
  for (const QuotaGroup group : {change.from.group, change.to.group}) {
    account->changed[static_cast<std::size_t>(group)] = true;
  }
  account->use.of(change.from.group) -= change.from.amounts;
  account->use.of(change.to.group) += change.to.amounts;
  return Ok{};
}

Status Ledger::PutQuota(Database& db, const OrgId& org, const Quota& quota) {
  CML_ASSIGN_OR_RETURN(Account* const account, AccountOf(db, org));
  Remember(org, account);
  account->quota = quota;
  for (const QuotaGroup group : kQuotaGroups) {
    CML_RETURN_IF_ERROR(WriteLimits(db, org, ToString(group), quota.of(group)));
  }
  return WriteLimits(db, org, kTotal, quota.total);
}

Status Ledger::EraseOrg(Database& db, const OrgId& org) {
  if (const auto at = accounts_.find(org); at != accounts_.end()) {
    Remember(org, &at->second);
    accounts_.erase(at);
  }
  CML_RETURN_IF_ERROR(Query(db, sql::kEraseQuota).Bind(org.str()).Run());
  return Query(db, sql::kEraseQuotaUse).Bind(org.str()).Run();
}

// ---- audit

// Lines are always numbered onwards, also where the head or the last lines are not what we wrote:
// what is missing stays missing, and the audit goes on.
Result<std::optional<Ledger::Head>> Ledger::LoadHead(Database& db) const {
  Head head;
  CML_ASSIGN_OR_RETURN(head.row, ReadAuditHead(db));
  AuditHead& row = head.row;
  head.trusted = crypto::ConstantTimeEquals(AuditMac(audit_key_, row.seq, row.hash), row.mac);
  Query query(db, sql::kLastAudit);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  const std::uint64_t last = found ? static_cast<std::uint64_t>(query.Number()) : 0;
  if (last != row.seq) head.trusted = false;
  if (last > row.seq) {
    row.seq = last;
    row.hash = query.Text();
  }
  if (!head.trusted) {
    LogError("store: the end of the audit is not as it was written", {{"line", std::to_string(row.seq)}});
  }
  return std::optional(std::move(head));
}

Status Ledger::AppendAudit(Database& db, AuditLine& line) {
  if (!head_) {
    CML_ASSIGN_OR_RETURN(head_, LoadHead(db));
  }
  if (!head_before_) head_before_ = head_;
  AuditHead& head = head_->row;
  line.seq = head.seq + 1;
  line.hash = AuditHash(head.hash, line);
  CML_RETURN_IF_ERROR(Query(db, sql::kAddAudit)
                          .Bind(static_cast<std::int64_t>(line.seq))
                          .Bind(ToNumber(line.at))
                          .Bind(line.org.str())
                          .Bind(line.text)
                          .Bind(line.hash)
                          .Run());
  head.seq = line.seq;
  head.hash = line.hash;
  head_->changed = true;
  return Ok{};
}

// ---- the batch

Status Ledger::StartBatch(Database& db) {
  Query query(db, "PRAGMA data_version");  // moves when another connection has committed
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  const std::int64_t version = found ? query.Number() : 0;
  if (std::exchange(data_version_, version) != version || accounts_.size() > kMostAccounts) {
    accounts_.clear();
    head_.reset();
  }
  return Ok{};
}

void Ledger::StartWork() {
  accounts_before_.clear();
  head_before_.reset();
}

void Ledger::TakeBackWork() {
  for (auto at = accounts_before_.rbegin(); at != accounts_before_.rend(); ++at) {
    if (at->second) {
      accounts_[at->first] = std::move(*at->second);
    } else {
      accounts_.erase(at->first);
    }
  }
  if (head_before_) head_ = std::move(*head_before_);
  StartWork();
}

Status Ledger::EndBatch(Database& db) {
  for (auto& [org, account] : accounts_) {
    for (const QuotaGroup group : kQuotaGroups) {
      bool& changed = account.changed[static_cast<std::size_t>(group)];
      if (!changed) continue;
      Query query(db, sql::kPutQuotaUse);
      query.Bind(org.str()).Bind(ToString(group));
      CML_RETURN_IF_ERROR(BindAmounts(query, account.use.of(group)).Run());
      changed = false;
    }
  }
  if (head_ && head_->changed) {
    AuditHead& head = head_->row;
    head.mac = head_->trusted ? AuditMac(audit_key_, head.seq, head.hash) : "";
    CML_RETURN_IF_ERROR(WriteHead(db, head));
    head_->changed = false;
  }
  return Ok{};
}

void Ledger::TakeBackBatch() {
  accounts_.clear();
  head_.reset();
  data_version_ = -1;
}

}  // namespace cml::store::sqlite
