// net/response_head.h — an answer's head as bytes, and the answers the server makes itself;
// private to net. Pure but for the clock of DateCache (one per thread).
#pragma once
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace cml::net {

// The Date header's text, made anew once a second.
class DateCache {
 public:
  std::string_view Now();

 private:
  std::time_t at_ = -1;
  std::string text_;
};

enum class BodyFraming { kNone, kLength, kChunked, kUntilClose };

struct HeadFrame {
  BodyFraming framing = BodyFraming::kLength;
  std::uint64_t length = 0;
  bool keep_alive = true;
  bool http_1_0 = false;
  std::string_view date, request_id;
};

// Appends it. Control characters in the handler's headers become blanks; headers that are the
// server's own are left out.
void AppendHead(const Response& response, const HeadFrame& frame, std::string& out);

// {"error": true, "message": "…"} with its Content-Type.
Response ErrorResponse(int status, std::string_view message);
// For an Error that a body's consumer returned.
Response ErrorResponse(const Error& error);

}  // namespace cml::net
