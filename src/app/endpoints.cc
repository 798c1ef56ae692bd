#include "app/endpoints.h"

#include <algorithm>

#include "base/strings.h"

namespace cml::app {
namespace {

bool Holds(const std::vector<std::string>& all, const std::string& host_and_port) {
  return std::any_of(all.begin(), all.end(),
                     [&](const std::string& one) { return HostAndPort(one) == host_and_port; });
}

}  // namespace

std::string HostAndPort(const std::string& endpoint) {
  std::string_view rest = endpoint;
  std::string_view port = "443";
  if (const auto at = rest.find("://"); at != std::string_view::npos) {
    if (rest.substr(0, at) == "http") port = "80";
    rest.remove_prefix(at + 3);
  }
  rest = rest.substr(0, rest.find('/'));
  const auto colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  return ToLower(rest) + (has_port ? "" : ":" + std::string(port));
}

Result<std::string> PackageEndpoint(const KnownEndpoints& known, const std::string& endpoint) {
  const std::string wanted = HostAndPort(endpoint);
  if (Holds(known.own, wanted)) return std::string();
  if (Holds(known.allowed, wanted)) return endpoint;
  return Error(Code::kInvalidArgument,
               "fds_endpoint " + Quote(endpoint) +
                   ": this server takes packages from its own store; an administrator can allow "
                   "another one (package_hosts in the server's configuration)");
}

}  // namespace cml::app
