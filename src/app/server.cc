// Start and stop. How the parts are made and plugged together: server_state.cc, server_backend.cc,
// server_webhooks.cc, server_control.cc, server_api.cc.
#include "app/server.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>

#include "app/admin_file.h"
#include "app/server_parts.h"
#include "base/log.h"

namespace cml::app {
namespace {

constexpr std::chrono::seconds kDrain{8};

// Each connection is a descriptor; the usual limit of 1024 is the shell's, not the machine's.
void AllowManyConnections() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 16'384);
  ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

Status Server::Start(std::unique_ptr<local::ShimLauncher> launcher) {
  launcher_ = std::move(launcher);
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

void Server::Stop() {
  if (front_) front_->BeginDrain();
  if (http_) http_->Drain(kDrain);
  if (runner_) runner_->Stop();
  if (bill_) bill_->Stop();
  upkeep_.reset();
  if (audit_) audit_->Flush(service::AuditTrail::Which::kAll);
  if (org_runner_) org_runner_->Stop();
  if (orgs_) (void)orgs_->FlushUses().ok();
}

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

}  // namespace cml::app
