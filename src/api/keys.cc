#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "api/orgs.h"

namespace cml::api {
namespace {

using Where = net::Route::Where;

constexpr std::string_view kFields[] = {"access_key", "org_id", "org_name", "role",   "user",
                                        "label",      "state",  "create_time", "expires", "last_used"};
constexpr ListShape kShape{"data", "access_key", kFields};

class KeyRoutes {
 public:
  KeyRoutes(service::Keys& keys, const Clock& clock) : keys_(keys), clock_(clock) {}

  Result<net::Response> Create(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeKey(call.request.body));
    return NewOne(keys_.Create(call.caller, fields));
  }
  Result<net::Response> List(const Call& call) const {
    const auto scope = call.all_organisations ? service::Keys::Scope::kAll : service::Keys::Scope::kOwn;
    CML_ASSIGN_OR_RETURN(const auto all, keys_.List(call.caller, scope));
    return ListAnswer(call, codec::EncodeKeys(all, clock_.Now()), kShape);
  }
  Result<net::Response> Describe(const Call& call) const {
    return One(keys_.Describe(call.caller, AccessKey{call.params[0]}));
  }
  Result<net::Response> Update(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeKey(call.request.body));
    return One(keys_.Update(call.caller, AccessKey{call.params[0]}, fields));
  }
  Result<net::Response> Rotate(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto fields, codec::DecodeKey(call.request.body));
    return NewOne(keys_.Rotate(call.caller, AccessKey{call.params[0]}, fields));
  }
  Result<net::Response> Delete(const Call& call) const {
    CML_RETURN_IF_ERROR(keys_.Delete(call.caller, AccessKey{call.params[0]}));
    return DoneResponse("Successfully delete " + call.params[0]);
  }

 private:
  Result<net::Response> One(const Result<codec::NamedKey>& key) const {
    if (!key.ok()) return key.error();
    return JsonResponse(200, codec::EncodeKey(key.value(), clock_.Now()));
  }
  // The only answers with a secret in them.
  Result<net::Response> NewOne(const Result<service::Keys::Made>& made) const {
    if (!made.ok()) return made.error();
    net::Response answer = JsonResponse(
        200, codec::EncodeNewKey(made.value().key, made.value().secret.Reveal(), clock_.Now()));
    answer.headers.Set("Cache-Control", "no-store");
    return answer;
  }
  service::Keys& keys_;
  const Clock& clock_;
};

}  // namespace

void AddKeyRoutes(RouteTable& table, service::Keys& keys, const Clock& clock) {
  const auto routes = std::make_shared<KeyRoutes>(keys, clock);
  const auto add = [&](const char* method, const char* rest, auto member) {
    table.Add({method, std::string("/cloud_ml/v1/key") + rest, Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("POST", "", &KeyRoutes::Create);
  add("GET", "", &KeyRoutes::List);
  add("GET", "/{key}", &KeyRoutes::Describe);
  add("PATCH", "/{key}", &KeyRoutes::Update);
  add("DELETE", "/{key}", &KeyRoutes::Delete);
  add("POST", "/{key}/rotate", &KeyRoutes::Rotate);
}

}  // namespace cml::api
