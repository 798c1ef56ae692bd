// app/server_parts.h — everything that a running server consists of, and how it is plugged together.
// Private to server*.cc: each step of Start has its file, which says what it makes.
//
// Start, Reload and Stop belong to one thread; what is made in between is as thread-safe as it says
// itself. Errors of Start are those of RunServer.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/authenticator.h"
#include "api/front.h"
#include "api/objects/object_routes.h"
#include "api/platform.h"
#include "app/bill.h"
#include "app/config.h"
#include "app/endpoints.h"
#include "app/package_fetch.h"
#include "app/upkeep.h"
#include "backends/local/local_backend.h"
#include "backends/local/runtime_catalog.h"
#include "backends/local/uv_environments.h"
#include "base/file.h"
#include "control/admission_desk.h"
#include "control/org_controller.h"
#include "control/port_book.h"
#include "control/runner.h"
#include "control/train_job_controller.h"
#include "net/http_server.h"
#include "objectstore/filesystem/filesystem_store.h"
#include "service/audit_trail.h"
#include "service/keys.h"
#include "service/nodes.h"
#include "service/org_admin.h"
#include "service/orgs.h"
#include "service/quotas.h"
#include "service/train_jobs.h"
#include "service/users.h"
#include "service/webhook_courier.h"
#include "service/webhooks.h"

namespace cml::app {

namespace local = backends::local;

// Everything that runs, in the order in which it is made; destroyed in the reverse order.
class Server {
 public:
  explicit Server(const Config& config) : config_(config) {}

  Status Start(std::unique_ptr<local::ShimLauncher> launcher);
  const std::string& endpoint() const { return endpoint_; }
  void Reload() { static_cast<void>(http_->ReloadTls()); }  // logged there
  void Stop();

 private:
  using TellOfJob = std::function<std::function<void()>(const TrainJob&, std::string_view, store::Alongside&)>;
  using TellOfBudget = std::function<std::function<void()>(const codec::BudgetNews&, store::Alongside&)>;

  // ---- server_state.cc
  Status OpenState();
  uid_t UidOf(const OrgId& org) { return static_cast<uid_t>(orgs_->UidOf(org)); }
  std::optional<objectstore::FilesystemStore::Owner> OwnerOf(const OrgId& org);

  // ---- server_backend.cc
  Status MakeBackend();
  // A job that names no framework gets TensorFlow, the platform's first.
  Result<RuntimeRef> FrameworkOf(const std::string& name, const std::string& version) const;

  // ---- server_webhooks.cc
  Status OpenWebhooks();
  // What webhooks are told goes into the transaction of the change.
  TellOfJob Tell();
  TellOfBudget TellOfBudgets();
  // What is to be called when `with` is committed.
  std::function<void()> Send(std::vector<Delivery> letters, store::Alongside& with);

  // ---- server_control.cc
  Status MakeControl();
  // The deletion of organisations; and, as it has a thread to lend, when keys were last used.
  Status MakeOrgControl();
  // Its deletion goes on; what waits of it learns that it may, or may not, start.
  void OrgChanged(const Org& org);
  // Suspended, or its budget is used up.
  std::string WhyHeldBack(const OrgId& org);

  // ---- server_api.cc
  Status MakeApi();
  api::PlatformRoutesDeps PlatformDeps();
  std::string Metrics() const;
  void KeepUp();  // what is due every few seconds

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
  std::unique_ptr<service::SecretBox> box_;
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
  std::unique_ptr<control::PortBook> ports_;
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

}  // namespace cml::app
