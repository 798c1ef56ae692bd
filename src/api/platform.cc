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
    CML_RETURN_IF_ERROR(NeedsAdmin(call));
    CML_RETURN_IF_ERROR(d_.prepare_runtime({call.params[0], call.params[1]}));
    return DoneResponse("preparing " + call.params[0] + " " + call.params[1]);
  }

  Result<net::Response> Remove(const Call& call) const {
    CML_RETURN_IF_ERROR(NeedsAdmin(call));
    CML_RETURN_IF_ERROR(d_.remove_runtime({call.params[0], call.params[1]}));
    return DoneResponse("Successfully delete " + call.params[0] + " " + call.params[1]);
  }

  Result<net::Response> OrgId(const Call& call) const {
    return JsonResponse(200, codec::EncodeOrgId(call.caller.org.str()));
  }

  Result<net::Response> Authentication(const Call&) const { return DoneResponse("the key is good"); }

  Result<net::Response> Quota(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto usage, d_.usage(call.caller.org));
    return JsonResponse(200, codec::EncodeQuota(usage));
  }

 private:
  static Status NeedsAdmin(const Call& call) {
    if (service::IsPlatformAdmin(call.caller)) return Ok{};
    return Error(Code::kPermissionDenied,
                 "runtimes are shared by all organisations: only a platform administrator may change them");
  }

  PlatformRoutesDeps d_;
};

}  // namespace

void AddPlatformRoutes(RouteTable& table, PlatformRoutesDeps deps) {
  const auto routes = std::make_shared<PlatformRoutes>(std::move(deps));
  const auto add = [&](const char* method, const char* pattern, Access access, auto member) {
    table.Add({method, pattern, access, Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }});
  };
  add("GET", "/healthz", Access::kPublic, &PlatformRoutes::Health);
  add("GET", "/readyz", Access::kPublic, &PlatformRoutes::Ready);
  add("GET", "/metrics", Access::kPublic, &PlatformRoutes::Metrics);
  add("GET", "/openapi.yaml", Access::kPublic, &PlatformRoutes::OpenApi);
  add("GET", "/cloud_ml/v1/framework", Access::kPublic, &PlatformRoutes::Frameworks);
  add("GET", "/cloud_ml/v1/runtimes", Access::kSigned, &PlatformRoutes::Runtimes);
  add("POST", "/cloud_ml/v1/runtimes/{name}/{version}/prepare", Access::kSigned, &PlatformRoutes::Prepare);
  add("DELETE", "/cloud_ml/v1/runtimes/{name}/{version}", Access::kSigned, &PlatformRoutes::Remove);
  add("GET", "/cloud_ml/v1/org_ids", Access::kSigned, &PlatformRoutes::OrgId);
  add("GET", "/cloud_ml/v1/authentication", Access::kSigned, &PlatformRoutes::Authentication);
  add("GET", "/cloud_ml/v1/quota", Access::kSigned, &PlatformRoutes::Quota);
  add("POST", "/cloud_ml/v1/quota", Access::kSigned, &PlatformRoutes::Quota);  // reads, too (section 4)
}

}  // namespace cml::api
