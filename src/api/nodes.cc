#include "api/nodes.h"

#include <array>
#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "codec/node_json.h"

namespace cml::api {
namespace {

constexpr std::array<std::string_view, 5> kNodeFields = {"node", "state", "gpu", "gpu_used",
                                                         "labels"};
constexpr std::array<std::string_view, 4> kFreeFields = {"node", "state", "available_gpu",
                                                         "gpu_model"};
constexpr ListShape kNodeRows{"data", "node", kNodeFields};
constexpr ListShape kFreeRows{"data", "node", kFreeFields};

class NodeRoutes {
 public:
  explicit NodeRoutes(service::Nodes& nodes) : nodes_(nodes) {}

  Result<net::Response> Resources(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto nodes, nodes_.List());
    return ListAnswer(call, codec::EncodeResources(nodes), kFreeRows);
  }

  Result<net::Response> List(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto nodes, nodes_.List());
    return ListAnswer(call, codec::EncodeNodes(nodes), kNodeRows);
  }

  Result<net::Response> Describe(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto node, nodes_.Find(call.params[0]));
    return JsonResponse(200, codec::EncodeNode(node));
  }

  Result<net::Response> Cordon(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const std::string reason, codec::DecodeReason(call.request.body));
    CML_ASSIGN_OR_RETURN(const auto node, nodes_.Cordon(call.caller, call.params[0], reason));
    return JsonResponse(200, codec::EncodeNode(node));
  }

  Result<net::Response> Uncordon(const Call& call) const {
    CML_ASSIGN_OR_RETURN(const auto node, nodes_.Uncordon(call.caller, call.params[0]));
    return JsonResponse(200, codec::EncodeNode(node));
  }

 private:
  service::Nodes& nodes_;
};

}  // namespace

void AddNodeRoutes(RouteTable& table, service::Nodes& nodes) {
  const auto routes = std::make_shared<NodeRoutes>(nodes);
  const auto add = [&](const char* method, const char* pattern, auto member) {
    table.Add({method, pattern, net::Route::Where::kWorker,
               [routes, member](const Call& call) { return (*routes.*member)(call); }, nullptr});
  };
  add("GET", "/cloud_ml/v1/resources", &NodeRoutes::Resources);
  add("GET", "/cloud_ml/v1/nodes", &NodeRoutes::List);
  add("GET", "/cloud_ml/v1/nodes/{node}", &NodeRoutes::Describe);
  add("POST", "/cloud_ml/v1/nodes/{node}/cordon", &NodeRoutes::Cordon);
  add("POST", "/cloud_ml/v1/nodes/{node}/uncordon", &NodeRoutes::Uncordon);
}

}  // namespace cml::api
