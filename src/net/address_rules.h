// net/address_rules.h — which addresses a server may connect to on behalf of a user who names them
// freely. Pure.
//
// Open are the addresses of the public Internet alone. Closed are those of this machine (loopback,
// unspecified), of the link (169.254/16 and fe80::/10, where clouds have their metadata), of private
// networks (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7), multicast, broadcast and all that is
// reserved (IANA special-purpose registries of IPv4 and IPv6), and metadata services that have
// a public address (168.63.129.16). An IPv4 address in IPv6 clothes (::ffff:0:0/96, 64:ff9b::/96,
// 2002::/16, 2001::/32) is closed or judged by what it holds.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cml::net {

// 16 bytes; IPv4 as ::ffff:a.b.c.d.
using AddressBytes = std::array<std::uint8_t, 16>;
std::optional<AddressBytes> ParseAddress(std::string_view text);  // no zone, no brackets

struct AddressRange {
  AddressBytes address{};
  unsigned bits = 128;  // of 128, of IPv4 96 and more
};
// "10.1.0.0/16", "fd00::/8", "127.0.0.1".
std::optional<AddressRange> ParseAddressRange(std::string_view text);
bool Contains(const AddressRange& range, const AddressBytes& address);

bool IsPublicAddress(const AddressBytes& address);
// Public, or in one of `allow`.
bool MayConnect(const AddressBytes& address, std::span<const AddressRange> allow);

}  // namespace cml::net
