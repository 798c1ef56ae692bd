// store/testing/memory_store.h — a store in memory for tests. It keeps the promises of store.h but
// the second (nothing survives the process) and can be told to fail.
//
// Thread-safe: one lock around each call.
#pragma once
#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "base/strings.h"
#include "store/store.h"
#include "store/testing/memory_identities.h"
#include "store/testing/memory_ledger.h"

namespace cml::store::testing {

class MemoryStore : public Store {
 public:
  // The next call of any kind returns `error`: before it has done anything, or after it has done
  // everything (a commit whose answer was lost).
  enum class FailWhen { kBefore, kAfter };
  void FailNext(FailWhen when, Error error) {
    const std::lock_guard lock(mutex_);
    failure_.emplace(when, std::move(error));
  }

  Result<Org> CreateOrg(const Org& org, const Alongside& with = {}) override {
    return Do([&]() -> Result<Org> {
      CML_RETURN_IF_ERROR(identities_.CheckNew(org));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      Org made = identities_.Add(org);
      ledger_.Apply(with);
      return made;
    });
  }
  Status UpdateOrg(const Org& org, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(identities_.CheckChange(org));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      identities_.Change(org);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Status EraseOrg(const OrgId& id, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_ASSIGN_OR_RETURN(const Org org, identities_.Find(id));
      if (std::ranges::any_of(entries_, [&](const auto& e) { return e.second.row.meta.org == id; })) {
        return Error(Code::kFailedPrecondition, "organisation " + Quote(org.name) + " still has resources");
      }
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      identities_.Erase(org);
      ledger_.Forget(id);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Result<Org> GetOrg(const OrgId& id) override {
    return Do([&] { return identities_.Find(id); });
  }
  Result<std::vector<Org>> ListOrgs() override {
    return Do([&]() -> Result<std::vector<Org>> { return identities_.Orgs(); });
  }
  Status PutKey(const ApiKey& key, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      identities_.Put(key);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Status EraseKey(const AccessKey& key, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(identities_.Find(key));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      identities_.Erase(key);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Status TouchKeys(const std::vector<std::pair<AccessKey, SysTime>>& used) override {
    return Do([&]() -> Status {
      for (const auto& [key, when] : used) identities_.Touch(key, when);
      return Ok{};
    });
  }
  Result<ApiKey> GetKey(const AccessKey& key) override {
    return Do([&] { return identities_.Find(key); });
  }
  Result<std::vector<ApiKey>> ListKeys(const OrgId& org) override {
    return Do([&]() -> Result<std::vector<ApiKey>> { return identities_.KeysOf(org); });
  }

  Result<Quota> GetQuota(const OrgId& org) override {
    return Do([&]() -> Result<Quota> { return ledger_.QuotaOf(org); });
  }
  Status PutQuota(const OrgId& org, const Quota& quota, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      ledger_.PutQuota(org, quota);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Result<QuotaUse> GetQuotaUse(const OrgId& org) override {
    return Do([&]() -> Result<QuotaUse> { return ledger_.UseOf(org); });
  }
  Status VerifyQuotaUse() override {
    return Do([&]() -> Status {
      std::map<OrgId, QuotaUse> sums;
      for (const auto& [id, entry] : entries_) {
        sums[entry.row.meta.org].of(entry.row.reserved.group) += entry.row.reserved.amounts;
      }
      for (const auto& [org, use] : ledger_.uses()) {
        if (sums[org].groups != use.groups) return Error(Code::kDataLoss, "the sums of " + org.str() + " are wrong");
      }
      return Ok{};
    });
  }

  Result<Revision> Insert(const Row& row, const Alongside& with) override {
    return Do([&]() -> Result<Revision> {
      if (NameTaken(row)) return Exists(row);
      if (entries_.contains(row.meta.id)) {
        return Error(Code::kConflict, "id " + Quote(row.meta.id.str()) + " is in use");
      }
      CML_RETURN_IF_ERROR(ledger_.CheckReserve(row.meta.org, {}, row.reserved));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      Entry& entry = entries_[row.meta.id];
      entry.row = row;
      entry.row.reserved = {};
      Row first = row;
      first.revision = Revision{0};
      return Finish(entry, first, with);
    });
  }
  Result<Row> Find(ResourceKind kind, const OrgId& org, const std::string& name) override {
    return Do([&]() -> Result<Row> {
      const Row* best = nullptr;
      const auto rank = [](const Row& r) { return std::tie(r.live, r.meta.created, r.meta.id); };
      for (const auto& [id, entry] : entries_) {
        const Row& row = entry.row;
        if (row.kind != kind || row.meta.org != org || row.meta.name != name) continue;
        if (best == nullptr || rank(*best) < rank(row)) best = &row;
      }
      if (best == nullptr) return Missing(kind, name);
      return *best;
    });
  }
  Result<Row> Get(ResourceKind kind, const ResourceId& id) override {
    return Do([&]() -> Result<Row> {
      const Entry* entry = At(kind, id);
      if (entry == nullptr) return Missing(kind, id.str());
      return entry->row;
    });
  }
  Result<std::vector<Row>> List(ResourceKind kind, const ListQuery& query) override {
    return Do([&]() -> Result<std::vector<Row>> {
      const auto key = [](const Row& r) { return std::tie(r.meta.created, r.meta.id); };
      const auto after = std::tie(query.after_created, query.after_id);
      std::vector<Row> all;
      for (const auto& [id, entry] : entries_) {
        const Row& row = entry.row;
        if (row.kind != kind || (query.org && row.meta.org != *query.org)) continue;
        if (query.after_id.empty() || key(row) < after) all.push_back(row);
      }
      std::ranges::sort(all, [&](const Row& a, const Row& b) { return key(b) < key(a); });
      if (all.size() > query.most) all.resize(query.most);
      return all;
    });
  }
  Result<std::vector<ResourceId>> ListUnfinished(ResourceKind kind) override {
    return Do([&]() -> Result<std::vector<ResourceId>> { return Unfinished(kind); });
  }
  Result<std::uint64_t> CountUnfinished(ResourceKind kind) override {
    return Do([&]() -> Result<std::uint64_t> { return Unfinished(kind).size(); });
  }
  Result<Revision> SaveWish(const Row& row, const Alongside& with) override {
    return Do([&]() -> Result<Revision> {
      CML_ASSIGN_OR_RETURN(Entry* const entry, Expect(row));
      if (!entry->row.live && NameTaken(row)) return Exists(row);
      CML_RETURN_IF_ERROR(ledger_.CheckReserve(entry->row.meta.org, entry->row.reserved, row.reserved));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      entry->row.wish = row.wish;
      entry->row.live = row.live;
      return Finish(*entry, row, with);
    });
  }
  Result<Revision> SaveRecord(const Row& row, LeaderToken leader,
                              const Alongside& with) override {
    return Do([&]() -> Result<Revision> {
      CML_RETURN_IF_ERROR(CheckLeader(leader));
      CML_ASSIGN_OR_RETURN(Entry* const entry, Expect(row));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      leader_ = leader;
      entry->row.record = row.record;
      entry->row.state = row.state;
      return Finish(*entry, row, with);
    });
  }
  Status Erase(const Row& row, LeaderToken leader, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(CheckLeader(leader));
      CML_ASSIGN_OR_RETURN(Entry* const entry, Expect(row));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      leader_ = leader;
      ledger_.Reserve(entry->row.meta.org, entry->row.reserved, {});
      entries_.erase(row.meta.id);
      ledger_.Apply(with);
      return Ok{};
    });
  }

  Status AddEvent(ResourceKind kind, const ResourceId& id, const Event& event) override {
    return Do([&]() -> Status {
      Entry* entry = At(kind, id);
      if (entry == nullptr) return Missing(kind, id.str());
      Append(*entry, event);
      return Ok{};
    });
  }
  Result<std::vector<Event>> Events(ResourceKind kind, const ResourceId& id) override {
    return Do([&]() -> Result<std::vector<Event>> {
      const Entry* entry = At(kind, id);
      if (entry == nullptr) return Missing(kind, id.str());
      return entry->events;
    });
  }

  Result<LeaderToken> BecomeLeader() override {
    return Do([&]() -> Result<LeaderToken> {
      leader_ = static_cast<LeaderToken>(static_cast<std::uint64_t>(leader_) + 1);
      return leader_;
    });
  }

  Status Commit(const Alongside& all) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(all));
      ledger_.Apply(all);
      return Ok{};
    });
  }
  Result<Document> GetDocument(DocumentKind kind, const OrgId& org, const std::string& key) override {
    return Do([&] { return ledger_.GetDocument(kind, org, key); });
  }
  Result<std::vector<Document>> ListDocuments(const DocumentQuery& query) override {
    return Do([&]() -> Result<std::vector<Document>> { return ledger_.ListDocuments(query); });
  }
  Result<std::vector<AuditLine>> ReadAudit(const AuditQuery& query) override {
    return Do([&]() -> Result<std::vector<AuditLine>> { return ledger_.ReadAudit(query); });
  }
  Result<AuditVerdict> VerifyAudit() override {
    return Do([&]() -> Result<AuditVerdict> { return ledger_.VerifyAudit(); });
  }
  Result<std::vector<UsageRow>> ReadUsage(const UsageQuery& query) override {
    return Do([&]() -> Result<std::vector<UsageRow>> { return ledger_.ReadUsage(query); });
  }
  Result<std::vector<UsageRecord>> ListUsage(const UsageListQuery& query) override {
    return Do([&]() -> Result<std::vector<UsageRecord>> { return ledger_.ListUsage(query); });
  }

  Status Ping() override {
    return Do([]() -> Status { return Ok{}; });
  }
  // One line per row: there is nothing that reads it back.
  Status Backup(const std::filesystem::path& file) override {
    return Do([&]() -> Status {
      std::ofstream out(file);
      for (const auto& [id, entry] : entries_)
        out << id.str() << ' ' << entry.row.meta.name << '\n';
      out.close();
      if (!out) return Error(Code::kUnavailable, "cannot write " + file.string());
      return Ok{};
    });
  }

 private:
  struct Entry {
    Row row;
    std::vector<Event> events;
  };

  template <class F>
  auto Do(F call) -> decltype(call()) {
    const std::lock_guard lock(mutex_);
    const auto failure = std::exchange(failure_, std::nullopt);
    if (failure && failure->first == FailWhen::kBefore) return failure->second;
    auto result = call();
    if (failure) return failure->second;
    return result;
  }

  static Error Missing(ResourceKind kind, const std::string& subject) {
    return {Code::kNotFound,
            std::string(ToString(kind)) + " " + Quote(subject) + " does not exist"};
  }
  static Error Exists(const Row& row) {
    return {Code::kAlreadyExists,
            std::string(ToString(row.kind)) + " " + Quote(row.meta.name) + " exists already"};
  }
  bool NameTaken(const Row& row) const {
    return row.live && std::ranges::any_of(entries_, [&](const auto& pair) {
             const Row& other = pair.second.row;
             return other.live && other.kind == row.kind && other.meta.org == row.meta.org &&
                    other.meta.name == row.meta.name;
           });
  }
  Entry* At(ResourceKind kind, const ResourceId& id) {
    const auto at = entries_.find(id);
    return at == entries_.end() || at->second.row.kind != kind ? nullptr : &at->second;
  }
  Result<Entry*> Expect(const Row& row) {
    Entry* entry = At(row.kind, row.meta.id);
    if (entry == nullptr) return Missing(row.kind, row.meta.id.str());
    if (entry->row.revision != row.revision) {
      return Error(Code::kConflict, Quote(row.meta.name) + " was changed by somebody else");
    }
    return entry;
  }
  Status CheckLeader(LeaderToken leader) const {
    if (leader < leader_) return Error(Code::kFailedPrecondition, "another server leads now");
    return Ok{};
  }
  static void Append(Entry& entry, const Event& event) {
    if (!entry.events.empty()) {
      Event& newest = entry.events.back();
      if (newest.type == event.type && newest.reason == event.reason &&
          newest.message == event.message) {
        newest.count += event.count;
        newest.last = event.last;
        return;
      }
    }
    entry.events.push_back(event);
  }
  Revision Finish(Entry& entry, const Row& row, const Alongside& with) {
    ledger_.Reserve(entry.row.meta.org, entry.row.reserved, row.reserved);
    entry.row.reserved = row.reserved;
    entry.row.unfinished = row.unfinished;
    entry.row.meta.updated = row.meta.updated;
    entry.row.revision = static_cast<Revision>(static_cast<std::uint64_t>(row.revision) + 1);
    for (const Event& event : with.events) Append(entry, event);
    ledger_.Apply(with);
    return entry.row.revision;
  }
  std::vector<ResourceId> Unfinished(ResourceKind kind) const {
    std::vector<const Row*> rows;
    for (const auto& [id, entry] : entries_) {
      if (entry.row.kind == kind && entry.row.unfinished) rows.push_back(&entry.row);
    }
    std::ranges::sort(rows, {}, [](const Row* r) { return std::tie(r->meta.created, r->meta.id); });
    std::vector<ResourceId> ids;
    for (const Row* row : rows) ids.push_back(row->meta.id);
    return ids;
  }

  std::mutex mutex_;  // protects all below
  std::optional<std::pair<FailWhen, Error>> failure_;
  MemoryIdentities identities_;
  std::map<ResourceId, Entry> entries_;
  LeaderToken leader_{};
  MemoryLedger ledger_;
};

}  // namespace cml::store::testing
