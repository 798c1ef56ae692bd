#include "api/rate_limit.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace cml::api {

double RateLimit::TokensAt(const Bucket& bucket, Time now) const {
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  return std::min(std::max(1.0, options_.burst), bucket.tokens + std::max(0.0, seconds) * options_.per_second);
}

void RateLimit::Forget(Shard& shard, Time now) const {
  const double full = std::max(1.0, options_.burst);
  std::erase_if(shard.buckets, [&](const auto& entry) { return TokensAt(entry.second, now) >= full; });
  if (shard.buckets.size() >= kMostNames) shard.buckets.clear();
}

std::chrono::seconds RateLimit::Take(std::string_view name, Time now) {
  if (options_.per_second <= 0) return std::chrono::seconds{0};
  Shard& shard = shards_[std::hash<std::string_view>{}(name) % kShards];
  const std::scoped_lock lock(shard.mu);
  auto it = shard.buckets.find(std::string(name));
  if (it == shard.buckets.end()) {
    if (shard.buckets.size() >= kMostNames) Forget(shard, now);
    it = shard.buckets.emplace(name, Bucket{std::max(1.0, options_.burst), now}).first;
  }
  Bucket& bucket = it->second;
  bucket.tokens = TokensAt(bucket, now);
  bucket.filled = std::max(bucket.filled, now);
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return std::chrono::seconds{0};
  }
  ++shard.refused;
  const double wait = std::ceil((1 - bucket.tokens) / options_.per_second);
  return std::chrono::seconds{static_cast<std::int64_t>(std::clamp(wait, 1.0, 3600.0))};
}

std::uint64_t RateLimit::refused() const {
  std::uint64_t all = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mu);
    all += shard.refused;
  }
  return all;
}

std::size_t RateLimit::names() const {
  std::size_t all = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mu);
    all += shard.buckets.size();
  }
  return all;
}

std::string NetworkOf(std::string_view address) {
  std::string text(address);
  in6_addr six{};
  if (::inet_pton(AF_INET6, text.c_str(), &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six)) return text;
  for (std::size_t i = 8; i < 16; ++i) six.s6_addr[i] = 0;
  std::array<char, INET6_ADDRSTRLEN> out{};
  ::inet_ntop(AF_INET6, &six, out.data(), out.size());
  return fmt::format("{}/64", out.data());
}

}  // namespace cml::api
