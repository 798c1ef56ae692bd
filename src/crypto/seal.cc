#include "crypto/seal.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/file.h"
#include "base/random.h"
#include "crypto/digest.h"

namespace cml::crypto {
namespace {

constexpr std::string_view kVersion = "v1:";
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* c) const noexcept { EVP_CIPHER_CTX_free(c); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

const unsigned char* Bytes(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}
unsigned char* Bytes(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

Error NotOurs() {
  return Error(Code::kDataLoss,
               "a sealed secret cannot be opened: it was altered, or sealed with "
               "another key file");
}

// Makes the key file whole or not at all, and never over one that is there: two servers that start
// together end up with the same key.
Status MakeKeyFile(const std::filesystem::path& key_file) {
  std::filesystem::path draft = key_file;
  draft += "." + RandomToken(8);
  {
    CML_ASSIGN_OR_RETURN(Fd fd, OpenFile(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (auto s = WriteAll(fd.get(), RandomBytes(kKeyBytes), draft); !s.ok()) {
      ::unlink(draft.c_str());
      return s;
    }
    if (::fsync(fd.get()) != 0) {
      const int e = errno;
      ::unlink(draft.c_str());
      return ErrnoError(e, "writing", draft);
    }
  }
  const int failed = ::link(draft.c_str(), key_file.c_str()) == 0 ? 0 : errno;
  ::unlink(draft.c_str());
  if (failed != 0 && failed != EEXIST) return ErrnoError(failed, "creating", key_file);
  return SyncFolder(key_file.parent_path());
}

}  // namespace

Result<Sealer> Sealer::FromKeyFile(const std::filesystem::path& key_file) {
  struct stat status {};
  if (::stat(key_file.c_str(), &status) != 0) {
    if (errno != ENOENT) return ErrnoError(errno, "reading", key_file);
    CML_RETURN_IF_ERROR(MakeKeyFile(key_file));
    if (::stat(key_file.c_str(), &status) != 0) return ErrnoError(errno, "reading", key_file);
  }
  if ((status.st_mode & 077) != 0) {
    return Error(Code::kPermissionDenied, "key file " + key_file.string() +
                                              ": others may read it; chmod 600 it, and renew the "
                                              "access keys if others could log in here");
  }
  if (status.st_size != static_cast<off_t>(kKeyBytes)) {
    return Error(Code::kDataLoss, "key file " + key_file.string() + ": " +
                                      std::to_string(status.st_size) +
                                      " bytes instead of 32; restore it from the backup");
  }
  CML_ASSIGN_OR_RETURN(std::string key, ReadFile(key_file, kKeyBytes));
  Secret secret(std::move(key));
  if (secret.Reveal().size() != kKeyBytes) {
    return Error(Code::kDataLoss, "key file " + key_file.string() + ": changed while it was read");
  }
  return Sealer(std::move(secret));
}

std::string Sealer::Seal(std::string_view plain, std::string_view context) const {
  if (key_.Reveal().size() != kKeyBytes) std::abort();
  const std::string nonce = RandomBytes(kNonceBytes);
  std::string cipher(plain.size(), '\0');
  std::string tag(kTagBytes, '\0');
  Context c(EVP_CIPHER_CTX_new());
  int n = 0;
  const bool ok = c &&
                  EVP_EncryptInit_ex2(c.get(), EVP_aes_256_gcm(), Bytes(key_.Reveal()),
                                      Bytes(nonce), nullptr) == 1 &&
                  EVP_EncryptUpdate(c.get(), nullptr, &n, Bytes(context),
                                    static_cast<int>(context.size())) == 1 &&
                  EVP_EncryptUpdate(c.get(), Bytes(cipher), &n, Bytes(plain),
                                    static_cast<int>(plain.size())) == 1 &&
                  EVP_EncryptFinal_ex(c.get(), Bytes(tag), &n) == 1 &&
                  EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1;
  if (!ok) std::abort();  // out of memory or a broken library: never store a half-sealed secret
  return std::string(kVersion) + ToBase64(nonce + cipher + tag);
}

Result<Secret> Sealer::Open(std::string_view sealed, std::string_view context) const {
  if (key_.Reveal().size() != kKeyBytes) std::abort();
  if (!sealed.starts_with(kVersion)) return NotOurs();
  auto bytes = FromBase64(sealed.substr(kVersion.size()));
  if (!bytes.ok() || bytes.value().size() < kNonceBytes + kTagBytes) return NotOurs();
  const std::string_view all = bytes.value();
  const std::string_view nonce = all.substr(0, kNonceBytes);
  const std::string_view cipher = all.substr(kNonceBytes, all.size() - kNonceBytes - kTagBytes);
  std::string tag(all.substr(all.size() - kTagBytes));
  std::string plain(cipher.size(), '\0');
  std::string rest(kTagBytes, '\0');  // a stream mode leaves nothing over
  Context c(EVP_CIPHER_CTX_new());
  int n = 0;
  const bool ok = c &&
                  EVP_DecryptInit_ex2(c.get(), EVP_aes_256_gcm(), Bytes(key_.Reveal()),
                                      Bytes(nonce), nullptr) == 1 &&
                  EVP_DecryptUpdate(c.get(), nullptr, &n, Bytes(context),
                                    static_cast<int>(context.size())) == 1 &&
                  EVP_DecryptUpdate(c.get(), Bytes(plain), &n, Bytes(cipher),
                                    static_cast<int>(cipher.size())) == 1 &&
                  EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1 &&
                  EVP_DecryptFinal_ex(c.get(), Bytes(rest), &n) == 1;
  Secret opened(std::move(plain));  // wiped also where the tag does not match
  if (!ok) return NotOurs();
  return opened;
}

Secret Sealer::KeyFor(std::string_view purpose) const {
  return Secret(Hmac(Hash::kSha256, key_.Reveal(), "cloudml key for " + std::string(purpose)));
}

}  // namespace cml::crypto
