// net/testing/certificates.h — certificates made on the spot, for tests of TLS. Not thread-safe.
#pragma once
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace cml::net::testing {

// An authority, and what it signs.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name) : key_(NewKey()) {
    certificate_ = Make(name, key_.get(), {NID_basic_constraints, "critical,CA:TRUE"});
  }

  void WriteCertificate(const std::filesystem::path& file) const {
    Write(file, [this](std::FILE* f) { return PEM_write_X509(f, certificate_.get()); });
  }
  // For 127.0.0.1 and localhost, as server and as client.
  void Issue(const std::string& name, const std::filesystem::path& certificate,
             const std::filesystem::path& key) {
    const Key own = NewKey();
    const Certificate made =
        Make(name, own.get(), {NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost"});
    Write(certificate, [&](std::FILE* f) { return PEM_write_X509(f, made.get()); });
    Write(key, [&](std::FILE* f) {
      return PEM_write_PrivateKey(f, own.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    std::filesystem::permissions(key, std::filesystem::perms::owner_read);
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(X509* p) const { X509_free(p); }
    void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
    void operator()(std::FILE* p) const { std::fclose(p); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;
  struct Extension {
    int nid;
    const char* value;
  };

  static Key NewKey() { return Key(EVP_EC_gen("P-256")); }

  Certificate Make(const std::string& name, EVP_PKEY* key, const Extension& extension) {
    Certificate made(X509_new());
    X509* const x = made.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600L * 24 * 60);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.data()),
                               static_cast<int>(name.size()), -1, 0);
    X509* const issuer = certificate_ ? certificate_.get() : x;
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    const std::unique_ptr<X509_EXTENSION, Free> e(
        X509V3_EXT_conf_nid(nullptr, nullptr, extension.nid, extension.value));
    EXPECT_EQ(X509_add_ext(x, e.get(), -1), 1);
    EXPECT_GT(X509_sign(x, key_.get(), EVP_sha256()), 0);
    return made;
  }

  template <class F>
  static void Write(const std::filesystem::path& file, F write) {
    const std::unique_ptr<std::FILE, Free> f(std::fopen(file.c_str(), "w"));
    ASSERT_NE(f, nullptr) << file;
    EXPECT_EQ(write(f.get()), 1) << file;
  }

  Key key_;
  Certificate certificate_;
  long serial_ = 0;
};

}  // namespace cml::net::testing
