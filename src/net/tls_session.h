// net/tls_session.h — one connection's TLS: turns a non-blocking socket's bytes into the client's
// and back; private to net.
//
// Belongs to its connection and its loop's thread. Waits for nothing: each call does what can be
// done now and says what to wait for. After kClosed nothing more comes.
#pragma once
#include <openssl/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "net/event_loop.h"

namespace cml::net {

class TlsSession {
 public:
  // `socket` outlives the session; one that is closed meanwhile reads as kClosed.
  TlsSession(SSL_CTX* context, Socket& socket);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // By the first byte, which is left where it is: a TLS record (RFC 8446, section 5.1), or text.
  enum class Opening { kNothingYet, kTls, kPlainText, kClosed };
  Opening Look() const;

  enum class Io { kDone, kWantRead, kWantWrite, kClosed };
  struct Step {
    Io io = Io::kClosed;
    std::size_t n = 0;
  };
  Io Handshake();
  Step Read(char* into, std::size_t most);
  Step Write(std::string_view bytes);  // n may be less than all with any `io`
  // Bytes that came already: Read may give some without the socket being readable.
  bool HasPending() const;
  // Tells the client, once, that nothing more comes.
  void SayGoodbye();

  // Of the certificate that the client has shown and that was verified, as RFC 4514 writes it;
  // empty: none.
  std::string ClientSubject() const;
  const std::string& failure() const { return failure_; }  // why the handshake failed

 private:
  Io Outcome(int returned);

  struct Deleter {
    void operator()(SSL* ssl) const;
  };
  Socket& socket_;
  std::unique_ptr<SSL, Deleter> ssl_;
  std::string failure_;
  bool established_ = false;
  bool broken_ = false;  // an error of the protocol: OpenSSL wants no further call
  bool goodbye_ = false;
};

}  // namespace cml::net
