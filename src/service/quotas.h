// service/quotas.h — the use cases of quotas: read how organisations stand, change what they may
// hold, and applications for more.
//
// Thread-safe; blocks as long as the store does. A change is made against the limits that it has
// seen: of two administrators who change different fields at once, none undoes the other's. What
// is set below what is used stops new resources and ends none. Codes are those of the store, and
// kInvalidArgument (a field), kFailedPrecondition (an application that is decided already, too many
// that wait). Routes are checked by api/access_table.h.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/quota_change.h"
#include "service/caller.h"
#include "service/idempotency.h"
#include "store/store.h"

namespace cml::service {

// What a quota request may say about the organisation itself; absent: unchanged.
struct OrgWords {
  std::optional<std::string> name, mail, project;
  bool empty() const { return !name && !mail && !project; }
};

class Quotas {
 public:
  struct Deps {
    store::Store& store;
    const Clock& clock;
    // Changes the organisation, audited for `caller`; whoever keeps organisations in memory does
    // it.
    std::function<Status(const Caller& caller, const OrgId& org, const OrgWords& words)> change_org;
    Quota for_new;  // of an organisation that is made
  };
  explicit Quotas(Deps deps) : d_(std::move(deps)) {}

  Result<QuotaStanding> Read(const OrgId& org);
  Result<std::vector<QuotaStanding>> ReadAll();
  // What its unfinished resources hold, the largest first; nullopt: of all organisations.
  Result<std::vector<QuotaHolder>> Holders(const std::optional<OrgId>& org);
  // Could a new resource hold that much now? kQuotaExceeded. A hint: the write decides.
  Status Room(const OrgId& org, const Reservation& reservation);
  // What enable_rank gives to a resource of the group: 1, 2 or 3.
  std::int64_t RankOf(const OrgId& org, QuotaGroup group);

  Result<QuotaStanding> Update(const Caller& caller, const OrgId& org, const QuotaChange& change);
  // The limits of an organisation that was just made. A no-op where a quota was ever set.
  Status GiveDefault(const OrgId& org);
  // Remembers the mail for an organisation that has none yet. What is no mail address is not kept.
  Status OfferMail(const Caller& caller, const std::string& mail);

  // ---- applications
  Result<QuotaApplication> Apply(const Caller& caller, QuotaApplication request);
  // Newest first; nullopt: of all organisations.
  Result<std::vector<QuotaApplication>> Applications(const std::optional<OrgId>& org);
  // Sets the group's limits in the same transaction. `instead`: amounts that differ from those
  // asked for.
  struct Decision {
    QuotaAmounts instead;
    std::string message;
  };
  Result<QuotaApplication> Grant(const Caller& caller, const std::string& id,
                                 const Decision& decision);
  Result<QuotaApplication> Decline(const Caller& caller, const std::string& id,
                                   const std::string& message);

 private:
  struct Kept {
    QuotaApplication application;
    store::Document document;
  };
  struct QuotaWrite {
    OrgId org;
    std::vector<QuotaSetting> settings;
    std::vector<store::DocumentWrite> with;
    std::string target;  // for the audit
  };
  Status Write(const Caller& caller, const QuotaWrite& write);
  Result<QuotaApplication> File(const Caller& caller, QuotaApplication a, const KeepOnce& keep);
  Result<Kept> Find(const std::string& id);
  Result<Kept> FindPending(const std::string& id);
  Result<std::vector<store::Document>> AllApplications(const std::optional<OrgId>& org);
  store::DocumentWrite Decided(const Kept& kept) const;

  Deps d_;
};

}  // namespace cml::service
