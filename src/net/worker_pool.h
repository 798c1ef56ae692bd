// net/worker_pool.h — threads that run handlers; private to net.
//
// Made when work finds none idle, up to a limit; one that has idled for half a minute ends, so a
// quiet server has none and never wakes. Thread-safe. Stop runs what is queued, then joins.
#pragma once
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace cml::net {

class WorkerPool {
 public:
  explicit WorkerPool(unsigned most) : most_(most) {}
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False: stopped, or the system gives us no thread at all. `job` must not throw.
  bool Submit(std::function<void()> job);
  void Stop();

 private:
  static void* Main(void* self);
  void Work();
  bool Spawn();  // with mutex_ held
  static void Join(const std::vector<pthread_t>& threads);

  const unsigned most_;
  std::mutex mutex_;  // protects all below
  std::condition_variable work_, all_ended_;
  std::deque<std::function<void()>> jobs_;
  std::vector<pthread_t> ended_;  // to be joined by whoever passes by
  unsigned threads_ = 0, idle_ = 0;
  bool stopping_ = false;
};

}  // namespace cml::net
