// crypto/seal.h — secrets at rest: AES-256-GCM (NIST SP 800-38D) with a key that lies outside the
// database. Thread-safe.
//
// Sealed text: "v1:" + base64(12-byte random nonce, ciphertext, 16-byte tag). `context` (for
// instance the access key) is authenticated with it, so that a sealed secret cannot be moved to
// another row.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace cml::crypto {

class Sealer {
 public:
  // Reads the 32-byte key from `key_file`, or makes the file (mode 0600) where there is none.
  // kDataLoss: it has another length; kPermissionDenied: others may read it.
  static Result<Sealer> FromKeyFile(const std::filesystem::path& key_file);
  explicit Sealer(Secret key) : key_(std::move(key)) {}  // 32 bytes

  std::string Seal(std::string_view plain, std::string_view context) const;
  // kDataLoss: not sealed with this key and context, or altered.
  Result<Secret> Open(std::string_view sealed, std::string_view context) const;
  // A key for another purpose: HMAC-SHA256 of the purpose's name. Whoever has it learns nothing of
  // the key file or of the keys for other purposes.
  Secret KeyFor(std::string_view purpose) const;

 private:
  Secret key_;
};

}  // namespace cml::crypto
