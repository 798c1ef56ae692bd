// The schedulers that ours is measured against, with the parameters of their papers.
#include <algorithm>
#include <array>

#include "simulator.h"

namespace cml::bench {
namespace {

const SimJob& At(const Simulator& sim, int job) { return sim.jobs()[static_cast<std::size_t>(job)]; }

// First come, first served: the first that does not fit holds back all behind it.
class Fifo : public Scheduler {
 public:
  explicit Fifo(const Simulator& sim) : places_(sim) {}
  std::string name() const override { return "FIFO"; }
  void Arrived(int job) override { queue_.push_back(job); }
  void Ended(int job) override { places_.Give(job); }
  void Schedule(Simulator& sim) override {
    std::size_t started = 0;
    while (started < queue_.size() && places_.Take(queue_[started], sim.GangOf(At(sim, queue_[started]).gpus))) {
      sim.Start(queue_[started++]);
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(started));
  }

 protected:
  BestFitPlaces places_;
  std::vector<int> queue_;
};

// EASY backfill (Lifka, JSSPP 95): the head has a reservation at the earliest time at which enough GPUs will
// be free; a later job may go first if it ends before that, or needs none of the GPUs of the head. The
// estimates of run time that EASY takes from the user are the true ones here.
class Easy : public Fifo {
 public:
  using Fifo::Fifo;
  std::string name() const override { return "EASY (true run times)"; }
  void Schedule(Simulator& sim) override {
    Fifo::Schedule(sim);
    if (queue_.empty()) return;
    std::int64_t free = sim.capacity();
    std::vector<std::pair<std::int64_t, std::int64_t>> ends;
    for (const int i : sim.running()) {
      const SimJob& j = At(sim, i);
      free -= j.gpus;
      ends.emplace_back(sim.now() + j.left(), j.gpus);
    }
    if (free == 0) return;
    std::sort(ends.begin(), ends.end());
    std::int64_t then = free, shadow = sim.now();
    for (const auto& [end, gpus] : ends) {
      if (then >= At(sim, queue_.front()).gpus) break;
      then += gpus;
      shadow = end;
    }
    std::int64_t extra = then - At(sim, queue_.front()).gpus;
    std::vector<int> left{queue_.front()};
    for (std::size_t k = 1; k < queue_.size(); ++k) {
      const SimJob& j = At(sim, queue_[k]);
      const bool before = sim.now() + j.duration <= shadow;
      if (j.gpus <= free && (before || j.gpus <= extra) && places_.Take(queue_[k], sim.GangOf(j.gpus))) {
        free -= j.gpus;
        if (!before) extra -= j.gpus;
        sim.Start(queue_[k]);
      } else {
        left.push_back(queue_[k]);
      }
    }
    queue_ = std::move(left);
  }
};

// Who is first in order runs: at each event those that should run are counted off until the GPUs are used up
// (who does not fit is passed over). They are started in order; for room others are stopped, the last in order
// first, and only those whose GPUs are really needed. What is then still free goes to whom it fits, in order.
class Preemptive : public Scheduler {
 public:
  explicit Preemptive(const Simulator& sim) : sim_(sim), places_(sim), order_(Before{this}), key_(sim.jobs().size()), chosen_(sim.jobs().size()) {}
  void Arrived(int job) override {
    key_[static_cast<std::size_t>(job)] = KeyOf(job);
    order_.insert(job);
  }
  void Ended(int job) override {
    places_.Give(job);
    order_.erase(job);
  }
  void Schedule(Simulator& sim) override {
    for (const int i : sim.running()) {
      if (const std::int64_t key = KeyOf(i); key != key_[static_cast<std::size_t>(i)]) {
        order_.erase(i);
        key_[static_cast<std::size_t>(i)] = key;
        order_.insert(i);
      }
    }
    std::int64_t free = sim.capacity();
    std::vector<int> chosen;
    for (auto it = order_.begin(); it != order_.end() && free > 0; ++it) {
      if (At(sim, *it).gpus > free) continue;
      free -= At(sim, *it).gpus;
      chosen.push_back(*it);
      chosen_[static_cast<std::size_t>(*it)] = true;
    }
    std::vector<int> last;  // those that may be stopped, the last in order at the end
    for (const int i : sim.running()) {
      if (!chosen_[static_cast<std::size_t>(i)]) last.push_back(i);
    }
    std::sort(last.begin(), last.end(), Before{this});
    for (const int i : chosen) {
      chosen_[static_cast<std::size_t>(i)] = false;
      if (!At(sim, i).running) StartInsteadOf(last, i, sim);
    }
    free = sim.capacity();
    for (const int i : sim.running()) free -= At(sim, i).gpus;
    int tried = 0;
    for (auto it = order_.begin(); it != order_.end() && free > 0 && tried < 200; ++it) {
      const SimJob& j = At(sim, *it);
      if (j.running || j.gpus > free) continue;
      ++tried;
      if (!places_.Take(*it, sim.GangOf(j.gpus))) continue;
      free -= j.gpus;
      sim.Start(*it);
    }
  }

 protected:
  virtual std::int64_t KeyOf(int job) const = 0;
  const Simulator& sim_;

 private:
  void StartInsteadOf(std::vector<int>& last, int job, Simulator& sim) {
    const auto gang = sim.GangOf(At(sim, job).gpus);
    std::vector<int> gone;
    bool placed = places_.Take(job, gang);
    while (!placed && gone.size() < last.size()) {
      gone.push_back(last[last.size() - 1 - gone.size()]);
      places_.Suspend(gone.back());
      placed = places_.Take(job, gang);
    }
    for (auto it = gone.rbegin(); it != gone.rend(); ++it) {
      if (places_.Resume(*it)) continue;
      sim.Stop(*it);
      std::erase(last, *it);
    }
    if (placed) sim.Start(job);
  }

  struct Before {
    const Preemptive* self;
    bool operator()(int a, int b) const {
      const auto x = self->key_[static_cast<std::size_t>(a)], y = self->key_[static_cast<std::size_t>(b)];
      return x != y ? x < y : a < b;  // numbers grow with the time of arrival
    }
  };
  BestFitPlaces places_;
  std::set<int, Before> order_;
  std::vector<std::int64_t> key_;
  std::vector<char> chosen_;
};

// Discretised two-dimensional least attained service (Tiresias-L; Gu and others, NSDI 19): queues by GPUs ×
// time attained, in each first come, first served, no promotion. Four queues; the limits 3,250, 7,200 and
// 18,000 GPU seconds are those of the authors' published simulator.
class Las : public Preemptive {
 public:
  using Preemptive::Preemptive;
  std::string name() const override { return "LAS, four queues"; }
  std::int64_t Timer(const Simulator& sim) override {
    std::int64_t next = kNever;
    for (const int i : sim.running()) {
      const SimJob& j = At(sim, i);
      for (const std::int64_t limit : kLimits) {
        const std::int64_t at = (limit * 1000 + j.gpus - 1) / j.gpus;
        if (at > j.done) {
          next = std::min(next, sim.now() + j.charge + at - j.done);
          break;
        }
      }
    }
    return next;
  }

 protected:
  std::int64_t KeyOf(int job) const override {
    const SimJob& j = At(sim_, job);
    std::int64_t queue = 0;
    for (const std::int64_t limit : kLimits) queue += j.done * j.gpus >= limit * 1000 ? 1 : 0;
    return queue;
  }

 private:
  static constexpr std::array<std::int64_t, 3> kLimits{3250, 7200, 18000};
};

// Shortest remaining time first, with an oracle: the remaining time of every job is known.
class Srtf : public Preemptive {
 public:
  using Preemptive::Preemptive;
  std::string name() const override { return "SRTF (oracle)"; }

 protected:
  std::int64_t KeyOf(int job) const override { return At(sim_, job).left(); }
};

}  // namespace

std::unique_ptr<Scheduler> MakeFifo(const Simulator& sim) { return std::make_unique<Fifo>(sim); }
std::unique_ptr<Scheduler> MakeEasy(const Simulator& sim) { return std::make_unique<Easy>(sim); }
std::unique_ptr<Scheduler> MakeLas(const Simulator& sim) { return std::make_unique<Las>(sim); }
std::unique_ptr<Scheduler> MakeSrtf(const Simulator& sim) { return std::make_unique<Srtf>(sim); }

}  // namespace cml::bench
