#include "api/orgs.h"

#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;

constexpr std::string_view kFields[] = {"org_id", "org_name", "org_mail", "project", "state", "create_time"};
constexpr ListShape kShape{"data", "org_id", kFields};

class OrgRoutes {
 public:
  explicit OrgRoutes(service::OrgAdmin& orgs) : orgs_(orgs) {}

  Result<net::Response> Create(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeOrg(call.request.body));
    return One(orgs_.Create(call.caller, fields));
  }
  Result<net::Response> List(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto all, orgs_.List(call.caller));
    return ListAnswer(call, codec::EncodeOrgs(all), kShape);
  }
  Result<net::Response> Describe(const Call& call) const {
    return One(orgs_.Describe(call.caller, call.params[0]));
  }
  Result<net::Response> Update(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeOrg(call.request.body));
    return One(orgs_.Update(call.caller, call.params[0], fields));
  }
  Result<net::Response> Delete(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const Org org, orgs_.Delete(call.caller, call.params[0]));
    return DoneResponse("Successfully delete " + org.name + ": its keys are refused from now on, its jobs, buckets and "
                        "users are being removed");
  }
  Result<net::Response> Suspend(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeOrg(call.request.body));
    return One(orgs_.Suspend(call.caller, call.params[0], fields.reason.value_or("")));
  }
  Result<net::Response> Resume(const Call& call) const {
    return One(orgs_.Resume(call.caller, call.params[0]));
  }

 private:
  static Result<net::Response> One(const Result<Org>& org) {
    if (!org.ok()) return org.error();
    return JsonResponse(200, codec::EncodeOrg(org.value()));
  }
  service::OrgAdmin& orgs_;
};

}  // namespace

void AddOrgRoutes(RouteTable& table, service::OrgAdmin& orgs) {
  const auto routes = std::make_shared<OrgRoutes>(orgs);
  const auto add = [&](const char* method, const char* rest, auto member) {
    table.Add({method, std::string("/cloud_ml/v1/org") + rest, Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("POST", "", &OrgRoutes::Create);
  add("GET", "", &OrgRoutes::List);
  add("GET", "/{org}", &OrgRoutes::Describe);
  add("PATCH", "/{org}", &OrgRoutes::Update);
  add("DELETE", "/{org}", &OrgRoutes::Delete);
  add("POST", "/{org}/suspend", &OrgRoutes::Suspend);
  add("POST", "/{org}/resume", &OrgRoutes::Resume);
}

}  // namespace cml::api
