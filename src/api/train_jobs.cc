#include "api/train_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "api/answer_cache.h"
#include "api/http_error.h"
#include "api/list_query.h"
#include "base/strings.h"
#include "codec/messages.h"
#include "codec/train_job_json.h"
#include "service/train_job_list.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;
using namespace std::chrono_literals;

constexpr std::uint64_t kMostLines = 1'000'000;

// The replica that the query names; nullopt: it names none. kNotFound: the job has no such replica.
Result<std::optional<ReplicaId>> ReplicaIn(const Call& call, const TrainJob& job) {
  const std::string text = call.Query("replica");
  if (text.empty()) return std::optional<ReplicaId>{};
  const auto named = ParseReplicaName(text);
  std::string all;
  for (const RolePlan& role : RolesOf(job.wish.spec)) {
    if (named && named->role == role.name && named->index < role.replicas) return named;
    all += (all.empty() ? "" : ", ") + role.name + "-0";
    if (role.replicas > 1) all += fmt::format(" to {}-{}", role.name, role.replicas - 1);
  }
  return Error(Code::kNotFound, fmt::format("replica {}: job {} has {}", Quote(text), job.meta.name, all));
}

// Where the logs of its runs are: of the replica, or of all together.
service::JobLog::PathOf LogPaths(const TrainJobRoutesDeps& deps, const TrainJob& job,
                                 const std::optional<ReplicaId>& replica) {
  ReplicaId id{IsDistributed(RolesOf(job.wish.spec)) ? "" : "worker", 0};
  if (replica) id = *replica;
  return [path = deps.log_path, id](const RunKey& key) { return path(key, id.role, id.index); };
}

// The growing log of a job as one answer. Ends when the job has ended and all is sent, or when the
// job is gone.
class FollowedLog final : public net::BodySource {
 public:
  // On from where `log` is.
  FollowedLog(service::TrainJobs& jobs, service::Caller caller, service::JobLog log, const ResourceId& id)
      : jobs_(jobs), caller_(std::move(caller)), id_(id), log_(std::move(log)) {}

  Result<Piece> Next() override {
    // The state is read first: what the job wrote before it ended is then surely in the file.
    auto job = jobs_.Describe(caller_, id_.str());
    const bool ended = !job.ok() || (IsFinal(job.value().record.state) && job.value().wish.starts == job.value().record.starts);
    if (job.ok()) incarnation_ = job.value().record.incarnation;
    CML_ASSIGN_OR_RETURN(std::string bytes, log_.Next(incarnation_));
    if (!bytes.empty()) {
      quiet_since_ = Steady::now();
      return Piece{std::move(bytes), false, 0ms};
    }
    if (ended) return Piece{{}, true, 0ms};
    // The longer it has been quiet, the less it matters to be exact.
    const auto quiet = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - quiet_since_);
    return Piece{{}, false, std::clamp(quiet / 8, kShortest, kLongest)};
  }

 private:
  using Steady = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kShortest{2}, kLongest{400};
  service::TrainJobs& jobs_;
  const service::Caller caller_;
  const ResourceId id_;
  service::JobLog log_;
  std::uint64_t incarnation_ = 0;
  Steady::time_point quiet_since_ = Steady::now();
};

class TrainJobRoutes {
 public:
  explicit TrainJobRoutes(TrainJobRoutesDeps deps) : d_(std::move(deps)) {}

  Result<net::Response> Create(const Call& call) const {
    CML_ASSIGN_OR_RETURN(TrainJobSpec spec, codec::DecodeTrainJobRequest(call.request.body));
    CML_ASSIGN_OR_RETURN(const bool dry_run, YesIn(call, "dry_run"));
    const auto mode = dry_run ? service::TrainJobs::Mode::kDryRun : service::TrainJobs::Mode::kSubmit;
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Create(call.caller, std::move(spec), mode));
    return One(job);
  }

  Result<net::Response> List(const Call& call) const {
    service::TrainJobFilter filter;
    filter.all_organisations = call.all_organisations;
    CML_RETURN_IF_ERROR(ReadFilters(call, filter));
    filter.page = call.Query("page");
    CML_ASSIGN_OR_RETURN(const auto most, NumberIn(call, "limit", kMostPage));
    filter.most = static_cast<std::size_t>(most.value_or(0));
    CML_ASSIGN_OR_RETURN(const service::TrainJobPage page, d_.jobs.List(call.caller, filter));
    std::map<OrgId, std::string> names;
    std::vector<codec::NamedTrainJob> rows;
    for (const TrainJob& job : page.jobs) {
      auto [it, missing] = names.try_emplace(job.meta.org);
      if (missing) it->second = NameOf(job.meta.org);
      rows.push_back({&job, it->second});
    }
    net::Response answer = JsonResponse(200, codec::EncodeTrainJobs(rows, page.next_page));
    if (!page.next_page.empty()) answer.headers.Add("X-Next-Page", page.next_page);
    return answer;
  }

  // What clients poll: the same answer until the job changes.
  Result<net::Response> Describe(const Call& call) {
    const std::string& name = call.params[0];
    const std::uint64_t stamp = d_.jobs.NameStamp(call.caller, name);
    // With the version of the organisations' names, which stand in the answer, too.
    const std::string key = fmt::format("{}/{}/{}", call.caller.org.str(), d_.orgs.names_version(), name);
    if (auto kept = answers_.Find(key, stamp)) return JsonResponse(200, *std::move(kept));
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Describe(call.caller, name));
    net::Response answer = One(job);
    if (job.meta.name == name) answers_.Keep(key, stamp, answer.body);  // found by its id: has no stamp
    return answer;
  }

  Result<net::Response> Start(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Start(call.caller, call.params[0]));
    return One(job);
  }

  // is_cluster_name=True names the cluster, which is called as its job.
  Result<net::Response> Delete(const Call& call) const {
    CML_RETURN_IF_ERROR(d_.jobs.Delete(call.caller, call.params[0]));
    return DoneResponse("Successfully delete " + call.params[0]);
  }

  Result<net::Response> Events(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Describe(call.caller, call.params[0]));
    CML_ASSIGN_OR_RETURN(const auto replica, ReplicaIn(call, job));
    CML_ASSIGN_OR_RETURN(auto events, d_.jobs.Events(call.caller, call.params[0]));
    if (!replica) return JsonResponse(200, codec::EncodeEvents(call.params[0], events));
    const std::string name = fmt::format("{}-{}", replica->role, replica->index);
    std::erase_if(events, [&](const Event& e) { return !e.message.starts_with(name + ": "); });
    return JsonResponse(200, codec::EncodeEvents(job.meta.name + "-" + name, events));
  }

  Result<net::Response> Metrics(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Describe(call.caller, call.params[0]));
    CML_ASSIGN_OR_RETURN(const auto replica, ReplicaIn(call, job));
    const auto alive = [](bool yes) { return yes ? codec::Alive::kYes : codec::Alive::kNo; };
    const bool running = job.record.state == TrainJobState::kRunning;
    for (const Replica& r : job.record.replicas) {
      if (!replica || r.status.role != replica->role || r.status.index != replica->index) continue;
      return JsonResponse(200, codec::EncodeMetrics(r.status.usage,
                                                    alive(running && r.status.state == RunState::kRunning)));
    }
    return JsonResponse(200, codec::EncodeMetrics(job.record.usage, alive(running)));
  }

  Result<net::Response> Hyperparameters(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Describe(call.caller, call.params[0]));
    return Error(Code::kNotFound, job.meta.name + " is not a tuning job; it has no hyperparameters");
  }

  Result<net::Response> Logs(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const TrainJob job, d_.jobs.Describe(call.caller, call.params[0]));
    CML_ASSIGN_OR_RETURN(const auto lines, NumberIn(call, "lines", kMostLines));
    CML_ASSIGN_OR_RETURN(const auto offset, NumberIn(call, "offset", std::uint64_t{1} << 50));
    CML_ASSIGN_OR_RETURN(const auto replica, ReplicaIn(call, job));
    service::JobLog log(job.meta.id, LogPaths(d_, job, replica));
    const std::uint64_t runs = job.record.incarnation;
    CML_ASSIGN_OR_RETURN(const bool follow, YesIn(call, "follow"));
    if (follow) return Follow(call, job, std::move(log), {lines, offset.value_or(0)});
    CML_ASSIGN_OR_RETURN(const std::uint64_t size, log.Size(runs));
    CML_ASSIGN_OR_RETURN(const std::string text, lines ? log.LastLines(runs, *lines) : log.All(runs));
    net::Response r = JsonResponse(200, codec::EncodeLogs(text));
    r.headers.Add("X-Log-Offset", std::to_string(size));
    return r;
  }

 private:
  struct From {
    std::optional<std::uint64_t> lines;  // the last ones, or else
    std::uint64_t offset = 0;
  };
  Result<net::Response> Follow(const Call& call, const TrainJob& job, service::JobLog log, From from) const {
    if (from.lines) {
      CML_ASSIGN_OR_RETURN(from.offset, log.OffsetOfLastLines(job.record.incarnation, *from.lines));
    }
    log.SeekTo(from.offset);
    auto source = std::make_unique<FollowedLog>(d_.jobs, call.caller, std::move(log), job.meta.id);
    net::Response r;
    r.headers.Add("Content-Type", "text/plain; charset=utf-8");
    r.source = std::move(source);
    return r;
  }

  static Status ReadFilters(const Call& call, service::TrainJobFilter& filter) {
    const auto fields = service::TrainJobListFields();
    for (const std::string_view field : fields) {
      if (std::string text = call.Query(std::string(field)); !text.empty()) filter.fields.emplace(field, std::move(text));
    }
    CML_ASSIGN_OR_RETURN(const auto sort, SortIn(call, fields));
    if (sort) {
      filter.sort = sort->field;
      filter.descending = sort->way == SortBy::Way::kDown;
    }
    return ReadLabels(call.Query("label"), filter);
  }

  static Status ReadLabels(const std::string& text, service::TrainJobFilter& filter) {
    if (text.empty()) return Ok{};
    for (const std::string_view part : Split(text, ',')) {
      const auto equals = part.find('=');
      if (equals == 0 || equals == std::string_view::npos) {
        return Error(Code::kInvalidArgument, "label " + Quote(part) + ": key=value, several with ','");
      }
      filter.labels[std::string(part.substr(0, equals))] = std::string(part.substr(equals + 1));
    }
    return Ok{};
  }

  std::string NameOf(const OrgId& org) const {
    auto name = d_.orgs.NameOf(org);
    return name.ok() ? std::move(name).value() : org.str();
  }
  net::Response One(const TrainJob& job) const {
    return JsonResponse(200, codec::EncodeTrainJob(job, NameOf(job.meta.org)));
  }

  TrainJobRoutesDeps d_;
  AnswerCache answers_;
};

}  // namespace

void AddTrainJobRoutes(RouteTable& table, TrainJobRoutesDeps deps) {
  const auto routes = std::make_shared<TrainJobRoutes>(std::move(deps));
  const auto add = [&](const char* method, const char* rest, Where where, auto member) {
    table.Add({method, std::string("/cloud_ml/v1/train") + rest, where,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  // Reading one row is a matter of microseconds, so those run where the request came in.
  add("POST", "", Where::kWorker, &TrainJobRoutes::Create);
  add("GET", "", Where::kWorker, &TrainJobRoutes::List);
  add("GET", "/{job}", Where::kEventLoop, &TrainJobRoutes::Describe);
  add("DELETE", "/{job}", Where::kWorker, &TrainJobRoutes::Delete);
  add("GET", "/{job}/logs", Where::kWorker, &TrainJobRoutes::Logs);
  add("GET", "/{job}/metrics", Where::kEventLoop, &TrainJobRoutes::Metrics);
  add("GET", "/{job}/events", Where::kWorker, &TrainJobRoutes::Events);
  add("GET", "/{job}/hyperparameters", Where::kEventLoop, &TrainJobRoutes::Hyperparameters);
  add("GET", "/{job}/start", Where::kWorker, &TrainJobRoutes::Start);  // changes, though a GET
}

}  // namespace cml::api
