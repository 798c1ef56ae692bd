// net/input_buffer.h — bytes read from a socket and not yet used; private to net. Not thread-safe.
#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace cml::net {

class InputBuffer {
 public:
  std::string_view view() const { return {memory_.get() + begin_, end_ - begin_}; }
  char* data() { return memory_.get() + begin_; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  void Consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void Commit(std::size_t n) { end_ += n; }

  struct Space {
    char* data;
    std::size_t size;
  };
  // At least `least` bytes of room behind what there is.
  Space Room(std::size_t least) {
    if (capacity_ - end_ < least) {
      const std::size_t kept = size();
      if (capacity_ - kept < least) {
        std::size_t bigger = capacity_ == 0 ? kFirst : capacity_;
        while (bigger - kept < least) bigger *= 2;
        std::unique_ptr<char[]> memory(new char[bigger]);
        if (kept > 0) std::memcpy(memory.get(), memory_.get() + begin_, kept);
        memory_ = std::move(memory);
        capacity_ = bigger;
      } else if (kept > 0) {
        std::memmove(memory_.get(), memory_.get() + begin_, kept);
      }
      begin_ = 0;
      end_ = kept;
    }
    return {memory_.get() + end_, capacity_ - end_};
  }
  // Gives a big block back when nothing is in it, so that a silent connection costs little.
  void Shrink() {
    if (empty() && capacity_ > kFirst) {
      memory_.reset();
      capacity_ = begin_ = end_ = 0;
    }
  }

 private:
  static constexpr std::size_t kFirst = 4096;
  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

}  // namespace cml::net
