// api/http_error.h — the only place where a Code becomes an HTTP status, and an Error an answer.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace cml::api {

constexpr int HttpStatus(Code c) noexcept {
  switch (c) {
    case Code::kInvalidArgument: return 400;
    case Code::kUnauthenticated: return 401;
    case Code::kPermissionDenied:
    case Code::kQuotaExceeded: return 403;  // cloud_ml v1, 1.1
    case Code::kNotFound: return 404;
    case Code::kAlreadyExists:
    case Code::kConflict:
    case Code::kFailedPrecondition: return 409;
    case Code::kThrottled: return 429;
    case Code::kKeyReused: return 422;
    case Code::kUnavailable: return 503;
    case Code::kDeadlineExceeded: return 504;
    case Code::kDataLoss:
    case Code::kInternal: return 500;
  }
  return 500;
}

net::Response JsonResponse(int status, std::string body);
net::Response TextResponse(int status, std::string body, std::string_view content_type);

// {"error": true, "message": …} (cloud_ml v1, 1.1). A 500 tells the client its request id and
// nothing else; the detail goes to the log.
net::Response ErrorResponse(const Error& e, const net::Request& request);

// {"error": false, "message": …}: the answer of a verb that gives nothing back.
net::Response DoneResponse(std::string_view message);

}  // namespace cml::api
