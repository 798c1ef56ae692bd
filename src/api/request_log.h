// api/request_log.h — one line per request in the program's log. Never a header, a query or a body:
// they carry signatures and secrets. Pure but for the log.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "service/caller.h"

namespace cml::api {

enum class LogRequests { kNone, kChanges, kAll };  // kChanges: what changes something, or fails

struct RequestLine {
  std::string_view id, method, path, peer;  // the path without its query
  int status = 0;
  std::uint64_t bytes = 0;  // of the answer's body, where its length is known
  std::chrono::microseconds took{0};
  const service::Caller* caller = nullptr;  // null: nobody we know
};

void LogRequest(const RequestLine& line);

}  // namespace cml::api
