// control/runner.h — steps resources on a few threads: owns the threads and the timing, and nothing
// else.
//
// Many resources at once, one resource never twice at once. A notification that comes in mid-step is
// kept. An error backs off with jitter; any other outcome says itself when to look again. The
// destructor stops and joins: a step that is under way is finished.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/result.h"

namespace cml::control {

// What a step says of the next one.
struct Next {
  enum class When { kAgain, kLater, kDone } when = When::kDone;  // at once; after `after`; when notified
  std::chrono::milliseconds after{0};

  static Next Again() { return {When::kAgain, {}}; }
  static Next Later(std::chrono::milliseconds after) { return {When::kLater, after}; }
  static Next Done() { return {When::kDone, {}}; }
};

class Runner {
 public:
  using Step = std::function<Result<Next>(const ResourceId&)>;
  struct Options {
    unsigned workers = 8;
    std::chrono::milliseconds backoff_min{200}, backoff_max{30'000};
  };

  Runner(Step step, Options options);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner();

  void Notify(const ResourceId& id);
  void Stop();  // finishes the steps that are under way; later notifications are dropped

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    Clock::time_point due = Clock::time_point::max();  // max: not queued
    bool busy = false;
    unsigned failures = 0;
  };
  void Work(std::stop_token stop);
  void Queue(const ResourceId& id, Slot& slot, Clock::time_point due);  // requires mu_
  void Settle(const ResourceId& id, const Result<Next>& outcome);       // requires mu_
  std::chrono::milliseconds Backoff(unsigned failures);                 // requires mu_

  const Step step_;
  const Options options_;
  std::mutex mu_;
  std::condition_variable_any cv_;
  std::unordered_map<ResourceId, Slot> slots_;               // guarded by mu_
  std::set<std::pair<Clock::time_point, ResourceId>> queue_;  // guarded by mu_
  std::uint64_t jitter_ = 0x9E3779B97F4A7C15ULL;             // guarded by mu_
  std::vector<std::jthread> threads_;                        // last: joins before the rest goes
};

}  // namespace cml::control
