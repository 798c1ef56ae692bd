#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "base/id.h"

namespace cml {

std::string RandomBytes(std::size_t n) {
  std::string out(n, '\0');
  std::size_t done = 0;
  while (done < n) {
    const ssize_t got = ::getrandom(out.data() + done, n - done, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();
    }
    done += static_cast<std::size_t>(got);
  }
  return out;
}

std::string RandomToken(std::size_t n) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr unsigned kUnbiased = 252;  // 7 × 36: bytes from here on would favour some letters
  std::string out;
  out.reserve(n);
  while (out.size() < n) {
    for (const char c : RandomBytes(n - out.size() + 4)) {
      const auto b = static_cast<unsigned char>(c);
      if (b < kUnbiased && out.size() < n) out.push_back(kAlphabet[b % kAlphabet.size()]);
    }
  }
  return out;
}

ResourceId NewResourceId() { return ResourceId{RandomToken(10)}; }

}  // namespace cml
