#include "net/peer_count.h"

#include <algorithm>

namespace cml::net {
namespace {

namespace ip = boost::asio::ip;

ip::address Subscriber(const ip::address& address) {
  if (!address.is_v6()) return address;
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, v6);
  ip::address_v6::bytes_type bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return ip::address_v6(bytes);
}

}  // namespace

PeerCount::Place PeerCount::Enter(const ip::address& address) {
  Place place;
  if (most_ == 0) return place;
  const ip::address counted = Subscriber(address);
  const std::lock_guard lock(mutex_);
  std::size_t& open = open_[counted];
  if (open >= most_) {
    place.over_limit_ = true;  // and not counted: there is nothing to give back
    return place;
  }
  ++open;
  place.count_ = this;
  place.address_ = counted;
  return place;
}

void PeerCount::Leave(const ip::address& address) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(address);
  if (found != open_.end() && --found->second == 0) open_.erase(found);
}

std::size_t PeerCount::addresses() const {
  const std::lock_guard lock(mutex_);
  return open_.size();
}

}  // namespace cml::net
