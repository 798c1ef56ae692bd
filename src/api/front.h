// api/front.h — the front of the API: every request goes through here, step by step, in the order
// of the list in front.cc; the object store's requests, too, as far as they are of its concern.
//
// Thread-safe after construction. Owns nothing but its table and its buckets.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/auth/authenticator.h"
#include "api/rate_limit.h"
#include "api/request_log.h"
#include "api/route_table.h"
#include "service/audit_trail.h"

namespace cml::api {

// What happens when a request's signature has been found right: may it go on?
using Admit = std::function<Status(const service::Caller&)>;

// Routes for paths that are not the API's (the object store).
using OtherRouter = std::function<net::Route(const net::Request& head, Admit admit)>;

struct FrontOptions {
  RateLimit::Options per_key{0, 1};       // requests of one key
  RateLimit::Options refused{0, 1};       // wrong signatures from one address
  LogRequests log = LogRequests::kNone;
};

class Front {
 public:
  // `audit` may be null, in tests of the parts: nothing is audited then. `other` may be empty.
  struct Deps {
    Authenticator& auth;
    service::AuditTrail* audit;
    const Clock& clock;
    FrontOptions options{};
  };
  Front(Deps deps, RouteTable table, OtherRouter other);

  // For net::HttpServer.
  net::Route Route(const net::Request& head);

  // From now on /readyz says no, so that load balancers look elsewhere.
  void BeginDrain() { draining_ = true; }
  bool draining() const { return draining_; }

  std::uint64_t throttled() const { return per_key_.refused() + refused_.refused(); }

 private:
  struct Visit;
  class WatchedSink;
  net::Response Handle(const net::Request& request, const RouteTable::Match& match, Visit& visit);
  Result<net::Response> Run(const net::Request& request, const RouteTable::Match& match, Visit& visit);
  net::Route RouteOther(const net::Request& head);
  Status AdmitOther(Visit& visit, const service::Caller& caller);
  net::Response FinishOther(const net::Request& request, Visit& visit, net::Response answer);
  Status Throttle(Visit& visit);
  Error Refuse(Visit& visit, Error error);
  Status Audit(Visit& visit, int status, std::string message);
  AuditEntry EntryOf(const Visit& visit) const;
  void Log(const net::Request& request, const Visit& visit, const net::Response& answer);

  const Deps d_;
  const RouteTable table_;
  const OtherRouter other_;
  RateLimit per_key_, refused_;
  RateLimit refusals_logged_{{20, 100}};  // lines a second; the audit counts those that would change something
  std::atomic<bool> draining_{false};
};

}  // namespace cml::api
