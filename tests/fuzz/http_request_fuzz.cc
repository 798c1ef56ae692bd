// Every parser of the HTTP server that sees a client's bytes: head, body framing, query, escapes.
// Beyond not crashing, it holds them to their promises: a head is found at the same place however
// the bytes come, and a body decodes to the same text in one piece and in two.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/body_decoder.h"
#include "net/http.h"
#include "net/request_head.h"

namespace {

using namespace cml::net;

void Check(bool promise) {
  if (!promise) std::abort();
}

struct Decoded {
  std::string body;
  std::size_t consumed = 0;
  bool broken = false, done = false;
  bool operator==(const Decoded&) const = default;
};

// A clean prefix and its rest, as two packets.
Decoded Decode(BodyDecoder decoder, std::string_view wire, std::size_t cut) {
  Decoded out;
  for (std::string piece : {std::string(wire.substr(0, cut)), std::string(wire.substr(cut))}) {
    if (out.broken || decoder.done()) break;
    const auto step = decoder.Decode(piece.data(), piece.size());
    Check(step.produced <= step.consumed && step.consumed <= piece.size());
    out.body.append(piece, 0, step.produced);
    out.consumed += step.consumed;
    out.broken = !step.fault.empty();
    Check(out.broken || decoder.done() || step.consumed == piece.size());
  }
  out.done = decoder.done();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t cut = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  const auto whole = HeadScanner().Scan(bytes);
  HeadScanner scanner;
  auto found = scanner.Scan(bytes.substr(0, cut));
  if (found.length == 0 && !found.fault) found = scanner.Scan(bytes);
  Check(found.length == whole.length && found.fault.has_value() == whole.fault.has_value());
  if (whole.length > 0) {
    Check(bytes.substr(whole.length - 2, 2) == "\r\n");
    Check(bytes.substr(0, whole.length).find('\n') > 0);
  }

  Framing framing = Framing::kChunked;
  std::uint64_t length = 0;
  std::string_view body = bytes;
  if (whole.length > 0) {
    RequestHead head;
    if (!ParseHead(bytes.substr(0, whole.length), head)) {
      const Request& r = head.request;
      Check(!r.method.empty() && !r.target.empty() && !r.path.empty());
      Check(r.path.find("//") == std::string::npos && r.path.find('?') == std::string::npos);
      Check(!(r.headers.Has("Content-Length") && r.headers.Has("Transfer-Encoding")));
      Check(r.id.empty() || IsWellFormedRequestId(r.id));
      Check(r.method != "CONNECT" && (r.target != "*" || r.method == "OPTIONS"));
      Check(r.headers.Get("Host").find_first_of("/@ ") == std::string_view::npos);
      for (const auto& [name, value] : r.headers.all()) {
        Check(!name.empty() && name.find_first_of(" \t\r\n:") == std::string::npos);
        Check(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
      }
      framing = head.framing;
      length = head.content_length;
    }
    body = bytes.substr(whole.length);
  } else {
    RequestHead head;
    static_cast<void>(ParseHead(bytes, head));  // incomplete heads must not harm it either
  }
  const BodyDecoder decoder(framing, length);
  Check(Decode(decoder, body, body.size()) == Decode(decoder, body, std::min(cut, body.size())));

  static_cast<void>(LooksStray(bytes));
  for (const auto& [name, value] : ParseQuery(bytes)) {
    Check(PercentDecode(PercentEncode(name)) == name &&
          PercentDecode(PercentEncode(value)) == value);
  }
  Check(PercentDecode(bytes).size() <= bytes.size());
  Check(NormalisePath(NormalisePath(bytes)) == NormalisePath(bytes));
  return 0;
}
