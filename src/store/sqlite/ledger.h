// store/sqlite/ledger.h — what every organisation holds and may hold, and the head of the audit, kept
// in the memory of the one thread that writes.
//
// A work reads and changes them here; the rows of what changed are written once per commit, however
// many works are in it. What a work did is taken back with it. Where somebody else wrote the
// database in between (another process), all is read anew. Belongs to the write queue's thread.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "store/audit_chain.h"
#include "store/sqlite/database.h"
#include "store/sqlite/write_queue.h"
#include "store/store.h"

namespace cml::store::sqlite {

class Ledger final : public WriteQueue::Companion {
 public:
  explicit Ledger(Secret audit_key) : audit_key_(std::move(audit_key)) {}

  // The organisation's row holds `to` instead of `from`. kQuotaExceeded, where it is checked.
  enum class Check { kQuota, kNothing };
  struct Change {
    const Reservation& from;
    const Reservation& to;
    Check check;
  };
  Status Reserve(Database& db, const OrgId& org, const Change& change);
  Status PutQuota(Database& db, const OrgId& org, const Quota& quota);
  Status EraseOrg(Database& db, const OrgId& org);  // quota and sums
  Status AppendAudit(Database& db, AuditLine& line);

  Status StartBatch(Database& db) override;
  void StartWork() override;
  void TakeBackWork() override;
  Status EndBatch(Database& db) override;
  void TakeBackBatch() override;

 private:
  struct Account {
    Quota quota;
    QuotaUse use;
    std::array<bool, kQuotaGroups.size()> changed{};  // sums that are not in the table yet
  };
  struct Head {
    AuditHead row;
    bool trusted = true;  // a head that did not bear our signature is never signed again
    bool changed = false;
  };

  Result<std::optional<Head>> LoadHead(Database& db) const;
  Result<Account*> AccountOf(Database& db, const OrgId& org);
  void Remember(const OrgId& org, const Account* account);

  const Secret audit_key_;
  std::int64_t data_version_ = -1;  // of what is kept here
  std::unordered_map<OrgId, Account> accounts_;
  std::optional<Head> head_;
  // As they were before this work; nullopt: not kept then.
  std::vector<std::pair<OrgId, std::optional<Account>>> accounts_before_;
  std::optional<std::optional<Head>> head_before_;
};

Result<Quota> ReadQuota(Database& db, const OrgId& org);
Result<QuotaUse> ReadQuotaUse(Database& db, const OrgId& org);
Result<AuditHead> ReadAuditHead(Database& db);
// Signs the head of an audit that has just been made. Outside of the write queue.
Status SignEmptyAudit(Database& db, const Secret& audit_key);

}  // namespace cml::store::sqlite
