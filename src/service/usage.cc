#include "service/usage.h"

#include "codec/usage_json.h"
#include "core/train_job_usage.h"
#include "service/storage_meter.h"

namespace cml::service {
namespace {

constexpr int kTries = 5;           // to read while nothing ends
constexpr std::size_t kPage = 10'000;
constexpr std::size_t kMostLines = 100'000;

bool HoldsRun(TrainJobState s) { return s == TrainJobState::kCreating || s == TrainJobState::kRunning; }

// Can the sums per day answer it?
bool SumsAreEnough(const UsageFilter& f) {
  if (f.by == UsageBy::kJob || !f.job.empty()) return false;
  if (!f.user.empty() && f.by != UsageBy::kUser) return false;
  if (f.labels.empty()) return true;
  const bool same_label = f.by != UsageBy::kLabel || f.label == f.labels.begin()->first;
  return f.labels.size() == 1 && f.by != UsageBy::kUser && same_label;
}

store::UsageQuery QueryOf(const UsageFilter& f) {
  store::UsageQuery query;
  query.org = f.org;
  query.from = f.from;
  query.until = f.until;
  if (!f.labels.empty() || f.by == UsageBy::kLabel) {
    query.by = store::UsageQuery::By::kLabel;
    query.label = f.by == UsageBy::kLabel ? f.label : f.labels.begin()->first;
  } else if (f.by == UsageBy::kUser) {
    query.by = store::UsageQuery::By::kUser;
  } else if (f.by == UsageBy::kOrg) {
    query.by = store::UsageQuery::By::kOrg;
  } else {
    query.by = store::UsageQuery::By::kDay;
  }
  return query;
}

bool Passes(const UsageFilter& f, const UsageRecord& r) {
  if (!f.user.empty() && r.user != f.user) return false;
  if (!f.job.empty() && r.name != f.job && r.resource.str() != f.job) return false;
  if (f.by == UsageBy::kLabel && !r.labels.contains(f.label)) return false;
  for (const auto& [key, value] : f.labels) {
    const auto it = r.labels.find(key);
    if (it == r.labels.end() || it->second != value) return false;
  }
  return true;
}

}  // namespace

std::string Usage::NameOf(const OrgId& org) { return org.empty() ? std::string() : d_.name_of(org); }

void Usage::AddRecord(const UsageFilter& f, const UsageRecord& r, UsageTable& table) {
  if (f.org && r.org != *f.org) return;
  if (!Passes(f, r)) return;
  for (const UsageOfDay& part : SplitByDay(r)) {
    if (part.day < f.from || part.day >= f.until) continue;
    UsageTable::Part row{r.org, "", "", part.day, r.gpu_model, part.sums};
    switch (f.by) {
      case UsageBy::kDay:
        row.org = OrgId{};
        row.key = FormatDay(part.day);
        break;
      case UsageBy::kOrg:
        row.key = r.org.str();
        row.name = NameOf(r.org);
        break;
      case UsageBy::kUser: row.key = r.user.empty() ? "–" : r.user; break;
      case UsageBy::kJob:
        row.key = r.resource.empty() ? r.kind : r.resource.str();
        row.name = r.name.empty() ? r.kind : r.name;
        break;
      case UsageBy::kLabel: row.key = r.labels.at(f.label); break;
      case UsageBy::kKind:
        row.org = OrgId{};
        row.key = r.kind;
        break;
    }
    table.Add(row);
  }
}

Status Usage::AddSums(const UsageFilter& f, UsageTable& table) {
  CML_ASSIGN_OR_RETURN(const auto rows, d_.store.ReadUsage(QueryOf(f)));
  for (const store::UsageRow& r : rows) {
    if (!f.labels.empty() && r.label != f.labels.begin()->second) continue;
    if (!f.user.empty() && r.user != f.user) continue;
    UsageTable::Part row{r.org, "", "", r.day, r.gpu_model, r.sums};
    switch (f.by) {
      case UsageBy::kDay:
        row.org = OrgId{};
        row.key = FormatDay(r.day);
        break;
      case UsageBy::kOrg:
        row.key = r.org.str();
        row.name = NameOf(r.org);
        break;
      case UsageBy::kUser: row.key = r.user.empty() ? "–" : r.user; break;
      case UsageBy::kLabel: row.key = r.label; break;
      case UsageBy::kKind:
        row.org = OrgId{};
        row.key = r.kind;
        break;
      case UsageBy::kJob: break;  // sums do not know jobs
    }
    table.Add(row);
  }
  return Ok{};
}

Status Usage::AddRecords(const UsageFilter& f, UsageTable& table) {
  store::UsageListQuery query;
  query.org = f.org;
  query.from = f.from;
  query.until = f.until;
  query.most = kPage;
  // One that is there is looked up by its id; else its name, which others may have had, is asked for.
  if (!f.job.empty() && d_.jobs.Get(ResourceId{f.job}).ok()) query.resource = ResourceId{f.job};
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto records, d_.store.ListUsage(query));
    for (const UsageRecord& r : records) AddRecord(f, r, table);
    if (table.size() > kMostLines) {
      return Error(Code::kInvalidArgument, "from, until: more than 100,000 lines; choose fewer days, or one user or label");
    }
    if (records.size() < query.most) return Ok{};
    query.after_to = records.back().to;
    query.after_id = records.back().id;
  }
}

Status Usage::AddRecorded(const UsageFilter& f, UsageTable& table) {
  return SumsAreEnough(f) ? AddSums(f, table) : AddRecords(f, table);
}

Result<std::vector<Usage::Live>> Usage::LiveNow(const std::optional<OrgId>& org, SysTime now) {
  std::vector<Live> all;
  CML_ASSIGN_OR_RETURN(const auto ids, d_.jobs.ListUnfinished());
  for (const ResourceId& id : ids) {
    const auto got = d_.jobs.Get(id);
    if (!got.ok()) continue;
    const TrainJob& job = got.value().value;
    if (!HoldsRun(job.record.state) || (org && job.meta.org != *org)) continue;
    CML_ASSIGN_OR_RETURN(const auto run, d_.observe({id, job.record.incarnation}));
    all.push_back({id, job.record.incarnation,
                   run ? UsageOf(job, run->replicas, now) : UsageWithoutTrace(job)});
  }
  CML_RETURN_IF_ERROR(StorageNow(org, now, all));
  return all;
}

Status Usage::StorageNow(const std::optional<OrgId>& org, SysTime now, std::vector<Live>& live) {
  store::DocumentQuery query;
  query.kind = store::DocumentKind::kSetting;
  query.org = org;
  query.prefix = kStorageReading;
  query.most = kPage;
  CML_ASSIGN_OR_RETURN(const auto readings, d_.store.ListDocuments(query));
  for (const store::Document& document : readings) {
    CML_ASSIGN_OR_RETURN(const auto reading, codec::DecodeStorageReading(document.body));
    if (reading.bytes == 0) continue;
    live.push_back({ResourceId{}, 0, {StorageUsage(document.org, reading.at, now, reading.bytes)}});
  }
  return Ok{};
}

// Is it, by now, part of what the store has?
Result<bool> Usage::IsRecorded(const Live& live) {
  if (live.job.empty()) {
    const auto got = d_.store.GetDocument(store::DocumentKind::kSetting, live.records[0].org, kStorageReading);
    if (!got.ok()) return got.error().code() == Code::kNotFound ? Result<bool>(true) : Result<bool>(got.error());
    CML_ASSIGN_OR_RETURN(const auto reading, codec::DecodeStorageReading(got.value().body));
    return reading.at != live.records[0].from;
  }
  const auto got = d_.jobs.Get(live.job);
  if (!got.ok()) return got.error().code() == Code::kNotFound ? Result<bool>(true) : Result<bool>(got.error());
  const TrainJobRecord& now = got.value().value.record;
  return !HoldsRun(now.state) || now.incarnation != live.incarnation;
}

Result<UsageReport> Usage::Report(const UsageFilter& filter) {
  UsageReport report;
  report.by = filter.by;
  report.label = filter.label;
  report.from = filter.from;
  report.until = filter.until;
  report.currency = d_.prices.currency;
  // What runs is read first, what is recorded next. Something that was recorded in between may be in
  // both: then all is read again. Should runs end so fast that this never succeeds, what ended
  // meanwhile is left to the next report; nothing is ever counted twice.
  for (int attempt = 1;; ++attempt) {
    UsageTable table(d_.prices);
    report.as_of = d_.clock.Now();
    CML_ASSIGN_OR_RETURN(const std::vector<Live> live, LiveNow(filter.org, report.as_of));
    CML_RETURN_IF_ERROR(AddRecorded(filter, table));
    bool clean = true;
    for (const Live& one : live) {
      CML_ASSIGN_OR_RETURN(const bool recorded, IsRecorded(one));
      if (recorded) {
        clean = false;
        continue;
      }
      for (const UsageRecord& record : one.records) AddRecord(filter, record, table);
    }
    if (!clean && attempt < kTries) continue;
    table.MoveInto(report);
    return report;
  }
}

Result<std::map<OrgId, Money>> Usage::SpentThisMonth() {
  const UsageMonth month = MonthOf(d_.clock.Now());
  UsageFilter filter;
  filter.from = month.from;
  filter.until = month.until;
  CML_ASSIGN_OR_RETURN(const UsageReport report, Report(filter));
  std::map<OrgId, Money> spent;
  for (const UsageLine& line : report.lines) spent[line.org] = line.cost;
  return spent;
}

}  // namespace cml::service
