// api/rate_limit.h — token buckets in memory: each name may do `per_second` things a second on
// average, and `burst` at once.
//
// Thread-safe, one short lock per call. Bounded: of many names those are forgotten first whose
// bucket is full again; forgetting never takes a token away. A restart forgets all.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace cml::api {

class RateLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Options {
    double per_second = 0;  // 0: no limit
    double burst = 1;       // at least 1
  };
  explicit RateLimit(Options options) : options_(options) {}

  // Takes a token of `name`. 0: there was one; else the whole seconds after which there is one.
  std::chrono::seconds Take(std::string_view name, Time now = std::chrono::steady_clock::now());

  std::uint64_t refused() const;
  std::size_t names() const;  // that are remembered

 private:
  static constexpr std::size_t kShards = 16, kMostNames = 4096;  // of a shard
  struct Bucket {
    double tokens = 0;
    Time filled{};
  };
  struct Shard {
    mutable std::mutex mu;
    std::unordered_map<std::string, Bucket> buckets;  // guarded by mu
    std::uint64_t refused = 0;                        // guarded by mu
  };
  double TokensAt(const Bucket& bucket, Time now) const;
  void Forget(Shard& shard, Time now) const;

  const Options options_;
  std::array<Shard, kShards> shards_;
};

// The name under which an address is counted: itself, of IPv6 the network of 64 bits, as whoever
// has one address of it has them all.
std::string NetworkOf(std::string_view address);

}  // namespace cml::api
