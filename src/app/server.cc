#include "app/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "api/audit.h"
#include "api/auth/authenticator.h"
#include "api/front.h"
#include "api/nodes.h"
#include "api/objects/object_routes.h"
#include "api/orgs.h"
#include "api/platform.h"
#include "api/quotas.h"
#include "api/train_jobs.h"
#include "api/usage.h"
#include "api/webhooks.h"
#include "app/admin_file.h"
#include "app/bill.h"
#include "app/embedded.h"
#include "app/endpoints.h"
#include "app/metrics.h"
#include "app/package_fetch.h"
#include "app/upkeep.h"
#include "app/webhook_post.h"
#include "backends/local/local_backend.h"
#include "backends/local/network.h"
#include "backends/local/runtime_catalog.h"
#include "backends/local/uv_environments.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "control/admission_desk.h"
#include "control/org_controller.h"
#include "control/runner.h"
#include "control/train_job_controller.h"
#include "core/quantity.h"
#include "crypto/seal.h"
#include "net/guarded_post.h"
#include "net/http_server.h"
#include "objectstore/filesystem/filesystem_store.h"
#include "service/audit_trail.h"
#include "service/idempotency.h"
#include "service/nodes.h"
#include "service/keys.h"
#include "service/org_admin.h"
#include "service/orgs.h"
#include "service/quotas.h"
#include "service/train_jobs.h"
#include "service/users.h"
#include "service/webhook_courier.h"
#include "service/webhooks.h"
#include "store/sqlite/sqlite_store.h"

namespace cml::app {
namespace {

namespace fs = std::filesystem;
namespace local = backends::local;

constexpr std::chrono::seconds kDrain{8};
constexpr std::chrono::minutes kSweep{10};
constexpr std::chrono::minutes kFlushUses{1};    // when keys were last used
const ResourceId kKeyUses{"key uses"};          // beside the numbers of organisations
constexpr const char* kDefaultFramework = "tensorflow";
constexpr std::int64_t kMostProcesses = 4096;  // and threads, of one replica


fs::path DatabaseOf(const fs::path& data) { return data / "cloudml.db"; }
fs::path KeyFileOf(const fs::path& data) { return data / "master.key"; }

class SealedBox final : public service::SecretBox {
 public:
  explicit SealedBox(crypto::Sealer sealer) : sealer_(std::move(sealer)) {}
  std::string Seal(std::string_view plain, std::string_view context) const override {
    return sealer_.Seal(plain, context);
  }
  Result<Secret> Open(std::string_view sealed, std::string_view context) const override {
    return sealer_.Open(sealed, context);
  }

 private:
  crypto::Sealer sealer_;
};

// Each connection is a descriptor; the usual limit of 1024 is the shell's, not the machine's.
void AllowManyConnections() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 16'384);
  ::setrlimit(RLIMIT_NOFILE, &files);
}

// One server per data folder. The lock goes with the process, however it ends.
Result<Fd> LockData(const fs::path& data) {
  CML_RETURN_IF_ERROR(MakeFolders(data, 0700));
  CML_ASSIGN_OR_RETURN(Fd lock, OpenFile(data / "lock", O_RDWR | O_CREAT, 0600));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error(Code::kUnavailable, data.string() + " is in use by another cloudml server; stop it, or give this one another folder (--data)");
  }
  return lock;
}

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

Result<local::NetworkChoice> ChooseNetwork(Config::Network wanted) {
  if (wanted == Config::Network::kHost) return local::NetworkChoice::kHost;
  const std::string obstacle = local::NetworkObstacle();
  if (obstacle.empty()) return local::NetworkChoice::kOrganisation;
  if (wanted == Config::Network::kOrganisation) {
    return Error(Code::kFailedPrecondition, "network: organisation: " + obstacle);
  }
  LogWarning("jobs share the machine's network, and so can reach those of other organisations", {{"because", obstacle}});
  return local::NetworkChoice::kHost;
}

// Servers of one machine do not all begin at the same one.
int SomePort() {
  const std::string bytes = RandomBytes(2);
  const int number = static_cast<unsigned char>(bytes[0]) * 256 + static_cast<unsigned char>(bytes[1]);
  return 20'000 + number % 10'000;
}

// Everything that runs, in the order in which it is made; destroyed in the reverse order.
class Server {
 public:
  explicit Server(const Config& config) : config_(config) {}

  Status Start(std::unique_ptr<local::ShimLauncher> launcher) {
    launcher_ = std::move(launcher);
    CML_ASSIGN_OR_RETURN(lock_, LockData(config_.data));
    CML_RETURN_IF_ERROR(OpenState());
    CML_RETURN_IF_ERROR(MakeBackend());
    CML_RETURN_IF_ERROR(OpenWebhooks());
    CML_RETURN_IF_ERROR(MakeControl());
    CML_RETURN_IF_ERROR(MakeApi());
    const std::string scheme = config_.http.tls ? "https" : "http";
    endpoint_ = fmt::format("{}://{}:{}", scheme, config_.listen_address == "0.0.0.0" ? "127.0.0.1" : config_.listen_address, http_->port());
    own_.own = config_.public_endpoints;
    own_.own.push_back(endpoint_);
    own_.own.push_back(fmt::format("{}://localhost:{}", scheme, http_->port()));
    own_.own.push_back(fmt::format("127.0.0.1:{}", http_->port()));
    own_.own.push_back(fmt::format("localhost:{}", http_->port()));
    own_.allowed = config_.package_hosts;
    CML_RETURN_IF_ERROR(EnsureAdminFile(config_.data / "admin.json", endpoint_, first_org_.id, *orgs_));
    ready_ = true;
    return Ok{};
  }

  const std::string& endpoint() const { return endpoint_; }

  void Reload() { static_cast<void>(http_->ReloadTls()); }  // logged there

  void Stop() {
    if (front_) front_->BeginDrain();
    if (http_) http_->Drain(kDrain);
    if (runner_) runner_->Stop();
    if (bill_) bill_->Stop();
    upkeep_.reset();
    if (audit_) audit_->Flush(service::AuditTrail::Which::kAll);
    if (org_runner_) org_runner_->Stop();
    if (orgs_) (void)orgs_->FlushUses().ok();
  }

 private:
  Status OpenState() {
    CML_ASSIGN_OR_RETURN(crypto::Sealer sealer, crypto::Sealer::FromKeyFile(KeyFileOf(config_.data)));
    CML_ASSIGN_OR_RETURN(store_, store::SqliteStore::Open(DatabaseOf(config_.data), sealer.KeyFor("audit")));
    box_ = std::make_unique<SealedBox>(std::move(sealer));
    orgs_ = std::make_unique<service::Orgs>(*store_, *box_, clock_);
    CML_ASSIGN_OR_RETURN(const auto first, orgs_->EnsureDefaultOrg(config_.first_uid));
    first_org_ = first.org;
    first_start_ = first.created;
    quotas_ = std::make_unique<service::Quotas>(service::Quotas::Deps{
        *store_, clock_,
        [this](const service::Caller& caller, const OrgId& org, const service::OrgWords& words) -> Status {
          CML_RETURN_IF_ERROR(org_admin_->Update(caller, org.str(), {words.name, words.mail, {}, words.project, {}}));
          return Ok{};
        },
        config_.default_quota});
    CML_ASSIGN_OR_RETURN(objects_, objectstore::FilesystemStore::Open(
        config_.data / "objects", [this](const OrgId& org) { return OwnerOf(org); }));
    audit_ = std::make_unique<service::AuditTrail>(*store_, clock_);
    org_admin_ = std::make_unique<service::OrgAdmin>(service::OrgAdmin::Deps{
        *orgs_, *objects_, clock_, [this](const Org& org) { OrgChanged(org); },
        [this](const OrgId& org) { return quotas_->GiveDefault(org); }});
    CML_RETURN_IF_ERROR(org_admin_->Repair());
    keys_ = std::make_unique<service::Keys>(service::Keys::Deps{*store_, *orgs_, clock_});
    users_ = std::make_unique<service::Users>(service::Users::Deps{*store_, *orgs_, *keys_, clock_});
    rows_ = std::make_unique<store::TrainJobRows>(*store_);
    return Ok{};
  }

  Status MakeBackend() {
    CML_ASSIGN_OR_RETURN(catalog_, local::ReadCatalog(runtimes::Files()));
    local::UvOptions uv;
    uv.catalog = catalog_;
    uv.folder = config_.environments_folder.empty() ? config_.data / "environments" : config_.environments_folder;
    uv.tools = config_.data / "tools";
    uv.environment = local::ProcessVariables();
    environments_ = std::make_unique<local::UvEnvironments>(std::move(uv));

    fetch_ = std::make_unique<PackageFetch>(*objects_, *orgs_, clock_);
    local::LocalOptions o;
    o.data = config_.data;
    o.node_name = config_.node_name;
    o.labels = config_.node_labels;
    o.fake_gpus = config_.fake_gpus;
    o.capacity = config_.capacity;
    o.defaults.processes = kMostProcesses;
    o.uid_of = [this](const OrgId& org) { return UidOf(org); };
    o.fetch = [this](const OrgId& org, const Fetch& fetch, const fs::path& to) { return (*fetch_)(org, fetch, to); };
    o.buckets = [this](const OrgId& org) { return objects_->OrganisationFolder(org); };
    CML_ASSIGN_OR_RETURN(o.network, ChooseNetwork(config_.network));
    o.launcher = launcher_.get();
    o.environments = environments_.get();
    CML_ASSIGN_OR_RETURN(backend_, local::LocalBackend::Open(std::move(o)));
    return Ok{};
  }

  Status MakeControl() {
    CML_ASSIGN_OR_RETURN(const store::LeaderToken leader, store_->BecomeLeader());
    CML_RETURN_IF_ERROR(rows_->RepairReservations(leader));
    desk_ = std::make_unique<control::AdmissionDesk>([this](const ResourceId& id) { runner_->Notify(id); }, clock_);
    controller_ = std::make_unique<control::TrainJobController>(control::TrainJobController::Deps{
        *rows_, *backend_, *desk_, ports_, clock_, std::string(PackageInstaller()), leader,
        [this](const OrgId& org) { return quotas_->RankOf(org, QuotaGroup::kTrain); },
        [this](const OrgId& org) { return WhyHeldBack(org); }, Tell()});
    nodes_ = std::make_unique<service::Nodes>(service::Nodes::Deps{
        *store_, clock_, [this] { return desk_->Book(); },
        [this](std::set<std::string> names) { desk_->KeepFree(std::move(names)); }});
    CML_RETURN_IF_ERROR(nodes_->Recover());
    runner_ = std::make_unique<control::Runner>(
        [this](const ResourceId& id) { return controller_->Step(id); }, control::Runner::Options{});
    backend_->OnChange([this](const RunKey& key) { runner_->Notify(key.resource); });
    bill_ = std::make_unique<Bill>(Bill::Deps{*store_, *rows_, *backend_, *objects_, *orgs_, clock_, config_.prices,
                                              [this](const ResourceId& id) { runner_->Notify(id); }});
    CML_RETURN_IF_ERROR(bill_->Start());
    CML_ASSIGN_OR_RETURN(const auto unfinished, controller_->Recover());
    for (const ResourceId& id : unfinished) runner_->Notify(id);
    return MakeOrgControl();
  }

  // The deletion of organisations; and, as it has a thread to lend, when keys were last used.
  Status MakeOrgControl() {
    org_controller_ = std::make_unique<control::OrgController>(control::OrgController::Deps{
        *store_, *rows_, clock_, [this](const OrgId& org) { return objects_->RemoveAllOf(org); },
        [this](const OrgId& org) { return orgs_->Erase(org); },
        [this](const ResourceId& id) { runner_->Notify(id); }});
    control::Runner::Options options;
    options.workers = 1;
    org_runner_ = std::make_unique<control::Runner>(
        [this](const ResourceId& id) -> Result<control::Next> {
          if (id != kKeyUses) return org_controller_->Step(OrgId{id.str()});
          CML_RETURN_IF_ERROR(orgs_->FlushUses());
          return control::Next::Later(kFlushUses);
        },
        options);
    CML_ASSIGN_OR_RETURN(const auto leaving, org_controller_->Recover());
    for (const OrgId& org : leaving) org_runner_->Notify(ResourceId{org.str()});
    org_runner_->Notify(kKeyUses);
    return Ok{};
  }

  // Its deletion goes on; what waits of it learns that it may, or may not, start.
  void OrgChanged(const Org& org) {
    org_runner_->Notify(ResourceId{org.id.str()});
    const auto unfinished = rows_->ListUnfinished();
    if (!unfinished.ok()) return;  // they look again by themselves
    for (const ResourceId& id : unfinished.value()) runner_->Notify(id);
  }

  Status MakeApi() {
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

  // Webhooks: what a job's organisation is told goes into the transaction of the change.
  std::function<std::function<void()>(const TrainJob&, std::string_view, store::Alongside&)> Tell() {
    return [this](const TrainJob& job, std::string_view state, store::Alongside& with) -> std::function<void()> {
      auto letters = hooks_->Letters(job, fmt::format("train_job.{}", state));
      if (letters.empty()) return {};
      service::Webhooks::Enclose(letters, with);
      return [this, letters = std::move(letters)] { hooks_->Committed(letters); };
    };
  }

  Status OpenWebhooks() {
    hooks_ = std::make_unique<service::Webhooks>(service::Webhooks::Deps{
        *store_, *box_, clock_, [this](const std::string& url) { return net::CheckGuardedUrl(url, config_.webhook_allow); },
        [this](const std::vector<Delivery>& letters) {
          if (courier_) courier_->Take(letters);
        }});
    CML_RETURN_IF_ERROR(hooks_->Load());
    courier_ = std::make_unique<service::WebhookCourier>(service::WebhookCourier::Deps{
        *store_, *hooks_, clock_,
        [this](const service::WebhookCourier::Letter& letter) { return PostLetter(letter, config_.webhook_allow); }});
    return courier_->Recover();
  }

  // What is due every few seconds.
  void KeepUp() {
    audit_->Flush();
    const SysTime now = clock_.Now();
    if (now - swept_ < kSweep) return;
    swept_ = now;
    const Status swept = service::SweepIdempotency(*store_, now);
    const Status deliveries = courier_->Sweep();
    if (!deliveries.ok()) LogWarning("old deliveries of webhooks cannot be removed", {{"why", deliveries.error().message()}});
    if (!swept.ok()) LogWarning("old idempotency keys cannot be removed", {{"why", swept.error().message()}});
  }

  api::PlatformRoutesDeps PlatformDeps() {
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

  std::string Metrics() const {
    ServerFigures figures;
    figures.http = http_->counters();
    const auto counts = desk_->counts();
    figures.jobs_waiting = counts.waiting;
    figures.jobs_holding = counts.holding;
    figures.ports_held = ports_.held();
    for (const BudgetState& state : bill_->budgets().All()) {
      figures.budgets.push_back({state.org.str(), state.percent()});
    }
    figures.started = static_cast<double>(started_.time_since_epoch().count()) / 1000;
    ReadProcess(figures);
    return EncodeMetrics(figures);
  }

  // A job that names no framework gets TensorFlow, the platform's first.
  Result<RuntimeRef> FrameworkOf(const std::string& name, const std::string& version) const {
    auto found = local::ResolveRuntime(catalog_, name.empty() ? kDefaultFramework : name, version);
    if (found.ok() || found.error().code() != Code::kNotFound) return found;
    return Error(Code::kInvalidArgument,
                 (version.empty() ? "framework: " : "framework, framework_version: ") + found.error().message());
  }

  // Suspended, or its budget is used up.
  std::string WhyHeldBack(const OrgId& org) {
    std::string why = orgs_->WhyHeldBack(org);
    if (!why.empty()) return why;
    const Status may = bill_->budgets().MayStart(org);
    return may.ok() ? std::string() : may.error().message();
  }

  uid_t UidOf(const OrgId& org) { return static_cast<uid_t>(orgs_->UidOf(org)); }
  std::optional<objectstore::FilesystemStore::Owner> OwnerOf(const OrgId& org) {
    if (::geteuid() != 0) return std::nullopt;
    const uid_t uid = UidOf(org);
    return objectstore::FilesystemStore::Owner{uid, static_cast<gid_t>(uid)};
  }
  static Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{10}; }

  const Config& config_;
  const SystemClock clock_;
  const SysTime started_ = clock_.Now();
  std::atomic<bool> ready_{false};
  std::string endpoint_;
  KnownEndpoints own_;
  Org first_org_;
  bool first_start_ = false;
  Fd lock_;
  std::unique_ptr<local::ShimLauncher> launcher_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<SealedBox> box_;
  std::unique_ptr<service::Orgs> orgs_;
  std::unique_ptr<objectstore::FilesystemStore> objects_;
  std::unique_ptr<service::Quotas> quotas_;
  std::unique_ptr<service::Nodes> nodes_;
  std::unique_ptr<service::AuditTrail> audit_;
  std::unique_ptr<service::Webhooks> hooks_;
  std::unique_ptr<service::WebhookCourier> courier_;
  std::unique_ptr<service::OrgAdmin> org_admin_;
  std::unique_ptr<service::Keys> keys_;
  std::unique_ptr<service::Users> users_;
  std::unique_ptr<store::TrainJobRows> rows_;
  local::Catalog catalog_;
  std::unique_ptr<PackageFetch> fetch_;
  std::unique_ptr<local::UvEnvironments> environments_;
  std::unique_ptr<local::LocalBackend> backend_;
  std::unique_ptr<control::AdmissionDesk> desk_;
  control::PortBook ports_{{.start = SomePort()},
                           [this](const OrgId& org, const std::string&, int port) {
                             return backend_->IsPortFree(org, port);
                           }};
  std::unique_ptr<control::TrainJobController> controller_;
  std::unique_ptr<control::Runner> runner_;
  std::unique_ptr<control::OrgController> org_controller_;
  std::unique_ptr<control::Runner> org_runner_;
  std::unique_ptr<Bill> bill_;
  std::unique_ptr<service::TrainJobs> jobs_;
  std::unique_ptr<api::Authenticator> auth_;
  std::unique_ptr<api::objects::ObjectRoutes> object_routes_;
  std::unique_ptr<api::Front> front_;
  SysTime swept_{};  // of the upkeep's thread
  std::unique_ptr<Upkeep> upkeep_;
  std::unique_ptr<net::HttpServer> http_;
};

}  // namespace

Status RunServer(const Config& config) {
  SetLogLevel(config.log_level);
  SetLogFormat(config.log_format);
  // Before any thread: the launcher forks, and every thread inherits the blocked signals.
  CML_ASSIGN_OR_RETURN(auto launcher, local::ShimLauncher::Fork());
  launcher->SetProgram("/proc/self/exe");
  ::signal(SIGPIPE, SIG_IGN);
  AllowManyConnections();
  ::mallopt(M_ARENA_MAX, 2);  // a heap per worker thread would be memory for nothing
  sigset_t stop_signals;
  ::sigemptyset(&stop_signals);
  ::sigaddset(&stop_signals, SIGTERM);
  ::sigaddset(&stop_signals, SIGINT);
  if (config.http.tls) ::sigaddset(&stop_signals, SIGHUP);  // the certificate is loaded anew
  ::pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  Server server(config);
  CML_RETURN_IF_ERROR(server.Start(std::move(launcher)));
  std::printf("cloudml ready on %s  data in %s\n", server.endpoint().c_str(), config.data.c_str());
  std::fflush(stdout);
  int signal_number = 0;
  while (::sigwait(&stop_signals, &signal_number) == 0 && signal_number == SIGHUP) server.Reload();
  LogInfo("stopping", {{"signal", std::to_string(signal_number)}});
  server.Stop();
  return Ok{};
}

Status BackupServer(const fs::path& data, const fs::path& file) {
  if (!fs::exists(DatabaseOf(data))) {
    return Error(Code::kNotFound, data.string() + ": there is no cloudml data; name the folder with --data");
  }
  Secret audit_key;
  if (fs::exists(KeyFileOf(data))) {  // reading makes no key
    CML_ASSIGN_OR_RETURN(const crypto::Sealer sealer, crypto::Sealer::FromKeyFile(KeyFileOf(data)));
    audit_key = sealer.KeyFor("audit");
  }
  CML_ASSIGN_OR_RETURN(const auto store, store::SqliteStore::Open(DatabaseOf(data), audit_key));
  return store->Backup(file);
}

}  // namespace cml::app
