// store/store.h — the seam to durable state: organisations, keys, quotas, resources and their
// events, small documents, the audit, and what was used.
// sqlite/ implements it; postgres/ and etcd/ have their folders later.
//
// A resource is a wish (written by the API) and a record (written by its controller) under one
// revision. Here both are JSON text; store/resources.h gives them their types.
//
// Promises of every implementation (testing/store_contract.h):
//   1. Thread-safe. Writes of concurrent callers may be committed together; each is all or nothing.
//   2. A write that has returned OK survives kill -9 and power loss.
//   3. A read sees every write that returned before it was called.
//   4. kConflict: somebody wrote first and nothing was changed. kFailedPrecondition: the leader
//      token is older than the newest seen, and nothing was changed.
//   5. kUnavailable: no space or no connection; nothing was changed, and the same call works again
//      when the cause is gone.
//   6. kNotFound from a save or an erase: the row is gone, and so are its events.
//   7. What an organisation uses is the sum of the reservations of its rows, at every instant. A
//      write that would raise it above the quota changes nothing and returns kQuotaExceeded
//      (core/quota.h, CheckQuota). Only Insert and SaveWish are checked: a record never waits.
//   8. Audit lines are numbered without a gap in the order of their commits, each chained to the
//      one before it; none is ever changed or removed. A usage record is kept once, by its id: a
//      second one with the same id changes nothing and is no error.
// Calls may block for as long as a disk takes; point reads of a cached page take microseconds.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "core/audit.h"
#include "core/identity.h"
#include "core/quota.h"
#include "core/resource.h"
#include "core/usage.h"
#include "core/usage_sums.h"

namespace cml::store {

// Grows with each write of the row. 0: there is no row yet.
enum class Revision : std::uint64_t {};

// Proof of leadership (leader.h). A leader that was paused and lost its lease cannot write.
enum class LeaderToken : std::uint64_t {};

struct Row {
  ResourceKind kind = ResourceKind::kTrainJob;
  Meta meta;
  std::string wish;        // JSON
  std::string record;      // JSON
  std::string state;       // copy of the record's state, for filters and counts
  bool live = true;        // false: being deleted; its name is free again
  bool unfinished = true;  // a controller has something to do
  Reservation reserved;    // what it holds of its organisation's quota
  Revision revision{};
};

// Small JSON texts that have no controller, of an organisation (or of none: the platform's), each
// under a key that is unique in its kind and organisation.
enum class DocumentKind { kUser, kApplication, kBudget, kWebhook, kDelivery, kIdempotency, kSetting };
constexpr std::string_view ToString(DocumentKind kind) noexcept {
  switch (kind) {
    case DocumentKind::kUser: return "user";
    case DocumentKind::kApplication: return "application";
    case DocumentKind::kBudget: return "budget";
    case DocumentKind::kWebhook: return "webhook";
    case DocumentKind::kDelivery: return "delivery";
    case DocumentKind::kIdempotency: return "idempotency";
    case DocumentKind::kSetting: return "setting";
  }
  return "";
}
struct Document {
  DocumentKind kind = DocumentKind::kSetting;
  OrgId org;
  std::string key;
  std::string body;  // JSON
  SysTime updated{};
  Revision revision{};  // greater than that of every document written before it
};
struct DocumentWrite {
  Document document;
  enum class Act {
    kInsert,   // kAlreadyExists when there is one
    kReplace,  // kConflict when it is not at document.revision; kNotFound when there is none
    kPut,      // whatever is there
    kErase,    // no error when there is none
  } act = Act::kPut;
};
struct DocumentQuery {
  DocumentKind kind = DocumentKind::kSetting;
  std::optional<OrgId> org;  // nullopt: of all organisations
  std::string prefix;        // of the key
  std::size_t most = 1000;
  OrgId after_org;           // in order of organisation and key; those after this one
  std::string after_key;
};

// What is committed in one transaction with a row, or alone (Commit).
struct Alongside {
  std::vector<Event> events{};  // of the row; only the verbs of resources write them
  std::vector<AuditEntry> audit{};
  std::vector<UsageRecord> usage{};
  std::vector<DocumentWrite> documents{};
};

struct AuditQuery {
  std::optional<OrgId> org;   // nullopt: of all organisations
  std::uint64_t after = 0;    // oldest first: lines with a greater number …
  std::uint64_t before = 0;   // … or, if not 0, newest first: lines with a smaller one
  SysTime from{}, until{};    // epoch: open; until is exclusive
  std::size_t most = 1000;
};
struct AuditVerdict {
  std::uint64_t lines = 0;
  std::string head;           // hash of the last line
  std::uint64_t wrong = 0;    // number of the first line that is missing or altered; 0: all is well
  std::string message;        // one sentence on what is wrong
};

// Sums per day (UTC), so that each day can be priced by itself. A row for each value of what is
// asked for; kind and gpu_model are always told apart.
struct UsageQuery {
  enum class By { kDay, kOrg, kUser, kLabel } by = By::kOrg;
  std::string label;         // kLabel: the key; records without it are in no row
  std::optional<OrgId> org;  // nullopt: of all organisations
  UsageDay from{}, until{};  // until is exclusive
};
struct UsageRow {
  UsageDay day{};
  OrgId org;          // kOrg, kUser, kLabel
  std::string user;   // kUser
  std::string label;  // kLabel: the value
  std::string kind, gpu_model;
  UsageSums sums;
};
// The records themselves, in order of their end (`to`) and id.
struct UsageListQuery {
  std::optional<OrgId> org;
  ResourceId resource;      // not empty: of this one alone
  SysTime from{}, until{};  // those that overlap it; epoch: open
  std::size_t most = 1000;
  SysTime after_to{};       // the records after this one
  std::string after_id;
};

struct ListQuery {
  std::optional<OrgId> org;  // nullopt: all organisations
  std::size_t most = 100;
  // Newest first; rows after this one (created and id of the last row of the page before).
  SysTime after_created{};
  ResourceId after_id;
};

class Store {
 public:
  virtual ~Store() = default;

  // ---- organisations and keys
  virtual Result<Org> CreateOrg(const Org& org, const Alongside& with = {}) = 0;  // kAlreadyExists by name; empty id: assigned
  // Writes all but id, created and unix_uid (unix_uid once, where it was 0). kNotFound,
  // kAlreadyExists.
  virtual Status UpdateOrg(const Org& org, const Alongside& with = {}) = 0;
  // Removes the organisation with its keys, quota and documents; its id and its uid are not used
  // again, its audit and its usage stay. kFailedPrecondition while it has resources.
  virtual Status EraseOrg(const OrgId& id, const Alongside& with = {}) = 0;
  virtual Result<Org> GetOrg(const OrgId& id) = 0;
  virtual Result<std::vector<Org>> ListOrgs() = 0;
  // Inserts or replaces all but last_used.
  virtual Status PutKey(const ApiKey& key, const Alongside& with = {}) = 0;
  virtual Status EraseKey(const AccessKey& key, const Alongside& with = {}) = 0;  // kNotFound
  virtual Result<ApiKey> GetKey(const AccessKey& key) = 0;
  virtual Result<std::vector<ApiKey>> ListKeys(const OrgId& org) = 0;
  // Notes when keys were last used; keys that are gone are passed over.
  virtual Status TouchKeys(const std::vector<std::pair<AccessKey, SysTime>>& used) = 0;

  // ---- quotas
  virtual Result<Quota> GetQuota(const OrgId& org) = 0;  // never set: without limits
  virtual Status PutQuota(const OrgId& org, const Quota& quota, const Alongside& with = {}) = 0;
  virtual Result<QuotaUse> GetQuotaUse(const OrgId& org) = 0;
  // Adds the reservations of all rows up and compares. kDataLoss: names the organisation whose
  // stored sums are others.
  virtual Status VerifyQuotaUse() = 0;

  // ---- resources
  // kAlreadyExists: a live row of that kind has the name in that organisation. kConflict: the id is
  // in use. row.revision is not looked at.
  virtual Result<Revision> Insert(const Row& row, const Alongside& with) = 0;
  // The live row of that name, else the newest one being deleted.
  virtual Result<Row> Find(ResourceKind kind, const OrgId& org, const std::string& name) = 0;
  // Differs from every earlier stamp of the name once what Find gives for it may differ, and stays
  // the same while it does not: whoever takes it before a Find may keep what he found as long as
  // the stamp stays. 0: this store cannot tell, keep nothing.
  virtual std::uint64_t NameStamp(ResourceKind, const OrgId&, const std::string&) const { return 0; }
  virtual Result<Row> Get(ResourceKind kind, const ResourceId& id) = 0;
  virtual Result<std::vector<Row>> List(ResourceKind kind, const ListQuery& query) = 0;
  virtual Result<std::vector<ResourceId>> ListUnfinished(ResourceKind kind) = 0;
  virtual Result<std::uint64_t> CountUnfinished(ResourceKind kind) = 0;
  // Writes wish, live, unfinished, reserved, meta.updated iff the row is still at row.revision.
  // kAlreadyExists: the row would come alive under a name that is taken.
  virtual Result<Revision> SaveWish(const Row& row, const Alongside& with) = 0;
  // Writes record, state, unfinished, reserved, meta.updated iff the row is still at row.revision and
  // `leader` is current. A token newer than all seen makes the older ones stale.
  virtual Result<Revision> SaveRecord(const Row& row, LeaderToken leader, const Alongside& with) = 0;
  // Removes the row and its events iff it is still at row.revision and `leader` is current.
  virtual Status Erase(const Row& row, LeaderToken leader, const Alongside& with = {}) = 0;

  // ---- events
  // An event with the type, reason and message of the resource's newest one raises that one's
  // count.
  virtual Status AddEvent(ResourceKind kind, const ResourceId& id, const Event& event) = 0;
  virtual Result<std::vector<Event>> Events(ResourceKind kind,
                                            const ResourceId& id) = 0;  // oldest first

  // ---- documents, audit, usage
  // All of it or nothing. For what changes no row. Beside the codes of its documents:
  // kInvalidArgument, when a usage record has no id or a negative amount.
  virtual Status Commit(const Alongside& all) = 0;
  virtual Result<Document> GetDocument(DocumentKind kind, const OrgId& org, const std::string& key) = 0;
  virtual Result<std::vector<Document>> ListDocuments(const DocumentQuery& query) = 0;
  virtual Result<std::vector<AuditLine>> ReadAudit(const AuditQuery& query) = 0;
  // Reads every line and checks number, chain and head.
  virtual Result<AuditVerdict> VerifyAudit() = 0;
  // In order of day, organisation, kind, model, and user or label.
  virtual Result<std::vector<UsageRow>> ReadUsage(const UsageQuery& query) = 0;
  virtual Result<std::vector<UsageRecord>> ListUsage(const UsageListQuery& query) = 0;

  // ---- leadership, upkeep
  virtual Result<LeaderToken> BecomeLeader() = 0;                // greater than every token before
  virtual Status Ping() = 0;                                     // can it write? for /readyz
  virtual Status Backup(const std::filesystem::path& file) = 0;  // consistent copy while in use
};

}  // namespace cml::store
