// app/endpoints.h — is an fds_endpoint this server, another store that is allowed, or neither?
// Pure.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace cml::app {

// "https://Host:443/" → "host:443"; a missing port is the scheme's, https where there is no scheme.
std::string HostAndPort(const std::string& endpoint);

struct KnownEndpoints {
  std::vector<std::string> own;      // as configured
  std::vector<std::string> allowed;
};
// An empty text: it is this server. Otherwise the endpoint itself. kInvalidArgument: not allowed.
Result<std::string> PackageEndpoint(const KnownEndpoints& known, const std::string& endpoint);

}  // namespace cml::app
