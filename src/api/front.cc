#include "api/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/http_error.h"
#include "base/strings.h"

namespace cml::api {
namespace {

constexpr std::uint64_t kMostBody = 1 << 20;

// The first path segments that are the API's; all others are buckets of the object store.
constexpr std::array kOurs = {std::string_view("/cloud_ml/"), std::string_view("/dev_server/"),
                              std::string_view("/healthz"),   std::string_view("/readyz"),
                              std::string_view("/metrics"),   std::string_view("/openapi.yaml")};

// Resources of the contract that come with later versions of the server.
struct Later {
  std::string_view prefix, what;
};
constexpr std::array kLater = {
    Later{"/cloud_ml/v1/hp", "hyperparameter jobs"},
    Later{"/cloud_ml/v1/model", "model services"},
    Later{"/cloud_ml/v1/dev", "dev environments"},
    Later{"/dev_server/", "dev servers"},
    Later{"/cloud_ml/v1/tensorboard", "TensorBoard services"},
    Later{"/cloud_ml/v1/pipeline", "pipelines"},
    Later{"/cloud_ml/v1/schedule", "schedules"},
    Later{"/cloud_ml/v1/ceph", "ceph volumes"},
    Later{"/cloud_ml/v1/secret", "secrets"},
};

bool IsOurs(std::string_view path) {
  return std::any_of(kOurs.begin(), kOurs.end(), [path](std::string_view p) {
    return p.ends_with('/') ? path.starts_with(p) : path == p;
  });
}

// For the audit: the address, and who the client's certificate says it is, where TLS asked for one.
std::string WhereFrom(const net::Request& request) {
  return request.client_subject.empty() ? request.peer : request.peer + " " + request.client_subject;
}

Error NoSuchRoute(const net::Request& request) {
  for (const auto& [prefix, what] : kLater) {
    if (request.path.starts_with(prefix)) {
      return Error(Code::kNotFound, fmt::format("{}: not available yet on this server", what));
    }
  }
  return Error(Code::kNotFound, fmt::format("{} {}: there is no such resource; GET /openapi.yaml lists them",
                                            request.method, Quote(request.path)));
}

Status CheckRole(const AccessRule& rule, const service::Caller& caller) {
  if (Allows(rule, caller.role)) return Ok{};
  if (caller.role == KeyRole::kViewer && Allows(rule, KeyRole::kMember)) {
    return Error(Code::kPermissionDenied, "this key may only read; ask your administrator for a member's key");
  }
  return Error(Code::kPermissionDenied,
               fmt::format("{}: a key of the role {} may not; only {} may", rule.action, ToString(caller.role),
                           Allows(rule, KeyRole::kOrgAdmin) ? "an administrator of the organisation"
                                                            : "a platform administrator"));
}

// org_id is an administrator's way to act for another organisation (cloud_ml v1, section 4).
Status ApplyOrgId(const net::Request& request, const AccessRule& rule, service::Caller& caller, bool& all) {
  const auto it = request.query.find("org_id");
  if (it == request.query.end() || it->second == caller.org.str()) return Ok{};
  if (!service::IsPlatformAdmin(caller)) {
    return Error(Code::kPermissionDenied, "org_id: only a platform administrator may act for another organisation");
  }
  if (rule.org_id == OrgQuery::kNone) return Ok{};  // the same for all organisations
  if (it->second == "-1") {
    if (rule.org_id != OrgQuery::kAll) {
      return Error(Code::kInvalidArgument, "org_id -1: this acts on one organisation; give its number");
    }
    all = true;
    return Ok{};
  }
  if (!ParseUnsigned(it->second)) {
    return Error(Code::kInvalidArgument, "org_id " + Quote(it->second) + ": the number of an organisation, or -1 for all");
  }
  caller.org = OrgId{it->second};
  return Ok{};
}

}  // namespace

net::Route Front::Route(const net::Request& head) {
  if (!IsOurs(head.path) && other_) return other_(head);
  auto match = std::make_shared<RouteTable::Match>(table_.Find(head.method, head.path));
  net::Route route;
  route.most_body = kMostBody;
  route.where = match->route ? match->route->where : net::Route::Where::kEventLoop;
  route.handle = [this, match](const net::Request& request) { return Handle(request, *match); };
  return route;
}

net::Response Front::Handle(const net::Request& request, const RouteTable::Match& match) {
  // 6. Errors become answers in one place.
  Result<net::Response> answer = Run(request, match);
  return answer.ok() ? std::move(answer).value() : ErrorResponse(answer.error(), request);
}

Result<net::Response> Front::Run(const net::Request& request, const RouteTable::Match& match) {
  // 1. Is there such a route?
  if (!match.route && match.allowed.empty()) return NoSuchRoute(request);
  if (!match.route) {
    auto refused = ErrorResponse(Error(Code::kInvalidArgument, fmt::format("{}: this resource knows {}",
                                                                           request.method, match.allowed)), request);
    refused.status = 405;
    refused.headers.Add("Allow", match.allowed);
    return refused;
  }
  if (request.headers.Has("Content-Encoding") && request.headers.Get("Content-Encoding") != "identity") {
    return Error(Code::kInvalidArgument, "Content-Encoding " + Quote(request.headers.Get("Content-Encoding")) +
                                             ": send the body as it is, not compressed");
  }
  service::Caller caller;
  bool all_organisations = false;
  service::RequestContext context{request.id, WhereFrom(request), std::string(match.route->rule->action), {}, {}};
  if (match.route->rule->least != Least::kAnyone) {
    // 2. Who is it?
    CML_ASSIGN_OR_RETURN(caller, auth_.Authenticate(request));
    caller.request = &context;
    // 3. May he?
    CML_RETURN_IF_ERROR(CheckRole(*match.route->rule, caller));
    // 4. For which organisation?
    CML_RETURN_IF_ERROR(ApplyOrgId(request, *match.route->rule, caller, all_organisations));
    CML_RETURN_IF_ERROR(auth_.CheckOrg(caller, match.route->rule->effect));
  }
  // 5. The resource itself.
  return match.route->handle(Call{request, caller, match.params, all_organisations});
}

}  // namespace cml::api
