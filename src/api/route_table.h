// api/route_table.h — finds the handler of a request: method and path pattern. Built once, then
// read-only and so thread-safe.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/access_table.h"
#include "base/result.h"
#include "net/http.h"
#include "service/caller.h"

namespace cml::api {

// What a handler gets. The references are valid for the length of the call.
struct Call {
  const net::Request& request;
  const service::Caller& caller;           // of a public route: no organisation, viewer
  const std::vector<std::string>& params;  // the {…} parts of the pattern, decoded, in order
  bool all_organisations = false;          // org_id=-1, given by a platform administrator

  std::string Query(const std::string& name) const {
    const auto it = request.query.find(name);
    return it == request.query.end() ? std::string() : it->second;
  }
};

using Handler = std::function<Result<net::Response>(const Call&)>;

struct RouteSpec {
  std::string method;
  std::string pattern;  // "/cloud_ml/v1/train/{job}/logs"
  net::Route::Where where = net::Route::Where::kWorker;
  Handler handle;
  const AccessRule* rule = nullptr;  // null: the one of the access table
};

class RouteTable {
 public:
  // Ends the program when the access table has no rule for the route.
  void Add(RouteSpec spec);

  struct Match {
    const RouteSpec* route = nullptr;  // null: no such path, or not with this method
    std::vector<std::string> params;
    std::string allowed;               // "GET, POST" where the path exists with other methods
  };
  // `path` percent-encoded, without its query.
  Match Find(std::string_view method, std::string_view path) const;
  std::vector<const RouteSpec*> all() const;

 private:
  struct Entry {
    RouteSpec spec;
    std::vector<std::string> segments;
  };
  std::vector<Entry> entries_;
};

}  // namespace cml::api
