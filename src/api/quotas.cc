#include "api/quotas.h"

#include <array>
#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "base/strings.h"
#include "codec/quota_json.h"

namespace cml::api {
namespace {

constexpr std::array<std::string_view, 3> kQuotaFields = {"org_name", "org_mail", "project"};
constexpr std::array<std::string_view, 6> kHolderFields = {"kind",  "name", "state",
                                                           "group", "gpu",  "count"};
constexpr std::array<std::string_view, 7> kApplicationFields = {
    "id", "org_name", "service", "applicant", "state", "create_time", "decide_time"};
constexpr ListShape kQuotaRows{"data", "org_id", kQuotaFields};
constexpr ListShape kHolderRows{"data", "name", kHolderFields};
constexpr ListShape kApplicationRows{"data", "id", kApplicationFields};

class QuotaRoutes {
 public:
  explicit QuotaRoutes(service::Quotas& quotas) : quotas_(quotas) {}

  Result<net::Response> Read(const Call& call) const {
    if (call.all_organisations) {
      CML_ASSIGN_OR_RETURN(const auto all, quotas_.ReadAll());
      return ListAnswer(call, codec::EncodeQuotas(all), kQuotaRows);
    }
    CML_ASSIGN_OR_RETURN(const auto one, quotas_.Read(call.caller.org));
    return ListAnswer(call, codec::EncodeQuotas({one}), kQuotaRows);
  }

  // How the published client reads its quota; it says its mail on the way.
  Result<net::Response> ReadByMail(const Call& call) const {
    CML_RETURN_IF_ERROR(quotas_.OfferMail(call.caller, codec::DecodeOrgMail(call.request.body)));
    CML_ASSIGN_OR_RETURN(const auto one, quotas_.Read(call.caller.org));
    return JsonResponse(200, codec::EncodeQuotas({one}));
  }

  Result<net::Response> Holders(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto holders, quotas_.Holders(OrgOf(call)));
    return ListAnswer(call, codec::EncodeQuotaHolders(holders), kHolderRows);
  }

  Result<net::Response> Update(const Call& call) const {
    const std::string& org = call.params[0];
    CML_ASSIGN_OR_RETURN(const codec::QuotaRequest request,
                         codec::DecodeQuotaChange(call.request.body));
    if (!request.org_id.empty() && request.org_id != org) {
      return Error(Code::kInvalidArgument,
                   "org_id " + Quote(request.org_id) + ": the path says " + Quote(org));
    }
    CML_ASSIGN_OR_RETURN(const auto standing,
                         quotas_.Update(call.caller, OrgId{org}, request.change));
    return JsonResponse(200, codec::EncodeQuota(standing));
  }

  Result<net::Response> Apply(const Call& call) const {
    CML_ASSIGN_OR_RETURN(auto request, codec::DecodeApplicationRequest(call.request.body));
    CML_ASSIGN_OR_RETURN(const auto filed, quotas_.Apply(call.caller, std::move(request)));
    return JsonResponse(200, codec::EncodeApplication(filed));
  }

  Result<net::Response> Applications(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto all, quotas_.Applications(OrgOf(call)));
    return ListAnswer(call, codec::EncodeApplications(all), kApplicationRows);
  }

  Result<net::Response> Grant(const Call& call) const {
    CML_ASSIGN_OR_RETURN(auto decision, codec::DecodeDecision(call.request.body));
    CML_ASSIGN_OR_RETURN(const auto granted,
                         quotas_.Grant(call.caller, call.params[0],
                                       {std::move(decision.amounts), std::move(decision.message)}));
    return JsonResponse(200, codec::EncodeApplication(granted));
  }

  Result<net::Response> Decline(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto decision, codec::DecodeDecision(call.request.body));
    CML_ASSIGN_OR_RETURN(const auto declined,
                         quotas_.Decline(call.caller, call.params[0], decision.message));
    return JsonResponse(200, codec::EncodeApplication(declined));
  }

 private:
  static std::optional<OrgId> OrgOf(const Call& call) {
    return call.all_organisations ? std::nullopt : std::optional(call.caller.org);
  }

  service::Quotas& quotas_;
};

}  // namespace

void AddQuotaRoutes(RouteTable& table, service::Quotas& quotas) {
  const auto routes = std::make_shared<QuotaRoutes>(quotas);
  const auto add = [&](const char* method, const char* pattern, auto member) {
    table.Add({method, pattern, net::Route::Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("GET", "/cloud_ml/v1/quota", &QuotaRoutes::Read);
  add("POST", "/cloud_ml/v1/quota", &QuotaRoutes::ReadByMail);
  add("GET", "/cloud_ml/v1/quota_holders", &QuotaRoutes::Holders);
  add("PUT", "/cloud_ml/v1/quota/{org_id}", &QuotaRoutes::Update);
  add("POST", "/cloud_ml/v1/application", &QuotaRoutes::Apply);
  add("GET", "/cloud_ml/v1/application", &QuotaRoutes::Applications);
  add("POST", "/cloud_ml/v1/application/{application}/grant", &QuotaRoutes::Grant);
  add("POST", "/cloud_ml/v1/application/{application}/decline", &QuotaRoutes::Decline);
}

}  // namespace cml::api
