#include "net/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "net/tls_context.h"

namespace cml::net {
namespace {

// ---- a BIO over our socket: OpenSSL's own raises SIGPIPE, and would go on with the number of a
// descriptor that has been closed and given to somebody else.

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int HandleOf(BIO* bio) { return static_cast<Socket*>(BIO_get_data(bio))->native_handle(); }

int BioRead(BIO* bio, char* into, int most) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::recv(HandleOf(bio), into, static_cast<std::size_t>(most), 0);
  if (n < 0 && WouldBlock()) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

int BioWrite(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = ::send(HandleOf(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && WouldBlock()) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

long BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* MakeMethod() {
  BIO_METHOD* const method =
      BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cloudml socket");
  if (method == nullptr) return nullptr;
  BIO_meth_set_read(method, &BioRead);
  BIO_meth_set_write(method, &BioWrite);
  BIO_meth_set_ctrl(method, &BioControl);
  return method;
}

BIO* NewBio(Socket& socket) {
  static BIO_METHOD* const kMethod = MakeMethod();  // for the life of the process
  BIO* const bio = kMethod == nullptr ? nullptr : BIO_new(kMethod);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, &socket);
  BIO_set_init(bio, 1);
  return bio;
}

constexpr std::size_t kMostAtOnce = std::numeric_limits<int>::max();
constexpr unsigned char kHandshakeRecord = 22;

}  // namespace

void TlsSession::Deleter::operator()(SSL* ssl) const { SSL_free(ssl); }

TlsSession::TlsSession(SSL_CTX* context, Socket& socket) : socket_(socket), ssl_(SSL_new(context)) {
  BIO* const bio = ssl_ ? NewBio(socket) : nullptr;
  if (bio == nullptr) {  // no memory
    broken_ = true;
    return;
  }
  SSL_set_bio(ssl_.get(), bio, bio);  // takes it
  SSL_set_accept_state(ssl_.get());
}

TlsSession::~TlsSession() = default;

TlsSession::Opening TlsSession::Look() const {
  if (broken_) return Opening::kClosed;
  unsigned char first = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &first, 1, MSG_PEEK);
  if (n < 0) return WouldBlock() ? Opening::kNothingYet : Opening::kClosed;
  if (n == 0) return Opening::kClosed;
  return first == kHandshakeRecord ? Opening::kTls : Opening::kPlainText;
}

TlsSession::Io TlsSession::Outcome(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_NONE:
      return Io::kDone;
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kClosed;
    default:
      broken_ = true;
      return Io::kClosed;
  }
}

TlsSession::Io TlsSession::Handshake() {
  if (broken_) return Io::kClosed;
  ERR_clear_error();
  const Io io = Outcome(SSL_do_handshake(ssl_.get()));
  if (io == Io::kDone) established_ = true;
  if (io == Io::kClosed) {
    const long verified = SSL_get_verify_result(ssl_.get());
    failure_ = ERR_peek_error() == 0 ? "the client has gone" : TlsFailure();
    if (verified != X509_V_OK) {
      failure_ += std::string(": ") + X509_verify_cert_error_string(verified);
    }
  }
  return io;
}

TlsSession::Step TlsSession::Read(char* into, std::size_t most) {
  if (broken_) return {};
  ERR_clear_error();
  const int n = SSL_read(ssl_.get(), into, static_cast<int>(std::min(most, kMostAtOnce)));
  if (n > 0) return {Io::kDone, static_cast<std::size_t>(n)};
  return {Outcome(n), 0};
}

TlsSession::Step TlsSession::Write(std::string_view bytes) {
  Step step{Io::kDone, 0};
  while (!bytes.empty() && !broken_) {
    ERR_clear_error();
    const int n =
        SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min(bytes.size(), kMostAtOnce)));
    if (n <= 0) {
      step.io = Outcome(n);
      return step;
    }
    step.n += static_cast<std::size_t>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (broken_) step.io = Io::kClosed;
  return step;
}

bool TlsSession::HasPending() const { return !broken_ && SSL_has_pending(ssl_.get()) == 1; }

void TlsSession::SayGoodbye() {
  if (!established_ || broken_ || goodbye_ || !socket_.is_open()) return;
  goodbye_ = true;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));  // as far as the socket takes it now
  ERR_clear_error();
}

std::string TlsSession::ClientSubject() const {
  const X509* const certificate = broken_ ? nullptr : SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
  struct BioDeleter {
    void operator()(BIO* bio) const { BIO_free(bio); }
  };
  const std::unique_ptr<BIO, BioDeleter> text(BIO_new(BIO_s_mem()));
  constexpr unsigned long kStyle =
      XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  if (!text || X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, kStyle) < 0) {
    return {};
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace cml::net
