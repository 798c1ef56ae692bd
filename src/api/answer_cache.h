// api/answer_cache.h — answers that are asked for again and again, each with the stamp that tells
// whether it still holds.
//
// Thread-safe. Of fixed size: an answer takes the place of another one whose key falls onto it.
// Long answers are not kept.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace cml::api {

class AnswerCache {
 public:
  // The answer that was kept under this key with this very stamp. Stamp 0: nothing.
  std::optional<std::string> Find(std::string_view key, std::uint64_t stamp) const {
    const Slot& slot = At(key);
    const std::scoped_lock lock(slot.mu);
    if (stamp == 0 || slot.stamp != stamp || slot.key != key) return std::nullopt;
    return slot.answer;
  }

  void Keep(std::string_view key, std::uint64_t stamp, const std::string& answer) {
    if (stamp == 0 || answer.size() > kMostBytes) return;
    Slot& slot = slots_[Index(key)];
    const std::scoped_lock lock(slot.mu);
    slot.key = key;
    slot.stamp = stamp;
    slot.answer = answer;
  }

 private:
  static constexpr std::size_t kSlots = 512;
  static constexpr std::size_t kMostBytes = 8 * 1024;
  struct Slot {
    mutable std::mutex mu;
    std::string key, answer;
    std::uint64_t stamp = 0;
  };

  static std::size_t Index(std::string_view key) {
    return std::hash<std::string_view>()(key) % kSlots;
  }
  const Slot& At(std::string_view key) const { return slots_[Index(key)]; }

  std::array<Slot, kSlots> slots_;
};

}  // namespace cml::api
