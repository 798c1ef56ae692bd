#include "net/tls_context.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <chrono>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace cml::net {
namespace {

namespace fs = std::filesystem;

constexpr long kTicketSeconds = 3600;
constexpr int kExpirySoonDays = 14;
// RFC 9325, section 4.2; TLS 1.3 has no others anyway.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";
constexpr std::string_view kAlpn("\x08http/1.1", 9);

// RFC 7301, section 3.2: a client that offers nothing we speak is told so.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_length,
                   const unsigned char* in, unsigned in_length, void*) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_length,
                                          reinterpret_cast<const unsigned char*>(kAlpn.data()),
                                          static_cast<unsigned>(kAlpn.size()), in, in_length);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int NoPassphrase(char*, int, int, void*) { return 0; }

Error Bad(std::string_view setting, const fs::path& file, std::string_view why) {
  return Error(Code::kInvalidArgument,
               std::string(setting) + " " + file.string() + ": " + std::string(why));
}

Status Readable(std::string_view setting, const fs::path& file) {
  const auto opened = OpenFile(file, O_RDONLY | O_CLOEXEC);
  if (opened.ok()) return Ok{};
  return Error(Code::kInvalidArgument, std::string(setting) + ": " + opened.error().message());
}

Status UseKey(SSL_CTX* context, const TlsOptions& o) {
  CML_RETURN_IF_ERROR(Readable("tls.key", o.key));
  if (SSL_CTX_use_PrivateKey_file(context, o.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long why = ERR_peek_error();
    if (ERR_GET_LIB(why) == ERR_LIB_X509 && ERR_GET_REASON(why) == X509_R_KEY_VALUES_MISMATCH) {
      ERR_clear_error();
      return Bad("tls.key", o.key, "does not belong to tls.certificate " + o.certificate.string());
    }
    return Bad("tls.key", o.key,
               "not a private key in PEM without a passphrase (" + TlsFailure() + ")");
  }
  struct stat st {};
  if (::stat(o.key.c_str(), &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    LogWarning("the TLS key is open to every user of this machine", {{"file", o.key.string()}});
  }
  return Ok{};
}

Status UseClientAuthority(SSL_CTX* context, const TlsOptions& o) {
  using ClientCertificates = TlsOptions::ClientCertificates;
  int mode = SSL_VERIFY_NONE;
  switch (o.client_certificates) {
    case ClientCertificates::kNone:
      return Ok{};
    case ClientCertificates::kOptional:
      mode = SSL_VERIFY_PEER;
      break;
    case ClientCertificates::kRequired:
      mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
      break;
  }
  CML_RETURN_IF_ERROR(Readable("tls.client_ca", o.client_ca));
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(o.client_ca.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(context, o.client_ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return Bad("tls.client_ca", o.client_ca, "no certificate in PEM (" + TlsFailure() + ")");
  }
  SSL_CTX_set_client_CA_list(context, names);  // takes them
  SSL_CTX_set_verify(context, mode, nullptr);
  return Ok{};
}

void WarnOfExpiry(SSL_CTX* context, const TlsOptions& o) {
  const X509* const certificate = SSL_CTX_get0_certificate(context);
  int days = 0, seconds = 0;
  if (certificate == nullptr ||
      ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) != 1) {
    return;
  }
  if (days < 0 || seconds < 0) {
    LogWarning("the TLS certificate has expired", {{"file", o.certificate.string()}});
  } else if (days < kExpirySoonDays) {
    LogWarning("the TLS certificate expires soon",
               {{"file", o.certificate.string()}, {"days", std::to_string(days)}});
  }
}

}  // namespace

void SslContextDeleter::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

std::string TlsFailure() {
  const unsigned long code = ERR_peek_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

Status CheckTlsOptions(const TlsOptions& o) {
  using ClientCertificates = TlsOptions::ClientCertificates;
  const auto wrong = [](const char* message) { return Error(Code::kInvalidArgument, message); };
  if (o.certificate.empty()) return wrong("tls.certificate: the file is missing");
  if (o.key.empty()) return wrong("tls.key: the file is missing");
  if (o.client_certificates == ClientCertificates::kNone && !o.client_ca.empty()) {
    return wrong(
        "tls.client_ca: without effect; say tls.client_certificates: optional or required");
  }
  if (o.client_certificates != ClientCertificates::kNone && o.client_ca.empty()) {
    return wrong("tls.client_certificates: tls.client_ca has to say who may sign them");
  }
  return Ok{};
}

Result<SslContext> LoadTls(const TlsOptions& o) {
  CML_RETURN_IF_ERROR(CheckTlsOptions(o));
  ERR_clear_error();
  SslContext made(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const c = made.get();
  if (c == nullptr) return Error(Code::kUnavailable, "OpenSSL: " + TlsFailure());
  const bool only_13 = o.minimum == TlsOptions::Minimum::kTls13;
  SSL_CTX_set_min_proto_version(c, only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION);
  SSL_CTX_set_security_level(c, 2);
  SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                             SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(c, 1);  // record header and body in one call of the kernel
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // tickets: the client keeps the state
  SSL_CTX_set_num_tickets(c, 1);
  SSL_CTX_set_timeout(c, kTicketSeconds);
  static constexpr std::string_view kSessionContext = "cloudml";
  SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 static_cast<unsigned>(kSessionContext.size()));
  SSL_CTX_set_alpn_select_cb(c, &ChooseProtocol, nullptr);
  SSL_CTX_set_default_passwd_cb(c, &NoPassphrase);
  if (SSL_CTX_set_cipher_list(c, kTls12Ciphers) != 1) {
    return Error(Code::kInternal, "OpenSSL: " + TlsFailure());
  }
  CML_RETURN_IF_ERROR(Readable("tls.certificate", o.certificate));
  if (SSL_CTX_use_certificate_chain_file(c, o.certificate.c_str()) != 1) {
    return Bad("tls.certificate", o.certificate,
               "not a certificate in PEM that may be used (" + TlsFailure() + ")");
  }
  CML_RETURN_IF_ERROR(UseKey(c, o));
  CML_RETURN_IF_ERROR(UseClientAuthority(c, o));
  WarnOfExpiry(c, o);
  return made;
}

Result<std::unique_ptr<TlsKeeper>> TlsKeeper::Open(TlsOptions options) {
  std::unique_ptr<TlsKeeper> keeper(new TlsKeeper(std::move(options)));
  keeper->seen_ = keeper->tried_ = keeper->Look();
  CML_ASSIGN_OR_RETURN(SslContext context, LoadTls(keeper->options_));
  keeper->current_ = std::move(context);
  return keeper;
}

std::shared_ptr<SSL_CTX> TlsKeeper::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

TlsKeeper::Stamps TlsKeeper::Look() const {
  Stamps stamps;
  const fs::path* const files[] = {&options_.certificate, &options_.key, &options_.client_ca};
  for (std::size_t i = 0; i < stamps.size(); ++i) {
    struct stat st {};
    if (files[i]->empty() || ::stat(files[i]->c_str(), &st) != 0) continue;
    const auto modified =
        std::chrono::seconds(st.st_mtim.tv_sec) + std::chrono::nanoseconds(st.st_mtim.tv_nsec);
    stamps[i] = {st.st_dev, st.st_ino, st.st_size, modified.count()};
  }
  return stamps;
}

bool TlsKeeper::LooksChanged() {
  const Stamps now = Look();
  const std::lock_guard lock(mutex_);
  const bool settled = now == seen_;
  seen_ = now;
  return settled && now != tried_;
}

Status TlsKeeper::Reload() {
  const Stamps now = Look();
  {
    const std::lock_guard lock(mutex_);
    seen_ = tried_ = now;
  }
  auto loaded = LoadTls(options_);
  if (!loaded.ok()) {
    LogWarning("the new TLS certificate cannot be used, the old one stays",
               {{"why", loaded.error().message()}});
    return std::move(loaded).error();
  }
  {
    const std::lock_guard lock(mutex_);
    current_ = std::move(loaded).value();
  }
  LogInfo("TLS certificate loaded anew", {{"file", options_.certificate.string()}});
  return Ok{};
}

}  // namespace cml::net
