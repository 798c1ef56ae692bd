// api/front_visit.h — what the front knows of one request, from its head to its answer. Private to
// the front; one thread at a time.
#pragma once
#include <chrono>
#include <string>

#include "api/front.h"

namespace cml::api {

// Who sent it, as far as others have checked: the address, and the subject of a certificate.
inline std::string PeerOf(const net::Request& request) {
  return request.client_subject.empty() ? request.peer : request.peer + " (" + request.client_subject + ")";
}

struct Front::Visit {
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  service::RequestContext context;
  std::string address;     // of the client; context.peer may say more
  service::Caller caller;
  bool known = false;      // the caller has signed it
  bool throttled = false;  // it came too often
  bool changes = false;    // what it does is audited
  std::string target, before, after;  // of its line
};

}  // namespace cml::api
