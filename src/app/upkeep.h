// app/upkeep.h — a thread that does the small things which are due every few seconds. What it is
// given must not throw and must outlive it; the destructor ends it, a round under way is finished.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace cml::app {

class Upkeep {
 public:
  Upkeep(std::chrono::milliseconds every, std::function<void()> round)
      : thread_([this, every, round = std::move(round)](const std::stop_token& stop) {
          std::unique_lock lock(mu_);
          while (!cv_.wait_for(lock, stop, every, [&stop] { return stop.stop_requested(); })) round();
        }) {}

 private:
  std::mutex mu_;
  std::condition_variable_any cv_;
  std::jthread thread_;  // last: joins before the rest goes
};

}  // namespace cml::app
