// crypto/digest.h — hashes, message authentication codes and their text forms (OpenSSL). Pure,
// thread-safe. MD5 and SHA-1 are here for the wire formats that ask for them and for nothing else.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cml::crypto {

enum class Hash { kMd5, kSha1, kSha256 };

std::string Digest(Hash hash, std::string_view data);                      // raw bytes
std::string Hmac(Hash hash, std::string_view key, std::string_view data);  // raw bytes, RFC 2104
// Is `base64` the padded base64 of that? In constant time for its length, and without allocating:
// it is asked of every request.
bool IsHmacInBase64(Hash hash, std::string_view key, std::string_view data, std::string_view base64);
std::string ToHex(std::string_view bytes);                                 // lower case
std::string ToBase64(std::string_view bytes);                              // RFC 4648, padded
Result<std::string> FromHex(std::string_view text);
Result<std::string> FromBase64(std::string_view text);            // strict: kInvalidArgument
bool ConstantTimeEquals(std::string_view a, std::string_view b);  // time depends on lengths alone

// A digest of data that comes in pieces.
class Digester {
 public:
  explicit Digester(Hash hash);
  ~Digester();
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  void Update(std::string_view data);
  std::string Finish();  // raw bytes; the digester is used up

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cml::crypto
