#include "net/address_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/strings.h"

namespace cml::net {
namespace {

constexpr unsigned kV4Prefix = 96;
constexpr std::array<std::string_view, 30> kClosed = {
    "0.0.0.0/8",       "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",   "168.63.129.16/32", "169.254.0.0/16",
    "172.16.0.0/12",   "192.0.0.0/24",    "192.0.2.0/24",   "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
    "192.168.0.0/16",  "192.175.48.0/24", "198.18.0.0/15",  "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",           "100::/64",        "2001::/23",      "2001:db8::/32", "2002::/16",        "3fff::/20",
    "fc00::/7",        "fe80::/10",       "fec0::/10",      "ff00::/8",      "64:ff9b:1::/48"};


AddressBytes V4At(const std::uint8_t* four) {
  AddressBytes a{};
  a[10] = a[11] = 0xFF;
  std::memcpy(a.data() + 12, four, 4);
  return a;
}

const std::vector<AddressRange>& Closed() {
  static const std::vector<AddressRange> ranges = [] {
    std::vector<AddressRange> all;
    for (const std::string_view text : kClosed) {
      if (auto range = ParseAddressRange(text)) all.push_back(*range);
    }
    return all;
  }();
  return ranges;
}

}  // namespace

std::optional<AddressBytes> ParseAddress(std::string_view text) {
  const std::string copy(text);
  in_addr four{};
  if (::inet_pton(AF_INET, copy.c_str(), &four) == 1) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &four, 4);
    return V4At(bytes.data());
  }
  in6_addr six{};
  if (::inet_pton(AF_INET6, copy.c_str(), &six) != 1) return std::nullopt;
  AddressBytes a{};
  std::memcpy(a.data(), six.s6_addr, 16);
  return a;
}

std::optional<AddressRange> ParseAddressRange(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash));
  if (!address) return std::nullopt;
  const bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  AddressRange range{*address, 128};
  if (slash == std::string_view::npos) return range;
  const auto bits = ParseUnsigned(text.substr(slash + 1));
  if (!bits || *bits > (v4 ? 32U : 128U)) return std::nullopt;
  range.bits = static_cast<unsigned>(*bits) + (v4 ? kV4Prefix : 0);
  return range;
}

bool Contains(const AddressRange& range, const AddressBytes& address) {
  for (unsigned bit = 0; bit < range.bits; bit += 8) {
    const unsigned left = std::min(8U, range.bits - bit);
    const auto mask = static_cast<std::uint8_t>(0xFF00U >> left);
    if (((range.address[bit / 8] ^ address[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

bool IsPublicAddress(const AddressBytes& address) {
  static const AddressRange translated = *ParseAddressRange("64:ff9b::/96");
  if (Contains(translated, address)) return IsPublicAddress(V4At(address.data() + 12));
  const auto& closed = Closed();
  return std::none_of(closed.begin(), closed.end(), [&](const AddressRange& r) { return Contains(r, address); });
}

bool MayConnect(const AddressBytes& address, std::span<const AddressRange> allow) {
  if (std::any_of(allow.begin(), allow.end(), [&](const AddressRange& r) { return Contains(r, address); })) return true;
  return IsPublicAddress(address);
}

}  // namespace cml::net
