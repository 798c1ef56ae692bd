#include "api/http_error.h"

#include <fmt/format.h>

#include "base/log.h"
#include "codec/messages.h"

namespace cml::api {

net::Response TextResponse(int status, std::string body, std::string_view content_type) {
  net::Response r;
  r.status = status;
  r.body = std::move(body);
  r.headers.Add("Content-Type", std::string(content_type));
  return r;
}

net::Response JsonResponse(int status, std::string body) {
  return TextResponse(status, std::move(body), "application/json");
}

net::Response ErrorResponse(const Error& e, const net::Request& request) {
  const int status = HttpStatus(e.code());
  std::string shown = e.message();
  if (status == 500) {
    LogError("a request failed inside", {{"request", request.id}, {"target", request.path},
                                         {"error", e.message()}, {"detail", e.detail()}});
    shown = fmt::format("internal error; give your administrator the request id {}", request.id);
  }
  net::Response r = JsonResponse(status, codec::EncodeMessage(codec::IsError::kYes, shown));
  if (status == 503 || status == 429) r.headers.Add("Retry-After", "1");
  return r;
}

net::Response DoneResponse(std::string_view message) {
  return JsonResponse(200, codec::EncodeMessage(codec::IsError::kNo, message));
}

}  // namespace cml::api
