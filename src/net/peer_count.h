// net/peer_count.h — how many connections each address has, so that one address cannot take them
// all; private to net. Thread-safe. An IPv6 address counts with its neighbours of the same /64,
// which belong to one subscriber.
#pragma once
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

namespace cml::net {

class PeerCount {
 public:
  explicit PeerCount(std::size_t most) : most_(most) {}  // 0: no limit, nothing is counted

  // A place that is given back at its end, before the count's.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept
        : count_(std::exchange(other.count_, nullptr)), address_(std::move(other.address_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (count_ != nullptr) count_->Leave(address_);
    }
    bool over_limit() const { return over_limit_; }

   private:
    friend class PeerCount;
    PeerCount* count_ = nullptr;
    boost::asio::ip::address address_;
    bool over_limit_ = false;
  };
  Place Enter(const boost::asio::ip::address& address);
  std::size_t addresses() const;

 private:
  void Leave(const boost::asio::ip::address& address);

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::map<boost::asio::ip::address, std::size_t> open_;  // protected by mutex_
};

}  // namespace cml::net
