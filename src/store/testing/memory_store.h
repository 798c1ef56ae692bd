// store/testing/memory_store.h — a store in memory for tests. It keeps the promises of store.h but
// the second (nothing survives the process) and can be told to fail.
//
// Thread-safe: one lock around each call.
#pragma once
#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include "base/strings.h"
#include "store/store.h"
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
      CML_RETURN_IF_ERROR(CheckName(org));
      const bool uid_gone = org.unix_uid != 0 && gone_uids_.contains(org.unix_uid);
      if (orgs_.contains(org.id) || gone_orgs_.contains(org.id) || uid_gone) return OrgExists(org);
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      Org made = org;
      if (made.id.empty()) made.id = OrgId(std::to_string(last_org_ + 1));
      last_org_ = std::max(last_org_, ParseInt(made.id.str()).value_or(0));
      orgs_[made.id] = made;
      ledger_.Apply(with);
      return made;
    });
  }
  Status UpdateOrg(const Org& org, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(Lookup(orgs_, org.id, "organisation"));
      CML_RETURN_IF_ERROR(CheckName(org));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      Org& kept = orgs_[org.id];
      const Org was = std::exchange(kept, org);
      kept.created = was.created;
      if (was.unix_uid != 0) kept.unix_uid = was.unix_uid;
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Status EraseOrg(const OrgId& id, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_ASSIGN_OR_RETURN(const Org org, Lookup(orgs_, id, "organisation"));
      if (std::ranges::any_of(entries_, [&](const auto& e) { return e.second.row.meta.org == id; })) {
        return Error(Code::kFailedPrecondition, "organisation " + Quote(org.name) + " still has resources");
      }
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      orgs_.erase(id);
      gone_orgs_.insert(id);
      if (org.unix_uid != 0) gone_uids_.insert(org.unix_uid);
      std::erase_if(keys_, [&](const auto& pair) { return pair.second.org == id; });
      ledger_.Forget(id);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Result<Org> GetOrg(const OrgId& id) override {
    return Do([&] { return Lookup(orgs_, id, "organisation"); });
  }
  Result<std::vector<Org>> ListOrgs() override {
    return Do([&]() -> Result<std::vector<Org>> {
      std::vector<Org> all;
      for (const auto& [id, org] : orgs_) all.push_back(org);
      std::ranges::sort(all, {}, [](const Org& o) { return std::tie(o.created, o.name); });
      return all;
    });
  }
  Status PutKey(const ApiKey& key, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      const auto [at, is_new] = keys_.try_emplace(key.access_key, key);
      const SysTime last_used = at->second.last_used;
      at->second = key;
      at->second.last_used = last_used;
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Status EraseKey(const AccessKey& key, const Alongside& with = {}) override {
    return Do([&]() -> Status {
      CML_RETURN_IF_ERROR(Lookup(keys_, key, "key"));
      CML_RETURN_IF_ERROR(ledger_.CheckAlongside(with));
      keys_.erase(key);
      ledger_.Apply(with);
      return Ok{};
    });
  }
  Status TouchKeys(const std::vector<std::pair<AccessKey, SysTime>>& used) override {
    return Do([&]() -> Status {
      for (const auto& [key, when] : used) {
        const auto at = keys_.find(key);
        if (at != keys_.end()) at->second.last_used = std::max(at->second.last_used, when);
      }
      return Ok{};
    });
  }
  Result<ApiKey> GetKey(const AccessKey& key) override {
    return Do([&] { return Lookup(keys_, key, "key"); });
  }
  Result<std::vector<ApiKey>> ListKeys(const OrgId& org) override {
    return Do([&]() -> Result<std::vector<ApiKey>> {
      std::vector<ApiKey> all;
      for (const auto& [id, key] : keys_) {
        if (key.org == org) all.push_back(key);
      }
      std::ranges::sort(all, {}, [](const ApiKey& k) { return std::tie(k.created, k.access_key); });
      return all;
    });
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

  template <class Map, class Key>
  static auto Lookup(const Map& map, const Key& key, const std::string& what)
      -> Result<typename Map::mapped_type> {
    const auto at = map.find(key);
    if (at == map.end()) {
      return Error(Code::kNotFound, what + " " + Quote(key.str()) + " does not exist");
    }
    return at->second;
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
  static Error OrgExists(const Org& org) {
    return {Code::kAlreadyExists, "organisation " + Quote(org.name) + " or its id or uid exists already"};
  }
  Status CheckName(const Org& org) const {
    for (const auto& [id, other] : orgs_) {
      if (other.name == org.name && id != org.id) return OrgExists(org);
    }
    return Ok{};
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
  std::map<OrgId, Org> orgs_;
  std::int64_t last_org_ = 0;
  std::set<OrgId> gone_orgs_;
  std::set<std::int64_t> gone_uids_;
  std::map<AccessKey, ApiKey> keys_;
  std::map<ResourceId, Entry> entries_;
  LeaderToken leader_{};
  MemoryLedger ledger_;
};

}  // namespace cml::store::testing
