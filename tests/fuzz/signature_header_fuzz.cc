// The Authorization header and the query of a signed request: parsed or refused.
//
// Input: target, a newline, Authorization, a newline, X-Amz-Date and whatever follows.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "net/http.h"
#include "net/signing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto take = [&rest] {
    const std::size_t end = rest.find('\n');
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return line;
  };
  cml::net::Request request;
  request.method = "GET";
  request.target = take();
  const std::size_t question = request.target.find('?');
  request.path = cml::net::NormalisePath(std::string_view(request.target).substr(0, question));
  if (question != std::string::npos) {
    request.query = cml::net::ParseQuery(std::string_view(request.target).substr(question + 1));
  }
  request.headers.Add("Host", "h");
  if (std::string authorization = take(); !authorization.empty()) {
    request.headers.Add("Authorization", std::move(authorization));
  }
  request.headers.Add("X-Amz-Date", take());
  request.headers.Add("X-Other", std::string(rest));

  const cml::Secret secret("sk");
  const auto claim = cml::net::ParseSigV4(request);
  if (claim.ok()) {
    const auto& c = claim.value();
    const std::string right = cml::net::SigV4Signature(secret, request, c, "UNSIGNED-PAYLOAD");
    const bool verified = cml::net::VerifySigV4(secret, request, c, "UNSIGNED-PAYLOAD").ok();
    if (right == c.signature && !verified) std::abort();
    auto signed_well = c;
    signed_well.signature = right;
    if (!cml::net::VerifySigV4(secret, request, signed_well, "UNSIGNED-PAYLOAD").ok()) std::abort();
  }
  (void)cml::net::GalaxyV2Signature(secret, request.method, request.target, request.headers);
  (void)cml::net::GalaxyV3Signature(secret, request.target, rest, rest);
  return 0;
}
