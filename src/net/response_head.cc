#include "net/response_head.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "base/strings.h"

namespace cml::net {
namespace {

void AppendNumber(std::uint64_t n, std::string& out) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
  out.append(digits.data(), end);
}

bool IsControl(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f;
}

void AppendClean(std::string_view s, std::string& out) {
  for (const char c : s) out += IsControl(c) ? ' ' : c;
}

bool IsOurs(std::string_view name) {
  switch (name.size()) {
    case 4:
      return EqualsIgnoreCase(name, "date");
    case 10:
      return EqualsIgnoreCase(name, "connection");
    case 14:
      return EqualsIgnoreCase(name, "content-length");
    case 17:
      return EqualsIgnoreCase(name, "transfer-encoding");
    default:
      return false;
  }
}

int StatusOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kConflict:
      return 409;
    case Code::kFailedPrecondition:
      return 412;
    case Code::kQuotaExceeded:
      return 403;
    case Code::kThrottled:
      return 429;
    case Code::kKeyReused:
      return 422;
    case Code::kUnavailable:
      return 503;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kDataLoss:
    case Code::kInternal:
      return 500;
  }
  return 500;
}

}  // namespace

std::string_view DateCache::Now() {
  const std::time_t now = std::time(nullptr);
  if (now != at_) {
    static constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                      "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    gmtime_r(&now, &t);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%s, %02d %s %d %02d:%02d:%02d GMT",
                  kDays[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                  kMonths[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour,
                  t.tm_min, t.tm_sec);
    text_ = text.data();
    at_ = now;
  }
  return text_;
}

void AppendHead(const Response& response, const HeadFrame& frame, std::string& out) {
  out += "HTTP/1.1 ";
  AppendNumber(static_cast<std::uint64_t>(response.status), out);
  out += ' ';
  out += ReasonPhrase(response.status);
  out += "\r\nDate: ";
  out += frame.date;
  switch (frame.framing) {
    case BodyFraming::kLength:
      out += "\r\nContent-Length: ";
      AppendNumber(frame.length, out);
      break;
    case BodyFraming::kChunked:
      out += "\r\nTransfer-Encoding: chunked";
      break;
    case BodyFraming::kNone:
    case BodyFraming::kUntilClose:
      break;
  }
  if (!frame.keep_alive) {
    out += "\r\nConnection: close";
  } else if (frame.http_1_0) {
    out += "\r\nConnection: keep-alive";
  }
  bool has_id = false;
  for (const auto& [name, value] : response.headers.all()) {
    if (IsOurs(name)) continue;
    has_id = has_id || EqualsIgnoreCase(name, "x-request-id");
    out += "\r\n";
    AppendClean(name, out);
    out += ": ";
    AppendClean(value, out);
  }
  if (!has_id && !frame.request_id.empty()) {
    out += "\r\nX-Request-Id: ";
    out += frame.request_id;
  }
  out += "\r\n\r\n";
}

Response ErrorResponse(int status, std::string_view message) {
  Response response;
  response.status = status;
  response.headers.Add("Content-Type", "application/json");
  response.body = R"({"error": true, "message": ")";
  for (const char c : message) {  // ours, or an Error's: text that a client may see
    if (c == '"' || c == '\\') response.body += '\\';
    response.body += IsControl(c) ? ' ' : c;
  }
  response.body += "\"}";
  return response;
}

Response ErrorResponse(const Error& error) {
  return ErrorResponse(StatusOf(error.code()), error.message());
}

Response BodySink::Failed(const Error& error) { return ErrorResponse(error); }

}  // namespace cml::net
