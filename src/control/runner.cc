#include "control/runner.h"

#include <algorithm>

#include "base/log.h"

namespace cml::control {

Runner::Runner(Step step, Options options) : step_(std::move(step)), options_(options) {
  for (unsigned i = 0; i < options_.workers; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Work(std::move(stop)); });
  }
}

Runner::~Runner() { Stop(); }

void Runner::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();  // joins
}

void Runner::Notify(const ResourceId& id) {
  {
    const std::scoped_lock lock(mu_);
    Queue(id, slots_[id], Clock::now());
  }
  cv_.notify_one();
}

void Runner::Queue(const ResourceId& id, Slot& slot, Clock::time_point due) {
  if (slot.due <= due) return;  // queued for an earlier time already
  if (!slot.busy && slot.due != Clock::time_point::max()) queue_.erase({slot.due, id});
  slot.due = due;
  if (!slot.busy) queue_.emplace(due, id);  // a busy one is queued when its step is over
}

void Runner::Work(std::stop_token stop) {
  std::unique_lock lock(mu_);
  while (!stop.stop_requested()) {
    if (queue_.empty()) {
      cv_.wait(lock, stop, [this] { return !queue_.empty(); });
      continue;
    }
    const auto [due, id] = *queue_.begin();
    if (due > Clock::now()) {
      cv_.wait_until(lock, stop, due, [this, first = due] {
        return queue_.empty() || queue_.begin()->first < first;
      });
      continue;
    }
    queue_.erase(queue_.begin());
    Slot& taken = slots_[id];
    taken.due = Clock::time_point::max();
    taken.busy = true;
    lock.unlock();
    const Result<Next> outcome = step_(id);  // never under the lock
    lock.lock();
    Settle(id, outcome);
  }
}

void Runner::Settle(const ResourceId& id, const Result<Next>& outcome) {
  Slot& slot = slots_[id];
  const Clock::time_point notified = slot.due;  // during the step
  slot.busy = false;
  slot.due = Clock::time_point::max();
  Clock::time_point due = notified;
  if (!outcome.ok()) {
    LogWarning("a step failed and will be tried again",
               {{"resource", id.str()}, {"error", outcome.error().message()}, {"detail", outcome.error().detail()}});
    due = std::min(due, Clock::now() + Backoff(slot.failures++));
  } else {
    slot.failures = 0;
    switch (outcome.value().when) {
      case Next::When::kAgain: due = Clock::now(); break;
      case Next::When::kLater: due = std::min(due, Clock::now() + outcome.value().after); break;
      case Next::When::kDone: break;
    }
  }
  if (due == Clock::time_point::max()) {
    slots_.erase(id);
    return;
  }
  Queue(id, slot, due);
  cv_.notify_one();
}

std::chrono::milliseconds Runner::Backoff(unsigned failures) {
  jitter_ ^= jitter_ << 13;  // xorshift64 (Marsaglia 2003): any spread will do
  jitter_ ^= jitter_ >> 7;
  jitter_ ^= jitter_ << 17;
  const auto full = std::min(options_.backoff_max, options_.backoff_min * (1U << std::min(failures, 16U)));
  return full / 2 + full * static_cast<int>(jitter_ % 1000) / 2000;
}

}  // namespace cml::control
