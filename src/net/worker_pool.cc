#include "net/worker_pool.h"

#include <cstddef>
#include <utility>

namespace cml::net {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStack = 2 << 20;  // red zones make frames several times larger
#else
constexpr std::size_t kStack = 256 << 10;
#endif

}  // namespace

bool WorkerPool::Submit(std::function<void()> job) {
  std::vector<pthread_t> ended;
  std::shared_ptr<Sleeper> sleeper;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    if (!sleepers_.empty()) {
      sleeper = std::move(sleepers_.back());
      sleepers_.pop_back();
      sleeper->woken = true;
    } else if (threads_ < most_ && !Spawn() && threads_ == 0) {
      return false;
    }
    jobs_.push_back(std::move(job));
    ended.swap(ended_);
  }
  if (sleeper) sleeper->wake.notify_one();
  Join(ended);
  return true;
}

void WorkerPool::Stop() {
  std::vector<pthread_t> ended;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    for (const auto& sleeper : sleepers_) {
      sleeper->woken = true;
      sleeper->wake.notify_one();
    }
    sleepers_.clear();
    all_ended_.wait(lock, [this] { return threads_ == 0; });
    ended.swap(ended_);
  }
  Join(ended);
}

unsigned WorkerPool::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

bool WorkerPool::Spawn() {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, kStack);
  pthread_t thread{};
  const bool made = pthread_create(&thread, &attr, &WorkerPool::Main, this) == 0;
  pthread_attr_destroy(&attr);
  if (made) ++threads_;
  return made;
}

void* WorkerPool::Main(void* self) {
  static_cast<WorkerPool*>(self)->Work();
  return nullptr;
}

void WorkerPool::Work() {
  const auto me = std::make_shared<Sleeper>();
  std::unique_lock lock(mutex_);
  while (true) {
    if (jobs_.empty()) {
      if (stopping_) break;
      me->woken = false;
      sleepers_.push_back(me);
      if (!me->wake.wait_for(lock, idle_, [&me] { return me->woken; })) {
        std::erase(sleepers_, me);
        break;
      }
      continue;
    }
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it holds dies without the lock
    lock.lock();
  }
  --threads_;
  ended_.push_back(pthread_self());
  if (threads_ == 0) all_ended_.notify_all();
}

void WorkerPool::Join(const std::vector<pthread_t>& threads) {
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
}

}  // namespace cml::net
