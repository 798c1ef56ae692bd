// What clients reach: the routes, the front, the HTTP server; metrics, and what is due every few seconds.
#include "app/server_parts.h"

#include "api/audit.h"
#include "api/nodes.h"
#include "api/orgs.h"
#include "api/platform.h"
#include "api/quotas.h"
#include "api/train_jobs.h"
#include "api/usage.h"
#include "api/webhooks.h"
#include "app/embedded.h"
#include "app/metrics.h"
#include "base/log.h"
#include "core/quantity.h"
#include "service/idempotency.h"

namespace cml::app {
namespace {

constexpr std::chrono::minutes kSweep{10};


service::TrainJobDefaults DefaultsFor(const Config& config, const std::vector<Node>& nodes) {
  service::TrainJobDefaults defaults{config.default_cpu, config.default_memory};
  std::int64_t millicores = 1000, memory = 2LL << 30;
  for (const Node& node : nodes) {
    millicores = std::max(millicores, std::min<std::int64_t>(node.millicores / 2, 4000));
    memory = std::max(memory, std::min<std::int64_t>(node.memory_bytes / 4, 8LL << 30));
  }
  if (defaults.cpu_limit.empty()) defaults.cpu_limit = FormatCpu(millicores / 1000 * 1000);
  if (defaults.memory_limit.empty()) defaults.memory_limit = FormatMemory(memory >> 20 << 20);
  return defaults;
}

}  // namespace

Status Server::MakeApi() {
  CML_ASSIGN_OR_RETURN(const auto nodes, backend_->Nodes(Soon()));
  jobs_ = std::make_unique<service::TrainJobs>(service::TrainJobs::Deps{
      *rows_, *objects_, *orgs_, clock_, DefaultsFor(config_, nodes),
      [this](const std::string& name, const std::string& version) { return FrameworkOf(name, version); },
      [this](const std::string& endpoint) { return PackageEndpoint(own_, endpoint); },
      [this](const ResourceId& id) { runner_->Notify(id); },
      [this](const OrgId& org, const Reservation& reservation) { return quotas_->Room(org, reservation); },
      Tell(),
      [this](const OrgId& org) { return bill_->budgets().MayStart(org); }});
  auth_ = std::make_unique<api::Authenticator>(*orgs_, clock_, first_start_ ? SysTime{} : started_);
  api::RouteTable table;
  api::AddTrainJobRoutes(table, {*jobs_, *orgs_, [this](const RunKey& key, const std::string& role, std::uint32_t index) {
    return backend_->LogOf(key, role, index);
  }});
  api::AddAuditRoutes(table, *audit_);
  api::AddWebhookRoutes(table, *hooks_);
  api::AddPlatformRoutes(table, PlatformDeps());
  api::AddQuotaRoutes(table, *quotas_);
  api::AddNodeRoutes(table, *nodes_);
  api::AddUsageRoutes(table, {bill_->usage(), bill_->budgets(), *orgs_, clock_});
  api::AddOrgRoutes(table, *org_admin_);
  api::AddUserRoutes(table, *users_);
  api::AddKeyRoutes(table, *keys_, clock_);
  api::AddNamespaceRoutes(table, {*org_admin_, *users_, *quotas_});
  object_routes_ = std::make_unique<api::objects::ObjectRoutes>(
      *objects_,
      [this](const AccessKey& key) -> Result<api::objects::Caller> {
        CML_ASSIGN_OR_RETURN(auto identity, auth_->Identify(key));
        api::objects::Caller caller{identity.caller.org, std::move(identity.secret)};
        const Status may = orgs_->MayChange(identity.caller);
        if (!may.ok()) caller.why_read_only = may.error().message();
        if (!may.ok() || !service::MayWrite(identity.caller)) caller.access = api::objects::Access::kRead;
        caller.signature_good = [this, key = std::move(identity.key)] { key->UsedAt(clock_.Now()); };
        caller.who = identity.caller;
        return caller;
      },
      clock_);
  front_ = std::make_unique<api::Front>(
      api::Front::Deps{*auth_, audit_.get(), clock_, config_.front}, std::move(table),
      [this](const net::Request& head, api::Admit admit) { return object_routes_->Route(head, std::move(admit)); });
  upkeep_ = std::make_unique<Upkeep>(std::chrono::seconds{5}, [this] { KeepUp(); });
  net::ServerOptions options = config_.http;
  options.address = config_.listen_address;
  options.port = config_.listen_port;
  CML_ASSIGN_OR_RETURN(http_, net::HttpServer::Start(
      options, [this](const net::Request& head) { return front_->Route(head); }));
  return Ok{};
}

// What is due every few seconds.
void Server::KeepUp() {
  audit_->Flush();
  const SysTime now = clock_.Now();
  if (now - swept_ < kSweep) return;
  swept_ = now;
  const Status swept = service::SweepIdempotency(*store_, now);
  const Status deliveries = courier_->Sweep();
  if (!deliveries.ok()) LogWarning("old deliveries of webhooks cannot be removed", {{"why", deliveries.error().message()}});
  if (!swept.ok()) LogWarning("old idempotency keys cannot be removed", {{"why", swept.error().message()}});
}

api::PlatformRoutesDeps Server::PlatformDeps() {
  api::PlatformRoutesDeps deps{*orgs_, OpenApiText(), {}, {}, {}, {}, {}};
  deps.ready = [this]() -> Status {
    if (!ready_ || front_->draining()) return Error(Code::kUnavailable, "the server is starting or stopping");
    return store_->Ping();
  };
  deps.metrics = [this] { return Metrics(); };
  deps.runtimes = [this]() -> Result<std::vector<codec::RuntimeLine>> {
    CML_ASSIGN_OR_RETURN(const auto all, backend_->Runtimes(Soon()));
    std::vector<codec::RuntimeLine> lines;
    for (const auto& r : all) {
      lines.push_back({r.runtime.name, r.runtime.version, r.variant, r.python, r.state, r.message, r.size_bytes, r.packages});
    }
    return lines;
  };
  deps.prepare_runtime = [this](const RuntimeRef& r) -> Status {
    CML_ASSIGN_OR_RETURN(const RuntimeRef known, local::ResolveRuntime(catalog_, r.name, r.version));
    return backend_->PrepareRuntime(known, Soon());
  };
  deps.remove_runtime = [this](const RuntimeRef& r) -> Status {
    CML_ASSIGN_OR_RETURN(const RuntimeRef known, local::ResolveRuntime(catalog_, r.name, r.version));
    return backend_->RemoveRuntime(known, Soon());
  };
  return deps;
}

std::string Server::Metrics() const {
  ServerFigures figures;
  figures.http = http_->counters();
  const auto counts = desk_->counts();
  figures.jobs_waiting = counts.waiting;
  figures.jobs_holding = counts.holding;
  figures.ports_held = ports_->held();
  for (const BudgetState& state : bill_->budgets().All()) {
    figures.budgets.push_back({state.org.str(), state.percent()});
  }
  figures.started = static_cast<double>(started_.time_since_epoch().count()) / 1000;
  ReadProcess(figures);
  return EncodeMetrics(figures);
}

}  // namespace cml::app
