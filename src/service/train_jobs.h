// service/train_jobs.h — the use cases of train jobs: validation, defaults, and the write that a
// controller then carries out.
//
// Thread-safe; blocks as long as the store does. Codes are those of the store, and
// kInvalidArgument (a field), kPermissionDenied (role), kFailedPrecondition (the job's state),
// kAlreadyExists (a job of that name). Every call sees jobs of the caller's organisation alone.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/train_job.h"
#include "objectstore/object_store.h"
#include "service/caller.h"
#include "service/idempotency.h"
#include "service/orgs.h"
#include "store/train_jobs.h"

namespace cml::service {

struct TrainJobDefaults {
  std::string cpu_limit = "1";
  std::string memory_limit = "2G";
};

struct TrainJobFilter {
  bool all_organisations = false;  // platform administrators only
  std::map<std::string, std::string> fields{};  // service/train_job_list.h: a field must have this text
  std::map<std::string, std::string> labels{};
  std::size_t most = 0;            // 0: all of them
  std::string page{};              // where the page before ended
  std::string sort{};              // a field; empty: the newest first, page by page from the store
  bool descending = false;
};

struct TrainJobPage {
  std::vector<TrainJob> jobs;
  std::string next_page;  // empty: that was the last
};

class TrainJobs {
 public:
  struct Deps {
    store::TrainJobRows& jobs;
    objectstore::ObjectStore& objects;
    Orgs& orgs;
    const Clock& clock;
    TrainJobDefaults defaults;
    // The framework to use for a name and version that may be empty; kInvalidArgument lists what
    // there is.
    std::function<Result<RuntimeRef>(const std::string& name, const std::string& version)> resolve_runtime;
    // Is this endpoint another store, and one that packages may come from? kInvalidArgument: no.
    // An empty answer: it is the platform's own.
    std::function<Result<std::string>(const std::string& endpoint)> package_endpoint;
    std::function<void(const ResourceId&)> changed;  // wakes the controller
    // Is there room in the quota just now? For dry runs; a submit is checked in its own write.
    std::function<Status(const OrgId&, const Reservation&)> room{};
    // Tells others of a new job, as the controller does of its later states; may be empty.
    std::function<std::function<void()>(const TrainJob& job, std::string_view event, store::Alongside& with)> tell{};
    // Does the organisation's budget allow a new start? kQuotaExceeded says why not.
    std::function<Status(const OrgId&)> may_start{};
  };
  explicit TrainJobs(Deps deps) : d_(std::move(deps)) {}

  // With an Idempotency-Key a job is created once (service/idempotency.h).
  enum class Mode { kSubmit, kDryRun };  // a dry run checks everything and writes nothing
  Result<TrainJob> Create(const Caller& caller, TrainJobSpec spec, Mode mode);
  Result<TrainJob> Describe(const Caller& caller, const std::string& name);
  // Taken before a Describe by name: its answer is good as long as the stamp stays (store.h). 0:
  // keep nothing.
  std::uint64_t NameStamp(const Caller& caller, const std::string& name) const {
    return d_.jobs.NameStamp(caller.org, name);
  }
  Result<TrainJobPage> List(const Caller& caller, const TrainJobFilter& filter);
  Result<TrainJob> Start(const Caller& caller, const std::string& name);
  Status Delete(const Caller& caller, const std::string& name);
  Result<std::vector<Event>> Events(const Caller& caller, const std::string& name);

 private:
  Status FillDefaults(TrainJobSpec& spec) const;
  Status CheckPackagesExist(const Caller& caller, const TrainJobSpec& spec) const;
  Result<TrainJob> Submit(const Caller& caller, TrainJobSpec spec, Mode mode, const KeepOnce& keep);
  Result<store::Stored<TrainJob>> Find(const Caller& caller, const std::string& name);

  Deps d_;
};

}  // namespace cml::service
