// service/usage.h — who used what, and what it cost: what has been recorded, and what runs now.
//
// A replica is counted either by the record of its end or, until that is committed, by what the
// backend says of it now; the two are read so that none is counted twice or not at all.
//
// Thread-safe. Reports by day, organisation, user, label and kind read sums per day and take
// milliseconds whatever has happened; those by job, or of one job or user, read single records.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/usage_report.h"
#include "store/train_jobs.h"

namespace cml::service {

struct UsageFilter {
  UsageBy by = UsageBy::kOrg;
  std::string label;          // of kLabel
  std::optional<OrgId> org;   // nullopt: all organisations
  std::string user, job;      // job: name or id
  std::map<std::string, std::string> labels;
  UsageDay from{}, until{};   // until is exclusive
};

class Usage {
 public:
  struct Deps {
    store::Store& store;
    store::TrainJobRows& jobs;
    const Clock& clock;
    const PriceList& prices;
    // What a run does now; nullopt: there is no such run.
    std::function<Result<std::optional<RunStatus>>(const RunKey&)> observe;
    std::function<std::string(const OrgId&)> name_of;
  };
  explicit Usage(Deps deps) : d_(std::move(deps)) {}

  Result<UsageReport> Report(const UsageFilter& filter);
  // What each organisation has spent in this month; those that have spent nothing are not in it.
  Result<std::map<OrgId, Money>> SpentThisMonth();

  const PriceList& prices() const { return d_.prices; }

 private:
  // What is not recorded yet: of one run, or of an organisation's storage since its last reading.
  struct Live {
    ResourceId job;  // empty: storage
    std::uint64_t incarnation = 0;
    std::vector<UsageRecord> records;
  };
  Result<std::vector<Live>> LiveNow(const std::optional<OrgId>& org, SysTime now);
  Status StorageNow(const std::optional<OrgId>& org, SysTime now, std::vector<Live>& live);
  Result<bool> IsRecorded(const Live& live);
  Status AddRecorded(const UsageFilter& filter, UsageTable& table);
  Status AddSums(const UsageFilter& filter, UsageTable& table);
  Status AddRecords(const UsageFilter& filter, UsageTable& table);
  void AddRecord(const UsageFilter& filter, const UsageRecord& record, UsageTable& table);
  std::string NameOf(const OrgId& org);

  Deps d_;
};

}  // namespace cml::service
