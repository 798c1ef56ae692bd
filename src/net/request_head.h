// net/request_head.h — the head of a request, from bytes to values; private to net.
//
// Strict where two parsers could read one message differently (RFC 9112, sections 2.2, 5, 6
// and 11.2): line ends are CRLF alone, no folded lines, no blank before a colon, one framing header
// at most. Pure functions, no allocation beyond the values they fill.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace cml::net {

struct HeadFault {
  int status = 400;
  std::string_view message;  // a literal
};

inline constexpr std::size_t kMostTarget = 8192;
inline constexpr std::size_t kMostFields = 100;

// Looks for the end of a head in bytes that come bit by bit. Feed it the same growing text.
class HeadScanner {
 public:
  struct Found {
    std::size_t length = 0;  // of the head with its empty line; 0: not complete yet
    std::optional<HeadFault> fault;
  };
  Found Scan(std::string_view bytes);
  // Whether the request line itself is complete.
  bool past_first_line() const { return line_begin_ > 0; }
  void Reset() { *this = HeadScanner(); }

 private:
  std::size_t seen_ = 0;
  std::size_t line_begin_ = 0;
};

enum class Framing { kNone, kLength, kChunked };

struct RequestHead {
  Request request;  // without body, peer; id only when the client sent a well-formed one
  Framing framing = Framing::kNone;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  bool http_1_0 = false;
  bool expects_continue = false;
};

// `bytes` is one whole head, its empty line included.
std::optional<HeadFault> ParseHead(std::string_view bytes, RequestHead& out);

// Up to 64 of [A-Za-z0-9._-]: safe in a header and in a log line.
bool IsWellFormedRequestId(std::string_view id);

// True while `bytes` is the beginning of (or begins with) the "0\r\n\r\n" that old clients send
// after a head without a framing header (cloud_ml v1, section 13.1).
enum class Stray { kNo, kPerhaps, kYes };
inline constexpr std::string_view kStrayChunk = "0\r\n\r\n";
Stray LooksStray(std::string_view bytes);

}  // namespace cml::net
