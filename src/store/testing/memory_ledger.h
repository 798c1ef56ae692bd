// store/testing/memory_ledger.h — the part of the store in memory that is not resources: quotas,
// documents, audit and usage.
//
// Not thread-safe: MemoryStore holds its lock. What Check… has accepted, the write after it does.
#pragma once
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "store/alongside.h"
#include "store/audit_chain.h"

namespace cml::store::testing {

class MemoryLedger {
 public:
  // ---- quotas
  Quota QuotaOf(const OrgId& org) const {
    const auto at = quotas_.find(org);
    return at == quotas_.end() ? Quota{} : at->second;
  }
  QuotaUse UseOf(const OrgId& org) const {
    const auto at = uses_.find(org);
    return at == uses_.end() ? QuotaUse{} : at->second;
  }
  const std::map<OrgId, QuotaUse>& uses() const { return uses_; }
  void PutQuota(const OrgId& org, const Quota& quota) { quotas_[org] = quota; }
  Status CheckReserve(const OrgId& org, const Reservation& from, const Reservation& to) const {
    return CheckQuota(QuotaOf(org), UseOf(org), from, to);
  }
  void Reserve(const OrgId& org, const Reservation& from, const Reservation& to) {
    QuotaUse& use = uses_[org];
    use.of(from.group) -= from.amounts;
    use.of(to.group) += to.amounts;
  }
  void Forget(const OrgId& org) {
    quotas_.erase(org);
    uses_.erase(org);
    std::erase_if(documents_, [&](const auto& pair) { return pair.second.org == org; });
  }

  // ---- what goes with a row
  Status CheckAlongside(const Alongside& with) const {
    std::map<Key, std::optional<Revision>> changed;  // as the writes before left it
    for (const DocumentWrite& write : with.documents) {
      const Key key = KeyOf(write.document);
      std::optional<Revision> now = RevisionAt(key);
      if (const auto at = changed.find(key); at != changed.end()) now = at->second;
      switch (write.act) {
        case DocumentWrite::Act::kInsert:
          if (now) return Error(Code::kAlreadyExists, NameOf(write.document) + " exists already");
          break;
        case DocumentWrite::Act::kReplace:
          if (!now) return Error(Code::kNotFound, NameOf(write.document) + " does not exist");
          if (*now != write.document.revision) {
            return Error(Code::kConflict, NameOf(write.document) + " was changed by somebody else");
          }
          break;
        case DocumentWrite::Act::kPut:
        case DocumentWrite::Act::kErase:
          break;
      }
      const bool erased = write.act == DocumentWrite::Act::kErase;
      changed[key] = erased ? std::optional<Revision>() : Revision{~0ULL};
    }
    for (const UsageRecord& record : with.usage) CML_RETURN_IF_ERROR(CheckUsage(record));
    return Ok{};
  }
  void Apply(const Alongside& with) {
    for (const DocumentWrite& write : with.documents) {
      if (write.act == DocumentWrite::Act::kErase) {
        documents_.erase(KeyOf(write.document));
        continue;
      }
      Document& document = documents_[KeyOf(write.document)];
      document = write.document;
      document.revision = static_cast<Revision>(++last_revision_);
    }
    for (const AuditEntry& entry : with.audit) {
      AuditLine line = LineOf(entry);
      line.seq = lines_.size() + 1;
      line.hash = AuditHash(lines_.empty() ? FirstAuditHash() : lines_.back().hash, line);
      lines_.push_back(std::move(line));
    }
    for (const UsageRecord& record : with.usage) usage_.emplace(record.id, record);
  }

  // ---- reading
  Result<Document> GetDocument(DocumentKind kind, const OrgId& org, const std::string& key) const {
    const auto at = documents_.find({kind, org, key});
    if (at != documents_.end()) return at->second;
    Document missing;
    missing.kind = kind;
    missing.key = key;
    return Error(Code::kNotFound, NameOf(missing) + " does not exist");
  }
  std::vector<Document> ListDocuments(const DocumentQuery& query) const {
    std::vector<Document> all;
    for (const auto& [key, document] : documents_) {
      if (all.size() == query.most) break;
      if (document.kind != query.kind || (query.org && document.org != *query.org)) continue;
      if (!document.key.starts_with(query.prefix)) continue;
      const bool from_start = query.after_org.empty() && query.after_key.empty();
      if (!from_start && std::tie(document.org, document.key) <= std::tie(query.after_org, query.after_key)) {
        continue;
      }
      all.push_back(document);
    }
    return all;
  }
  std::vector<AuditLine> ReadAudit(const AuditQuery& query) const {
    std::vector<AuditLine> all;
    const auto take = [&](const AuditLine& line) {
      if (all.size() == query.most || (query.org && line.org != *query.org)) return;
      if (query.from != SysTime{} && line.at < query.from) return;
      if (query.until != SysTime{} && line.at >= query.until) return;
      all.push_back(line);
    };
    if (query.before == 0) {
      for (std::size_t i = query.after; i < lines_.size(); ++i) take(lines_[i]);
    } else {
      for (std::size_t i = std::min(lines_.size(), std::size_t{query.before} - 1); i > 0; --i) take(lines_[i - 1]);
    }
    return all;
  }
  AuditVerdict VerifyAudit() const {
    AuditCheck check;
    for (const AuditLine& line : lines_) {
      if (!check.Take(line)) break;
    }
    if (lines_.empty()) return check.Finish({}, Secret());
    return check.Finish({lines_.size(), lines_.back().hash, ""}, Secret());
  }
  std::vector<UsageRow> ReadUsage(const UsageQuery& query) const {
    using By = UsageQuery::By;
    std::map<std::tuple<UsageDay, OrgId, std::string, std::string, std::string>, UsageSums> sums;
    for (const auto& [id, record] : usage_) {
      if (query.org && record.org != *query.org) continue;
      std::string word;
      if (query.by == By::kUser) word = record.user;
      if (query.by == By::kLabel) {
        const auto label = record.labels.find(query.label);
        if (label == record.labels.end()) continue;
        word = label->second;
      }
      const OrgId org = query.by == By::kDay ? OrgId() : record.org;
      for (const UsageOfDay& part : SplitByDay(record)) {
        if (part.day < query.from || part.day >= query.until) continue;
        sums[{part.day, org, record.kind, record.gpu_model, word}] += part.sums;
      }
    }
    std::vector<UsageRow> rows;
    for (const auto& [key, sum] : sums) {
      const auto& [day, org, kind, gpu_model, word] = key;
      UsageRow row{day, org, "", "", kind, gpu_model, sum};
      (query.by == By::kLabel ? row.label : row.user) = word;
      rows.push_back(std::move(row));
    }
    return rows;
  }
  std::vector<UsageRecord> ListUsage(const UsageListQuery& query) const {
    std::vector<UsageRecord> all;
    for (const auto& [id, record] : usage_) {
      if (query.org && record.org != *query.org) continue;
      if (!query.resource.empty() && record.resource != query.resource) continue;
      if (query.from != SysTime{} && record.to <= query.from) continue;
      if (query.until != SysTime{} && record.from >= query.until) continue;
      if (!query.after_id.empty() && std::tie(record.to, record.id) <= std::tie(query.after_to, query.after_id)) {
        continue;
      }
      all.push_back(record);
    }
    std::ranges::sort(all, {}, [](const UsageRecord& r) { return std::tie(r.to, r.id); });
    if (all.size() > query.most) all.resize(query.most);
    return all;
  }

 private:
  using Key = std::tuple<DocumentKind, OrgId, std::string>;
  static Key KeyOf(const Document& d) { return {d.kind, d.org, d.key}; }
  std::optional<Revision> RevisionAt(const Key& key) const {
    const auto at = documents_.find(key);
    return at == documents_.end() ? std::nullopt : std::optional(at->second.revision);
  }

  std::map<OrgId, Quota> quotas_;
  std::map<OrgId, QuotaUse> uses_;
  std::map<Key, Document> documents_;
  std::uint64_t last_revision_ = 0;
  std::vector<AuditLine> lines_;
  std::map<std::string, UsageRecord> usage_;
};

}  // namespace cml::store::testing
