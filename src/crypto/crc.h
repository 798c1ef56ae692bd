// crypto/crc.h — cyclic redundancy checks: they find accidents, not attackers. Pure, thread-safe.
//
// All are the reflected forms with inverted start and end, as zip, iSCSI and NVMe define them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cml::crypto {

enum class CrcKind { kCrc32, kCrc32c, kCrc64Nvme };

// A check of data that comes in pieces.
class Crc {
 public:
  explicit Crc(CrcKind kind) : kind_(kind) {}
  void Update(std::string_view data);
  std::uint64_t value() const;
  std::string bytes() const;  // big-endian, 4 or 8 bytes: what the x-amz-checksum headers carry

 private:
  CrcKind kind_;
  std::uint64_t state_ = ~0ULL;
};

}  // namespace cml::crypto
