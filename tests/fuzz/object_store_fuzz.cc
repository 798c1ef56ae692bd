// What a client of the object store sends beside plain bytes: XML documents and aws-chunked
// bodies. The first byte of the input says which; a chunked body comes in pieces of its size too.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/objects/aws_chunked.h"
#include "api/objects/http_date.h"
#include "api/objects/xml.h"

namespace {

using cml::api::objects::AwsChunkedDecoder;

struct Decoded {
  bool ok = false;
  std::string bytes;
};

Decoded Decode(std::string_view body, std::size_t piece) {
  AwsChunkedDecoder decoder(std::nullopt);
  Decoded decoded;
  for (std::size_t i = 0; i < body.size(); i += piece) {
    const auto fed = decoder.Feed(body.substr(i, piece), [&decoded](std::string_view part) {
      decoded.bytes += part;
      return cml::Status(cml::Ok{});
    });
    if (!fed.ok()) return decoded;
  }
  decoded.ok = decoder.Finish().ok();
  return decoded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    (void)cml::api::objects::ParseXml(text);
    (void)cml::api::objects::ParseHttpDate(text);
    (void)cml::api::objects::ParseBasicIso(text);
    return 0;
  }
  // However it is cut, it means the same.
  const Decoded whole = Decode(text, text.size() + 1);
  const Decoded pieces = Decode(text, data[0] / 2 + 1U);
  if (whole.ok != pieces.ok || (whole.ok && whole.bytes != pieces.bytes)) std::abort();
  return 0;
}
