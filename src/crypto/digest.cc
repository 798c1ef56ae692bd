#include "crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdlib>

namespace cml::crypto {
namespace {

constexpr std::size_t kMostDigest = 32;  // SHA-256
constexpr std::size_t kBlock = 64;       // of all three hashes, in bytes

// OpenSSL fails here only when memory or the library itself is broken: nothing safe could follow.
void Must(int ok) {
  if (ok != 1) std::abort();
}

struct ContextFree {
  void operator()(EVP_MD_CTX* c) const noexcept { EVP_MD_CTX_free(c); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

Context NewContext() {
  Context context(EVP_MD_CTX_new());
  if (!context) std::abort();
  return context;
}

// An algorithm is looked up in its provider once per process: since OpenSSL 3 the look-up costs
// more than the hash of a short text.
const EVP_MD* Algorithm(Hash hash) {
  struct Fetched {
    EVP_MD* md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
    EVP_MD* sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  };
  static const Fetched fetched;
  const EVP_MD* md = nullptr;
  switch (hash) {
    case Hash::kMd5:
      md = fetched.md5;
      break;
    case Hash::kSha1:
      md = fetched.sha1;
      break;
    case Hash::kSha256:
      md = fetched.sha256;
      break;
  }
  if (md == nullptr) std::abort();
  return md;
}

// One context per thread and hash, so that the steady state allocates nothing: OpenSSL keeps the
// inner state of a context as long as its algorithm stays the same.
EVP_MD_CTX* ThreadContext(Hash hash) {
  thread_local std::array<Context, 3> contexts;
  Context& context = contexts[static_cast<std::size_t>(hash)];
  if (!context) context = NewContext();
  return context.get();
}

using Bytes = std::array<unsigned char, kMostDigest>;

std::size_t HashTwo(Hash hash, std::string_view first, std::string_view second, Bytes& out) {
  EVP_MD_CTX* context = ThreadContext(hash);
  Must(EVP_DigestInit_ex2(context, Algorithm(hash), nullptr));
  Must(EVP_DigestUpdate(context, first.data(), first.size()));
  Must(EVP_DigestUpdate(context, second.data(), second.size()));
  unsigned length = 0;
  Must(EVP_DigestFinal_ex(context, out.data(), &length));
  return length;
}

std::string_view View(const unsigned char* bytes, std::size_t n) {
  return {reinterpret_cast<const char*>(bytes), n};
}

}  // namespace

std::string Digest(Hash hash, std::string_view data) {
  Bytes out;
  const std::size_t n = HashTwo(hash, data, {}, out);
  return std::string(View(out.data(), n));
}

namespace {

// RFC 2104: H(key ^ opad, H(key ^ ipad, data)), the key padded with zeros to one block.
std::size_t HmacTo(Hash hash, std::string_view key, std::string_view data, Bytes& bytes) {
  std::array<char, kBlock> inner{}, outer{};
  if (key.size() > kBlock) {
    const std::size_t n = HashTwo(hash, key, {}, bytes);
    View(bytes.data(), n).copy(inner.data(), n);
  } else {
    key.copy(inner.data(), key.size());
  }
  for (std::size_t i = 0; i < kBlock; ++i) {
    outer[i] = static_cast<char>(inner[i] ^ 0x5c);
    inner[i] = static_cast<char>(inner[i] ^ 0x36);
  }
  std::size_t n = HashTwo(hash, {inner.data(), kBlock}, data, bytes);
  const Bytes first = bytes;
  n = HashTwo(hash, {outer.data(), kBlock}, View(first.data(), n), bytes);
  OPENSSL_cleanse(inner.data(), inner.size());
  OPENSSL_cleanse(outer.data(), outer.size());
  return n;
}

}  // namespace

std::string Hmac(Hash hash, std::string_view key, std::string_view data) {
  Bytes bytes;
  const std::size_t n = HmacTo(hash, key, data, bytes);
  return std::string(View(bytes.data(), n));
}

bool IsHmacInBase64(Hash hash, std::string_view key, std::string_view data, std::string_view base64) {
  Bytes bytes;
  const std::size_t n = HmacTo(hash, key, data, bytes);
  std::array<unsigned char, (kMostDigest + 2) / 3 * 4 + 1> text;  // EVP_EncodeBlock ends it with a zero
  const int length = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(n));
  return ConstantTimeEquals(base64, View(text.data(), static_cast<std::size_t>(length)));
}

bool ConstantTimeEquals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

struct Digester::Impl {
  Context context = NewContext();
};

Digester::Digester(Hash hash) : impl_(std::make_unique<Impl>()) {
  Must(EVP_DigestInit_ex2(impl_->context.get(), Algorithm(hash), nullptr));
}
Digester::~Digester() = default;
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;

void Digester::Update(std::string_view data) {
  Must(EVP_DigestUpdate(impl_->context.get(), data.data(), data.size()));
}

std::string Digester::Finish() {
  Bytes out;
  unsigned length = 0;
  Must(EVP_DigestFinal_ex(impl_->context.get(), out.data(), &length));
  return std::string(View(out.data(), length));
}

}  // namespace cml::crypto
