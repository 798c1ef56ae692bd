// Where jobs run: environments of frameworks, packages, and the local backend in its network.
#include "app/server_parts.h"

#include "app/embedded.h"
#include "backends/local/network.h"
#include "base/log.h"

namespace cml::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultFramework = "tensorflow";
constexpr std::int64_t kMostProcesses = 4096;  // and threads, of one replica

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

}  // namespace

Status Server::MakeBackend() {
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

// A job that names no framework gets TensorFlow, the platform's first.
Result<RuntimeRef> Server::FrameworkOf(const std::string& name, const std::string& version) const {
  auto found = local::ResolveRuntime(catalog_, name.empty() ? kDefaultFramework : name, version);
  if (found.ok() || found.error().code() != Code::kNotFound) return found;
  return Error(Code::kInvalidArgument,
               (version.empty() ? "framework: " : "framework, framework_version: ") + found.error().message());
}

}  // namespace cml::app
