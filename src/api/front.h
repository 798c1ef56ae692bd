// api/front.h — the front of the API: every request goes through here, step by step, in the order
// of the list in front.cc.
//
// Thread-safe after construction. Owns nothing but its table.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "api/auth/authenticator.h"
#include "api/route_table.h"

namespace cml::api {

class Front {
 public:
  // `other`: routes for paths that are not the API's (the object store); may be empty.
  Front(Authenticator& auth, RouteTable table, net::Router other)
      : auth_(auth), table_(std::move(table)), other_(std::move(other)) {}

  // For net::HttpServer.
  net::Route Route(const net::Request& head);

  // From now on /readyz says no, so that load balancers look elsewhere.
  void BeginDrain() { draining_ = true; }
  bool draining() const { return draining_; }

 private:
  net::Response Handle(const net::Request& request, const RouteTable::Match& match);
  Result<net::Response> Run(const net::Request& request, const RouteTable::Match& match);

  Authenticator& auth_;
  const RouteTable table_;
  const net::Router other_;
  std::atomic<bool> draining_{false};
};

}  // namespace cml::api
