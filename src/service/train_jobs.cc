#include "service/train_jobs.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "service/audit.h"
#include "service/train_job_list.h"

namespace cml::service {
namespace {

Error NoSuchJob(const std::string&) { return Error(Code::kNotFound, "Train job doesn't exist"); }

std::string SubjectOf(const TrainJob& job) { return "train_job " + job.meta.name; }

Status NeedsWrite(const Caller& caller) {
  if (MayWrite(caller)) return Ok{};
  return Error(Code::kPermissionDenied, "this key may only read; ask your administrator for a member's key");
}

}  // namespace

Status TrainJobs::FillDefaults(TrainJobSpec& spec) const {
  const auto fill = [&spec](std::string& field, const std::string& value, const char* name) {
    if (!field.empty() || value.empty()) return;
    field = value;
    spec.defaults.emplace_back(name);
  };
  fill(spec.cpu_limit, d_.defaults.cpu_limit, "cpu_limit");
  fill(spec.memory_limit, d_.defaults.memory_limit, "memory_limit");
  const bool needs_python = !spec.module_name.empty() || !spec.trainer_uri.empty();
  if (needs_python || !spec.framework.empty()) {
    CML_ASSIGN_OR_RETURN(const RuntimeRef runtime, d_.resolve_runtime(spec.framework, spec.framework_version));
    // The catalogue also knows other names ("sklearn"); what it calls the framework is what we keep.
    if (spec.framework.empty()) spec.defaults.emplace_back("framework");
    if (spec.framework_version.empty()) spec.defaults.emplace_back("framework_version");
    spec.framework = runtime.name;
    spec.framework_version = runtime.version;
  } else if (!spec.framework_version.empty()) {
    return Error(Code::kInvalidArgument, "framework_version: give a framework with it");
  }
  if (!spec.fds_endpoint.empty()) {
    CML_ASSIGN_OR_RETURN(spec.fds_endpoint, d_.package_endpoint(spec.fds_endpoint));
  }
  return Ok{};
}

Status TrainJobs::CheckPackagesExist(const Caller& caller, const TrainJobSpec& spec) const {
  if (!spec.fds_endpoint.empty()) return Ok{};  // another store: known when it is fetched
  for (const std::string& uri : PackageUris(spec)) {
    const auto object = ParseObjectUri(uri);
    if (!object) continue;
    const auto found = d_.objects.Stat(caller.org, object->bucket, object->key);
    if (found.ok()) continue;
    if (found.error().code() != Code::kNotFound && found.error().code() != Code::kInvalidArgument) {
      return found.error();
    }
    return Error(Code::kInvalidArgument,
                 fmt::format("trainer_uri {}: there is no such object; upload it first (cloudml fs cp "
                             "FILE {}) or give the command line your local folder (-u ./folder)",
                             Quote(uri), uri));
  }
  return Ok{};
}

Result<TrainJob> TrainJobs::Create(const Caller& caller, TrainJobSpec spec, Mode mode) {
  CML_RETURN_IF_ERROR(NeedsWrite(caller));
  if (mode == Mode::kDryRun) {
    if (caller.request != nullptr) caller.request->dry_run = true;
    return Submit(caller, std::move(spec), mode, {});
  }
  return Once<TrainJob>(
      d_.jobs.store(), caller, d_.clock.Now(),
      [&](const std::string& id) -> Result<TrainJob> {
        CML_ASSIGN_OR_RETURN(auto stored, d_.jobs.Get(ResourceId{id}));
        return std::move(stored.value);
      },
      [&](const KeepOnce& keep) { return Submit(caller, std::move(spec), mode, keep); });
}

Result<TrainJob> TrainJobs::Submit(const Caller& caller, TrainJobSpec spec, Mode mode, const KeepOnce& keep) {
  CML_RETURN_IF_ERROR(Validate(spec));
  CML_RETURN_IF_ERROR(FillDefaults(spec));
  CML_RETURN_IF_ERROR(CheckPackagesExist(caller, spec));
  if (d_.may_start && !spec.save_mode) CML_RETURN_IF_ERROR(d_.may_start(caller.org));

  TrainJob job;
  job.meta.id = NewResourceId();
  job.meta.org = caller.org;
  job.meta.name = spec.job_name;
  job.meta.created = job.meta.updated = d_.clock.Now();
  job.wish.submitted_by = caller.key;
  job.wish.user = caller.user;
  job.wish.starts = spec.save_mode ? 0 : 1;
  job.wish.spec = std::move(spec);
  job.record.since = job.meta.created;
  job.record.limits = LimitsOf(job.wish.spec);
  std::vector<Event> events;
  const auto say = [&](const char* reason, std::string message) {
    events.push_back({job.meta.created, job.meta.created, 1, EventType::kNormal, reason, std::move(message)});
  };
  if (job.wish.spec.save_mode) {
    job.record.reason = "Saved";
    say("Saved", fmt::format("saved and not started; cloudml jobs start {} runs it", job.meta.name));
  } else {
    job.record.state = TrainJobState::kEnqueued;
    job.record.starts = 1;
    job.record.reason = "Enqueued";
    say("Enqueued", "accepted; waits for its turn");
  }
  if (mode == Mode::kDryRun) {
    if (d_.room) CML_RETURN_IF_ERROR(d_.room(caller.org, ReservationOf(job)));
    return job;
  }
  store::Alongside with;
  with.events = std::move(events);
  with.audit = AuditOf(caller, job.meta.created, {SubjectOf(job), "", codec::EncodeTrainJobForAudit(job)});
  keep(job.meta.id.str(), with);
  std::function<void()> told;
  if (d_.tell) told = d_.tell(job, ToString(job.record.state), with);
  const auto created = d_.jobs.Create(job, with);
  if (!created.ok()) {
    if (created.error().code() != Code::kAlreadyExists) return created.error();
    return Error(Code::kAlreadyExists,
                 fmt::format("job_name \"{0}\": a job of this name exists; delete it first (cloudml "
                             "jobs delete {0}) or choose another name", job.meta.name));
  }
  Audited(caller);
  if (told) told();
  d_.changed(job.meta.id);
  return job;
}

Result<store::Stored<TrainJob>> TrainJobs::Find(const Caller& caller, const std::string& name) {
  auto found = d_.jobs.Find(caller.org, name);
  if (!found.ok() && found.error().code() == Code::kNotFound) {
    auto by_id = d_.jobs.Get(ResourceId{name});
    if (by_id.ok() && by_id.value().value.meta.org == caller.org) return by_id;
    return NoSuchJob(name);
  }
  return found;
}

Result<TrainJob> TrainJobs::Describe(const Caller& caller, const std::string& name) {
  CML_ASSIGN_OR_RETURN(auto stored, Find(caller, name));
  return std::move(stored.value);
}

Result<TrainJobPage> TrainJobs::List(const Caller& caller, const TrainJobFilter& filter) {
  return ListTrainJobs(d_.jobs, caller, filter);
}

Result<TrainJob> TrainJobs::Start(const Caller& caller, const std::string& name) {
  CML_RETURN_IF_ERROR(NeedsWrite(caller));
  while (true) {
    CML_ASSIGN_OR_RETURN(auto stored, Find(caller, name));
    TrainJob& job = stored.value;
    if (job.wish.deleted) return NoSuchJob(name);
    if (d_.may_start) CML_RETURN_IF_ERROR(d_.may_start(caller.org));
    if (!IsFinal(job.record.state) || job.wish.starts != job.record.starts) {
      return Error(Code::kFailedPrecondition,
                   fmt::format("job {} is {}: it can be started when it has ended", name,
                               ToString(job.record.state)));
    }
    const std::string before = codec::EncodeTrainJobForAudit(job);
    ++job.wish.starts;
    job.meta.updated = d_.clock.Now();
    store::Alongside with;
    with.audit = AuditOf(caller, job.meta.updated, {SubjectOf(job), before, codec::EncodeTrainJobForAudit(job)});
    const auto saved = d_.jobs.SaveWish(stored, with);
    if (!saved.ok() && saved.error().code() == Code::kConflict) continue;
    if (!saved.ok()) return saved.error();
    Audited(caller);
    d_.changed(job.meta.id);
    // The controller records it in a moment; the answer already says what is going to be.
    job.record.state = TrainJobState::kEnqueued;
    return std::move(job);
  }
}

Status TrainJobs::Delete(const Caller& caller, const std::string& name) {
  CML_RETURN_IF_ERROR(NeedsWrite(caller));
  while (true) {
    CML_ASSIGN_OR_RETURN(auto stored, Find(caller, name));
    TrainJob& job = stored.value;
    if (job.wish.deleted) return Ok{};  // on its way
    store::Alongside with;
    with.audit = AuditOf(caller, d_.clock.Now(), {SubjectOf(job), codec::EncodeTrainJobForAudit(job), ""});
    job.wish.deleted = true;
    job.meta.updated = d_.clock.Now();
    const auto saved = d_.jobs.SaveWish(stored, with);
    if (!saved.ok() && saved.error().code() == Code::kConflict) continue;
    if (!saved.ok()) return saved.error();
    Audited(caller);
    d_.changed(job.meta.id);
    return Ok{};
  }
}

Result<std::vector<Event>> TrainJobs::Events(const Caller& caller, const std::string& name) {
  CML_ASSIGN_OR_RETURN(const auto stored, Find(caller, name));
  return d_.jobs.Events(stored.value.meta.id);
}

}  // namespace cml::service
