#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "api/orgs.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;

constexpr std::string_view kFields[] = {"org_id", "org_name", "user", "mail", "create_time", "keys"};
constexpr ListShape kShape{"data", "user", kFields};

class UserRoutes {
 public:
  explicit UserRoutes(service::Users& users) : users_(users) {}

  Result<net::Response> Create(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeUser(call.request.body));
    return One(users_.Create(call.caller, fields));
  }
  Result<net::Response> List(const Call& call) const {
    const auto scope = call.all_organisations ? service::Keys::Scope::kAll : service::Keys::Scope::kOwn;
    CML_ASSIGN_OR_RETURN(const auto all, users_.List(call.caller, scope));
    return ListAnswer(call, codec::EncodeUsers(all), kShape);
  }
  Result<net::Response> Describe(const Call& call) const {
    return One(users_.Describe(call.caller, call.params[0]));
  }
  Result<net::Response> Update(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeUser(call.request.body));
    return One(users_.Update(call.caller, call.params[0], fields));
  }
  Result<net::Response> Delete(const Call& call) const {
    CML_RETURN_IF_ERROR(users_.Delete(call.caller, call.params[0]));
    return DoneResponse("Successfully delete " + call.params[0]);
  }

 private:
  static Result<net::Response> One(const Result<codec::NamedUser>& user) {
    if (!user.ok()) return user.error();
    return JsonResponse(200, codec::EncodeUser(user.value()));
  }
  service::Users& users_;
};

}  // namespace

void AddUserRoutes(RouteTable& table, service::Users& users) {
  const auto routes = std::make_shared<UserRoutes>(users);
  const auto add = [&](const char* method, const char* rest, auto member) {
    table.Add({method, std::string("/cloud_ml/v1/user") + rest, Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("POST", "", &UserRoutes::Create);
  add("GET", "", &UserRoutes::List);
  add("GET", "/{user}", &UserRoutes::Describe);
  add("PATCH", "/{user}", &UserRoutes::Update);
  add("DELETE", "/{user}", &UserRoutes::Delete);
}

}  // namespace cml::api
