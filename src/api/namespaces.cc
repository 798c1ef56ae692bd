#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "api/orgs.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;

constexpr std::int64_t kGiB = 1LL << 30;
constexpr std::string_view kFields[] = {"name", "owner_email"};
constexpr ListShape kShape{"data", "name", kFields};
constexpr std::string_view kQuotaFields[] = {"name", "cpu", "memory", "gpu"};
constexpr ListShape kQuotaShape{"data", "name", kQuotaFields};
constexpr std::string_view kUserFields[] = {"namespace", "user_id"};
constexpr ListShape kUserShape{"data", "user_id", kUserFields};

codec::OrgFields OrgFieldsOf(const codec::NamespaceFields& fields) {
  codec::OrgFields org;
  org.mail = fields.owner_email;
  org.description = fields.description;
  return org;
}

class NamespaceRoutes {
 public:
  explicit NamespaceRoutes(NamespaceRoutesDeps deps) : d_(deps) {}

  // ---- /namespace
  Result<net::Response> Create(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeNamespace(call.request.body));
    codec::OrgFields org = OrgFieldsOf(fields);
    org.name = fields.name;
    return One(d_.orgs.Create(call.caller, org));
  }
  Result<net::Response> Update(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeNamespace(call.request.body));
    return One(d_.orgs.Update(call.caller, fields.name, OrgFieldsOf(fields)));
  }
  Result<net::Response> List(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto all, d_.orgs.List(call.caller));
    return ListAnswer(call, codec::EncodeNamespaces(all), kShape);
  }
  Result<net::Response> Describe(const Call& call) const {
    return One(d_.orgs.Describe(call.caller, call.params[0]));
  }
  Result<net::Response> Delete(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Delete(call.caller, call.params[0]));
    return DoneResponse("Successfully delete " + org.name);
  }

  // ---- /namespace_quota: cpu, memory and gpu of all kinds of resources together
  Result<net::Response> SetQuota(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeNamespaceQuota(call.request.body));
    CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Describe(call.caller, fields.name));
    QuotaChange change;
    const auto set = [&change](QuotaMeasure measure, std::optional<std::int64_t> limit) {
      if (limit) change.settings.push_back({{std::nullopt, measure}, limit});
    };
    if (fields.cpu) set(QuotaMeasure::kCpu, *fields.cpu * 1000);
    if (fields.memory) set(QuotaMeasure::kMemory, *fields.memory * kGiB);
    set(QuotaMeasure::kGpu, fields.gpu);
    if (!change.empty()) CML_RETURN_IF_ERROR(d_.quotas.Update(call.caller, org.id, change));
    CML_ASSIGN_OR_RETURN(const auto after, QuotaOf(org));
    return JsonResponse(200, codec::EncodeNamespaceQuota(after));
  }
  Result<net::Response> ListQuotas(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto orgs, d_.orgs.List(call.caller));
    std::vector<codec::NamespaceQuota> all;
    for (const Org& org : orgs) {
      CML_ASSIGN_OR_RETURN(auto quota, QuotaOf(org));
      all.push_back(std::move(quota));
    }
    return ListAnswer(call, codec::EncodeNamespaceQuotas(all), kQuotaShape);
  }
  Result<net::Response> DescribeQuota(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Describe(call.caller, call.params[0]));
    CML_ASSIGN_OR_RETURN(const auto quota, QuotaOf(org));
    return JsonResponse(200, codec::EncodeNamespaceQuota(quota));
  }

  // ---- /namespace_user
  Result<net::Response> AddUser(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto user, codec::DecodeNamespaceUser(call.request.body));
    CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Describe(call.caller, user.name));
    CML_RETURN_IF_ERROR(d_.users.Create(For(org, call.caller), {user.user_id, std::nullopt}));
    return JsonResponse(200, codec::EncodeNamespaceUser({org.name, user.user_id}));
  }
  Result<net::Response> RemoveUser(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto user, codec::DecodeNamespaceUser(call.request.body));
    CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Describe(call.caller, user.name));
    CML_RETURN_IF_ERROR(d_.users.Delete(For(org, call.caller), user.user_id));
    return DoneResponse("Successfully delete " + user.user_id);
  }
  Result<net::Response> ListUsers(const Call& call) const {
    service::Caller caller = call.caller;
    auto scope = service::Keys::Scope::kAll;
    if (const std::string name = call.Query("namespace"); !name.empty()) {
      CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Describe(call.caller, name));
      caller = For(org, caller);
      scope = service::Keys::Scope::kOwn;
    }
    CML_ASSIGN_OR_RETURN(const auto users, d_.users.List(caller, scope));
    std::vector<codec::NamespaceUser> all;
    for (const auto& user : users) all.push_back({user.org_name, user.user.name});
    return ListAnswer(call, codec::EncodeNamespaceUsers(all), kUserShape);
  }

 private:
  static service::Caller For(const Org& org, service::Caller caller) {
    caller.org = org.id;
    return caller;
  }
  static Result<net::Response> One(const Result<Org>& org) {
    if (!org.ok()) return org.error();
    return JsonResponse(200, codec::EncodeNamespace(org.value()));
  }
  Result<codec::NamespaceQuota> QuotaOf(const Org& org) const {
    CML_ASSIGN_OR_RETURN(const QuotaStanding standing, d_.quotas.Read(org.id));
    return codec::NamespaceQuota{org.name, standing.quota.total, standing.used.total()};
  }

  NamespaceRoutesDeps d_;
};

}  // namespace

void AddNamespaceRoutes(RouteTable& table, NamespaceRoutesDeps deps) {
  const auto routes = std::make_shared<NamespaceRoutes>(deps);
  const auto add = [&](const char* method, const char* rest, auto member) {
    table.Add({method, std::string("/cloud_ml/v1/namespace") + rest, Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("POST", "", &NamespaceRoutes::Create);
  add("PATCH", "", &NamespaceRoutes::Update);
  add("GET", "", &NamespaceRoutes::List);
  add("GET", "/{namespace}", &NamespaceRoutes::Describe);
  add("DELETE", "/{namespace}", &NamespaceRoutes::Delete);
  add("POST", "_quota", &NamespaceRoutes::SetQuota);
  add("PATCH", "_quota", &NamespaceRoutes::SetQuota);
  add("GET", "_quota", &NamespaceRoutes::ListQuotas);
  add("GET", "_quota/{namespace}", &NamespaceRoutes::DescribeQuota);
  add("POST", "_user", &NamespaceRoutes::AddUser);
  add("DELETE", "_user", &NamespaceRoutes::RemoveUser);
  add("GET", "_user", &NamespaceRoutes::ListUsers);
}

}  // namespace cml::api
