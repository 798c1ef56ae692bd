// net/worker_pool.h — threads that run handlers; private to net.
//
// Made when work finds none idle, up to a limit. The one that fell asleep last is woken first: its
// caches are warm, and those not needed idle on. One that has idled for a while ends, so a
// quiet server has none and never wakes. Thread-safe. Stop runs what is queued, then joins.
#pragma once
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace cml::net {

class WorkerPool {
 public:
  explicit WorkerPool(unsigned most, std::chrono::milliseconds idle = std::chrono::seconds(30))
      : most_(most), idle_(idle) {}
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False: stopped, or the system gives us no thread at all. `job` must not throw.
  bool Submit(std::function<void()> job);
  void Stop();
  unsigned threads() const;

 private:
  struct Sleeper {
    std::condition_variable wake;
    bool woken = false;
  };

  static void* Main(void* self);
  void Work();
  bool Spawn();  // with mutex_ held
  static void Join(const std::vector<pthread_t>& threads);

  const unsigned most_;
  const std::chrono::milliseconds idle_;
  mutable std::mutex mutex_;  // protects all below
  std::condition_variable all_ended_;
  std::vector<std::shared_ptr<Sleeper>> sleepers_;  // those woken are no longer here
  std::deque<std::function<void()>> jobs_;
  std::vector<pthread_t> ended_;  // to be joined by whoever passes by
  unsigned threads_ = 0;
  bool stopping_ = false;
};

}  // namespace cml::net
