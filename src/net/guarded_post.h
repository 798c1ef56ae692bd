// net/guarded_post.h — one POST to an address that a user has named: never to one that MayConnect
// (address_rules.h) closes, whatever a name resolves to; no redirect is followed, no proxy is asked,
// and of the answer no more than its status and the first bytes are kept.
//
// Thread-safe: each call is a connection of its own. Blocks until the answer is there or the time
// is over. kPermissionDenied: the address is closed; kInvalidArgument: no http or https URL;
// kDeadlineExceeded: the time is over; kUnavailable: no connection, or none that could be trusted.
#pragma once
#include <chrono>
#include <span>
#include <string>

#include "base/result.h"
#include "net/address_rules.h"
#include "net/http.h"

namespace cml::net {

struct GuardedRequest {
  std::string url;
  Headers headers;
  std::string body;
  std::chrono::milliseconds connect_time{5'000}, total_time{10'000};
};
struct GuardedReply {
  int status = 0;
  std::string body;  // its first bytes
};
inline constexpr std::size_t kMostGuardedReply = 1024;

Result<GuardedReply> GuardedPost(const GuardedRequest& request, std::span<const AddressRange> allow);

// Is it one that a user may name: http or https, a host, no user or password, no fragment, at most
// 2048 visible ASCII characters? A host that is written as an address is judged at once; what a name
// means shows when it is connected to. kInvalidArgument; the message says what is wrong.
Status CheckGuardedUrl(const std::string& url, std::span<const AddressRange> allow);

}  // namespace cml::net
