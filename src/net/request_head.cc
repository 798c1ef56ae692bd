#include "net/request_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/strings.h"

namespace cml::net {
namespace {

// RFC 9110, section 5.6.2.
constexpr std::array<bool, 256> MakeTokenTable() {
  std::array<bool, 256> t{};
  for (unsigned c = '0'; c <= '9'; ++c) t[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) t[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) t[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) t[static_cast<unsigned char>(c)] = true;
  return t;
}
constexpr auto kToken = MakeTokenTable();

bool IsToken(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(),
                                   [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

bool IsFieldByte(char c) {  // section 5.5: no control characters but the tab
  const auto u = static_cast<unsigned char>(c);
  return (u >= 0x20 && u != 0x7f) || u == '\t';
}

bool IsTargetByte(char c) {  // bytes above 0x7f are tolerated: some clients send raw UTF-8
  const auto u = static_cast<unsigned char>(c);
  return u > 0x20 && u != 0x7f;
}

// RFC 9110, section 7.2, and RFC 3986, section 3.2.2: host and port, which may be empty.
bool IsHost(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return plain || u >= 0x80 ||
           std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
  });
}

std::string_view TrimBlanks(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool HasListItem(std::string_view list, std::string_view item) {
  for (const std::string_view part : Split(list, ',')) {
    if (EqualsIgnoreCase(TrimBlanks(part), item)) return true;
  }
  return false;
}

std::optional<HeadFault> ParseTarget(std::string_view target, Request& request) {
  if (target.size() > kMostTarget)
    return HeadFault{414, "the request target is longer than 8192 bytes"};
  if (target.empty() || !std::all_of(target.begin(), target.end(), IsTargetByte)) {
    return HeadFault{400, "malformed request target"};
  }
  std::string_view rest = target;
  if (request.method == "CONNECT") return HeadFault{400, "this is no proxy: no tunnels"};
  if (rest == "*" && request.method != "OPTIONS") {
    return HeadFault{400, "malformed request target"};
  }
  if (rest.front() != '/' && rest != "*") {  // absolute form: scheme "://" authority path
    const std::size_t scheme = rest.find("://");
    if (scheme == std::string_view::npos || (!EqualsIgnoreCase(rest.substr(0, scheme), "http") &&
                                             !EqualsIgnoreCase(rest.substr(0, scheme), "https"))) {
      return HeadFault{400, "malformed request target"};
    }
    rest.remove_prefix(scheme + 3);
    const std::size_t path = rest.find_first_of("/?");
    const std::string_view authority = rest.substr(0, path);  // no "user@": RFC 9110, 4.2.4
    if (authority.empty() || !IsHost(authority)) return HeadFault{400, "malformed request target"};
    rest = path == std::string_view::npos ? std::string_view{} : rest.substr(path);
  }
  const std::size_t mark = rest.find('?');
  request.target = target;
  request.path = NormalisePath(rest.substr(0, mark));
  if (request.path.empty()) request.path = "/";
  if (mark != std::string_view::npos) request.query = ParseQuery(rest.substr(mark + 1));
  return std::nullopt;
}

std::optional<HeadFault> ParseRequestLine(std::string_view line, RequestHead& out) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return HeadFault{400, "malformed request line"};
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method) || method.size() > 32) return HeadFault{400, "malformed method"};
  out.request.method = method;
  if (version == "HTTP/1.0") {
    out.http_1_0 = true;
    out.keep_alive = false;
  } else if (version != "HTTP/1.1") {
    return version.substr(0, 5) == "HTTP/"
               ? HeadFault{505, "only HTTP/1.1 and HTTP/1.0 are spoken here"}
               : HeadFault{400, "malformed request line"};
  }
  return ParseTarget(line.substr(first + 1, last - first - 1), out.request);
}

// RFC 9112, sections 6.1 and 6.3: what does not end in chunked has no end that one could know.
std::optional<HeadFault> CheckEncodings(std::string_view value) {
  const std::size_t comma = value.rfind(',');
  const bool one = comma == std::string_view::npos;
  if (!EqualsIgnoreCase(TrimBlanks(one ? value : value.substr(comma + 1)), "chunked")) {
    return HeadFault{400, "the last Transfer-Encoding is not chunked"};
  }
  if (one) return std::nullopt;
  return HasListItem(value.substr(0, comma), "chunked")
             ? HeadFault{400, "chunked more than once"}
             : HeadFault{501, "the only Transfer-Encoding understood is chunked"};
}

struct Seen {
  bool host = false, length = false, encoding = false;
};

std::optional<HeadFault> NoteField(std::string_view name, std::string_view value, Seen& seen,
                                   RequestHead& out) {
  switch (name.size()) {  // most fields are of no concern here: their length tells
    case 4:
      if (!EqualsIgnoreCase(name, "host")) break;
      if (seen.host) return HeadFault{400, "more than one Host header"};
      seen.host = true;
      if (!IsHost(value)) return HeadFault{400, "malformed Host header"};
      break;
    case 6:
      if (!EqualsIgnoreCase(name, "expect")) break;
      if (!EqualsIgnoreCase(value, "100-continue"))
        return HeadFault{417, "only 100-continue can be expected"};
      out.expects_continue = !out.http_1_0;
      break;
    case 10:
      if (!EqualsIgnoreCase(name, "connection")) break;
      if (HasListItem(value, "close")) {
        out.keep_alive = false;
      } else if (out.http_1_0 && HasListItem(value, "keep-alive")) {
        out.keep_alive = true;
      }
      break;
    case 12:
      if (EqualsIgnoreCase(name, "x-request-id") && IsWellFormedRequestId(value))
        out.request.id = value;
      break;
    case 14: {
      if (!EqualsIgnoreCase(name, "content-length")) break;
      if (seen.length) return HeadFault{400, "more than one Content-Length header"};
      seen.length = true;
      const auto length = ParseUnsigned(value);
      if (!length) return HeadFault{400, "malformed Content-Length"};
      out.framing = Framing::kLength;
      out.content_length = *length;
      break;
    }
    case 17:
      if (!EqualsIgnoreCase(name, "transfer-encoding")) break;
      if (seen.encoding) return HeadFault{400, "more than one Transfer-Encoding header"};
      seen.encoding = true;
      if (auto fault = CheckEncodings(value)) return fault;
      if (out.http_1_0) return HeadFault{400, "Transfer-Encoding in an HTTP/1.0 request"};
      out.framing = Framing::kChunked;
      break;
    default:
      break;
  }
  return std::nullopt;
}

}  // namespace

HeadScanner::Found HeadScanner::Scan(std::string_view bytes) {
  // TLS on a plain port, for one: the line's end may never come.
  if (seen_ == 0 && !bytes.empty() && !kToken[static_cast<unsigned char>(bytes.front())]) {
    return {0, HeadFault{400, "malformed request line"}};
  }
  while (seen_ < bytes.size()) {
    const void* hit = std::memchr(bytes.data() + seen_, '\n', bytes.size() - seen_);
    if (hit == nullptr) {
      seen_ = bytes.size();
      break;
    }
    const auto at = static_cast<std::size_t>(static_cast<const char*>(hit) - bytes.data());
    seen_ = at + 1;
    if (at == line_begin_ || bytes[at - 1] != '\r') {
      return {0, HeadFault{400, "a line of the head does not end in CRLF"}};
    }
    const bool empty = at - 1 == line_begin_;
    line_begin_ = at + 1;
    if (empty) return {at + 1, std::nullopt};
  }
  return {};
}

std::optional<HeadFault> ParseHead(std::string_view bytes, RequestHead& out) {
  std::size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) return HeadFault{400, "malformed request line"};
  if (auto fault = ParseRequestLine(bytes.substr(0, end), out)) return fault;
  bytes.remove_prefix(end + 2);
  Seen seen;
  std::size_t fields = 0;
  while (true) {
    end = bytes.find("\r\n");
    if (end == std::string_view::npos) return HeadFault{400, "malformed head"};
    if (end == 0) break;
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 2);
    if (line.front() == ' ' || line.front() == '\t') return HeadFault{400, "folded header line"};
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return HeadFault{400, "header line without a colon"};
    const std::string_view name = line.substr(0, colon);
    if (!IsToken(name)) return HeadFault{400, "malformed header name"};
    const std::string_view value = TrimBlanks(line.substr(colon + 1));
    if (!std::all_of(value.begin(), value.end(), IsFieldByte)) {
      return HeadFault{400, "control character in a header"};
    }
    if (++fields > kMostFields) return HeadFault{431, "more than 100 headers"};
    if (auto fault = NoteField(name, value, seen, out)) return fault;
    out.request.headers.Add(std::string(name), std::string(value));
  }
  if (seen.length && seen.encoding) {
    return HeadFault{400, "both Content-Length and Transfer-Encoding"};
  }
  if (!seen.host && !out.http_1_0) return HeadFault{400, "no Host header"};
  return std::nullopt;
}

bool IsWellFormedRequestId(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

Stray LooksStray(std::string_view bytes) {
  const std::size_t n = std::min(bytes.size(), kStrayChunk.size());
  if (bytes.substr(0, n) != kStrayChunk.substr(0, n)) return Stray::kNo;
  return n == kStrayChunk.size() ? Stray::kYes : Stray::kPerhaps;
}

}  // namespace cml::net
