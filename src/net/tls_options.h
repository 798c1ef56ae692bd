// net/tls_options.h — how a server is to speak TLS: files and rules as plain values.
#pragma once
#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace cml::net {

struct TlsOptions {
  std::filesystem::path certificate =
      {};                                // PEM: the server's, then those that lead to its authority
  std::filesystem::path key = {};        // PEM, without a passphrase
  std::filesystem::path client_ca = {};  // PEM: who may sign certificates of clients
  enum class ClientCertificates { kNone, kOptional, kRequired };
  ClientCertificates client_certificates = ClientCertificates::kNone;
  enum class Minimum { kTls12, kTls13 };
  Minimum minimum = Minimum::kTls12;
};

// kInvalidArgument: what is missing or does not go together, by the names of the configuration.
// Looks at no file.
Status CheckTlsOptions(const TlsOptions& options);

}  // namespace cml::net
