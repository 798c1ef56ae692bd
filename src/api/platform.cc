#include "api/platform.h"

#include <map>
#include <memory>

#include "api/http_error.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;

class PlatformRoutes {
 public:
  explicit PlatformRoutes(PlatformRoutesDeps deps) : d_(std::move(deps)) {}

  Result<net::Response> Health(const Call&) const { return TextResponse(200, "ok\n", "text/plain"); }

  Result<net::Response> Ready(const Call&) const {
    CML_RETURN_IF_ERROR(d_.ready());
    return TextResponse(200, "ready\n", "text/plain");
  }

  Result<net::Response> Metrics(const Call&) const {
    return TextResponse(200, d_.metrics(), "text/plain; version=0.0.4");
  }

  Result<net::Response> OpenApi(const Call&) const {
    return TextResponse(200, std::string(d_.openapi), "application/yaml");
  }

  Result<net::Response> Frameworks(const Call&) const {
    CML_ASSIGN_OR_RETURN(const auto lines, d_.runtimes());
    std::map<std::string, std::vector<std::string>> versions;
    for (const auto& line : lines) {
      auto& all = versions[line.name];
      if (all.empty() || all.back() != line.version) all.push_back(line.version);
    }
    return JsonResponse(200, codec::EncodeFrameworks(versions));
  }

  Result<net::Response> Runtimes(const Call&) const {
    CML_ASSIGN_OR_RETURN(const auto lines, d_.runtimes());
    return JsonResponse(200, codec::EncodeRuntimes(lines));
  }

  Result<net::Response> Prepare(const Call& call) const {
    CML_RETURN_IF_ERROR(d_.prepare_runtime({call.params[0], call.params[1]}));
    return DoneResponse("preparing " + call.params[0] + " " + call.params[1]);
  }

  Result<net::Response> Remove(const Call& call) const {
    CML_RETURN_IF_ERROR(d_.remove_runtime({call.params[0], call.params[1]}));
    return DoneResponse("Successfully delete " + call.params[0] + " " + call.params[1]);
  }

  Result<net::Response> OrgId(const Call& call) const {
    return JsonResponse(200, codec::EncodeOrgId(call.caller.org.str()));
  }

  Result<net::Response> Authentication(const Call&) const { return JsonResponse(200, good_key_); }

 private:
  PlatformRoutesDeps d_;
  const std::string good_key_ = codec::EncodeMessage(codec::IsError::kNo, "the key is good");
};

}  // namespace

void AddPlatformRoutes(RouteTable& table, PlatformRoutesDeps deps) {
  const auto routes = std::make_shared<PlatformRoutes>(std::move(deps));
  const auto add = [&](const char* method, const char* pattern, auto member, Where where = Where::kWorker) {
    table.Add({method, pattern, where,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("GET", "/healthz", &PlatformRoutes::Health, Where::kEventLoop);
  add("GET", "/readyz", &PlatformRoutes::Ready);
  add("GET", "/metrics", &PlatformRoutes::Metrics);
  add("GET", "/openapi.yaml", &PlatformRoutes::OpenApi);
  add("GET", "/cloud_ml/v1/framework", &PlatformRoutes::Frameworks);
  add("GET", "/cloud_ml/v1/runtimes", &PlatformRoutes::Runtimes);
  add("POST", "/cloud_ml/v1/runtimes/{name}/{version}/prepare", &PlatformRoutes::Prepare);
  add("DELETE", "/cloud_ml/v1/runtimes/{name}/{version}", &PlatformRoutes::Remove);
  add("GET", "/cloud_ml/v1/org_ids", &PlatformRoutes::OrgId);
  add("GET", "/cloud_ml/v1/authentication", &PlatformRoutes::Authentication, Where::kEventLoop);
}

}  // namespace cml::api
