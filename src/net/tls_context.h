// net/tls_context.h — the server's certificate and rules as OpenSSL wants them, and their renewal
// when the files change; private to net.
//
// A context never changes once loaded: connections that have begun keep the one they began with.
// TlsKeeper is thread-safe.
#pragma once
#include <openssl/types.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "net/tls_options.h"

namespace cml::net {

struct SslContextDeleter {
  void operator()(SSL_CTX* context) const;
};
using SslContext = std::unique_ptr<SSL_CTX, SslContextDeleter>;

// TLS 1.2 or 1.3 with ciphers of forward secrecy and authenticated encryption alone; no
// compression, no renegotiation, no early data; http/1.1 by ALPN; session tickets whose keys live
// as long as the context. kInvalidArgument: a file that cannot be read or used, and why.
Result<SslContext> LoadTls(const TlsOptions& options);

// The first reason that OpenSSL left for this thread, and empties its list.
std::string TlsFailure();

class TlsKeeper {
 public:
  static Result<std::unique_ptr<TlsKeeper>> Open(TlsOptions options);

  std::shared_ptr<SSL_CTX> current() const;

  // Cheap: three stat calls. True when the files are others than those that were last tried, and
  // have stayed as they are since the last look: certificate and key are seldom replaced at once.
  bool LooksChanged();
  // A bad new pair leaves the old one in use; both ends are logged.
  Status Reload();

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;  // -1: not there
    std::int64_t modified = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 3>;

  explicit TlsKeeper(TlsOptions options) : options_(std::move(options)) {}
  Stamps Look() const;

  const TlsOptions options_;
  mutable std::mutex mutex_;  // protects all below
  std::shared_ptr<SSL_CTX> current_;
  Stamps tried_, seen_;
};

}  // namespace cml::net
