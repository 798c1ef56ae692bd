#include "simulator.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace cml::bench {

using control::admission::GangAsk;
using control::admission::kWholeCard;

namespace {
constexpr std::int64_t kHour = 3'600'000;
}

Simulator::Simulator(const Philly& trace, int nodes, int gpus_per_node)
    : orgs_(trace.orgs.size()), capacity_(static_cast<std::int64_t>(nodes) * gpus_per_node), per_node_(gpus_per_node) {
  for (const TraceJob& job : trace.jobs) {
    SimJob j;
    j.submit = job.submit_ms;
    j.duration = std::max<std::int64_t>(job.duration_ms, 1);
    j.gpus = job.gpus;
    j.org = job.org;
    jobs_.push_back(j);
  }
  last_submit_ = jobs_.back().submit;
  for (int n = 0; n < nodes; ++n) {
    char name[32];
    std::snprintf(name, sizeof name, "node-%04d", n);
    control::admission::NodeFacts node{{name, 0, 0, {}, {}}, control::admission::NodeUse::kOpen};
    for (int g = 0; g < gpus_per_node; ++g) node.node.gpus.push_back({g, "p100", ""});
    nodes_.push_back(std::move(node));
  }
  wanted_.resize(orgs_);
  has_.resize(orgs_);
}

GangAsk Simulator::GangOf(std::int64_t gpus) const {
  GangAsk gang;
  if (gpus >= per_node_) gang.push_back({gpus / per_node_, {{0, 0, per_node_ * kWholeCard}, "", {}}});
  if (gpus % per_node_ > 0) gang.push_back({1, {{0, 0, gpus % per_node_ * kWholeCard}, "", {}}});
  return gang;
}

void Simulator::Start(int job) {
  SimJob& j = jobs_[static_cast<std::size_t>(job)];
  if (!j.waiting || j.running) std::abort();
  j.waiting = false;
  j.running = true;
  j.started = now_;
  j.charge = j.starts > 0 ? kRestartMs : 0;
  if (j.starts++ > 0) ++restarts_;
  running_.push_back(job);
  has_[static_cast<std::size_t>(j.org)] += j.gpus;
}

void Simulator::Stop(int job) {
  SimJob& j = jobs_[static_cast<std::size_t>(job)];
  if (!j.running) std::abort();
  j.running = false;
  j.waiting = true;
  j.stopped = now_;
  j.held += now_ - j.started;
  std::erase(running_, job);
  has_[static_cast<std::size_t>(j.org)] -= j.gpus;
}

// Max-min fair entitlements by water filling, on GPUs alone: written anew here, to be independent of the
// policy's own.
void Simulator::Measure(std::int64_t from, std::int64_t until) {
  std::int64_t demand = 0;
  for (const std::int64_t w : wanted_) demand += w;
  const bool contended = demand > capacity_;
  if (!contended) return;
  std::vector<std::pair<std::int64_t, std::size_t>> order;
  for (std::size_t o = 0; o < orgs_; ++o) {
    if (wanted_[o] > 0) order.emplace_back(wanted_[o], o);
  }
  std::sort(order.begin(), order.end());
  std::vector<double> entitled(orgs_);
  double left = static_cast<double>(capacity_);
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double fair = left / static_cast<double>(order.size() - k);
    const double share = std::min(fair, static_cast<double>(order[k].first));
    entitled[order[k].second] = share;
    left -= share;
  }
  for (std::int64_t t = from; t < until;) {
    const auto hour = static_cast<std::size_t>(t / kHour);
    const std::int64_t end = std::min(until, static_cast<std::int64_t>(hour + 1) * kHour);
    if (by_hour_.size() <= hour) by_hour_.resize(hour + 1);
    Hour& h = by_hour_[hour];
    if (h.got.empty()) {
      h.got.resize(orgs_);
      h.entitled.resize(orgs_);
    }
    const auto span = static_cast<double>(end - t);
    h.contended += end - t;
    for (std::size_t o = 0; o < orgs_; ++o) {
      h.got[o] += span * static_cast<double>(has_[o]);
      h.entitled[o] += span * entitled[o];
    }
    t = end;
  }
}

void Simulator::Pass(std::int64_t until) {
  const std::int64_t span = until - now_;
  if (span <= 0) return;
  Measure(now_, until);
  for (const int i : running_) {
    SimJob& j = jobs_[static_cast<std::size_t>(i)];
    const std::int64_t charged = std::min(span, j.charge);
    j.charge -= charged;
    j.done += span - charged;
    const auto gpus = static_cast<double>(j.gpus);
    held_ += gpus * static_cast<double>(span);
    lost_ += gpus * static_cast<double>(charged);
    const std::int64_t counted = std::min(until, last_submit_) - now_;
    if (counted > charged) useful_ += gpus * static_cast<double>(counted - charged);
  }
  now_ = until;
}

Result Simulator::Run(Scheduler& scheduler) {
  std::size_t next = 0, ended = 0;
  while (ended < jobs_.size()) {
    std::int64_t until = next < jobs_.size() ? jobs_[next].submit : kNever;
    for (const int i : running_) {
      const SimJob& j = jobs_[static_cast<std::size_t>(i)];
      until = std::min(until, now_ + j.charge + j.left());
    }
    until = std::min(until, std::max(scheduler.Timer(*this), now_ + 1));
    if (until >= kNever) {
      std::fprintf(stderr, "error: %s: %zu jobs wait and nothing runs\n", scheduler.name().c_str(), jobs_.size() - ended);
      std::exit(1);
    }
    Pass(until);
    std::vector<int> over;
    for (const int i : running_) {
      if (jobs_[static_cast<std::size_t>(i)].left() <= 0) over.push_back(i);
    }
    for (const int i : over) {
      SimJob& j = jobs_[static_cast<std::size_t>(i)];
      j.running = false;
      j.end = now_;
      std::erase(running_, i);
      has_[static_cast<std::size_t>(j.org)] -= j.gpus;
      wanted_[static_cast<std::size_t>(j.org)] -= j.gpus;
      scheduler.Ended(i);
      ++ended;
    }
    for (; next < jobs_.size() && jobs_[next].submit <= now_; ++next) {
      jobs_[next].waiting = true;
      wanted_[static_cast<std::size_t>(jobs_[next].org)] += jobs_[next].gpus;
      scheduler.Arrived(static_cast<int>(next));
    }
    scheduler.Schedule(*this);
  }
  Result r;
  r.name = scheduler.name();
  std::vector<double> times;
  for (const SimJob& j : jobs_) times.push_back(static_cast<double>(j.end - j.submit) / 1000);
  std::sort(times.begin(), times.end());
  for (const double t : times) r.mean += t / static_cast<double>(times.size());
  const auto at = [&](double q) { return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))]; };
  r.p50 = at(0.5);
  r.p90 = at(0.9);
  r.p99 = at(0.99);
  r.max = times.back();
  r.utilisation = useful_ / static_cast<double>(capacity_) / static_cast<double>(std::max<std::int64_t>(last_submit_, 1));
  r.makespan_days = static_cast<double>(now_) / 86'400'000;
  r.restarts = restarts_;
  r.restart_cost = lost_ / held_;
  Fairness(r);
  return r;
}

void Simulator::Fairness(Result& r) const {
  std::vector<double> off;
  double all = 0, within = 0;
  for (const Hour& h : by_hour_) {
    if (h.contended < kHour) continue;
    ++r.hours;
    for (const double got : h.got) r.contended_use += got / static_cast<double>(capacity_ * kHour);
    for (std::size_t o = 0; o < orgs_; ++o) {
      if (h.entitled[o] < static_cast<double>(kHour)) continue;  // less than one GPU
      const double distance = std::abs(h.got[o] - h.entitled[o]) / h.entitled[o];
      off.push_back(distance);
      all += h.entitled[o];
      if (distance <= 0.05) within += h.entitled[o];
    }
  }
  if (off.empty()) return;
  r.contended_use /= static_cast<double>(r.hours);
  std::sort(off.begin(), off.end());
  r.pairs = off.size();
  r.within_5 = static_cast<double>(std::upper_bound(off.begin(), off.end(), 0.05) - off.begin()) / static_cast<double>(off.size());
  r.off_p50 = off[off.size() / 2];
  r.off_p95 = off[off.size() * 95 / 100];
  r.off_max = off.back();
  r.gpu_time_within = within / all;
}

BestFitPlaces::BestFitPlaces(const Simulator& sim) : held_(sim.jobs().size()) {
  for (const auto& node : sim.nodes()) nodes_.Add(node);
}

bool BestFitPlaces::Take(int job, const GangAsk& gang) {
  std::vector<Held> taken;
  for (const auto& role : gang) {
    const auto ask = nodes_.Intern(role.ask);
    for (std::int64_t n = 0; n < role.replicas; ++n) {
      const auto spot = nodes_.Place(ask);
      if (spot.node < 0) {
        for (const Held& h : taken) nodes_.Give(h.spot, h.ask);
        return false;
      }
      taken.push_back({ask, spot});
    }
  }
  held_[static_cast<std::size_t>(job)] = std::move(taken);
  return true;
}

void BestFitPlaces::Suspend(int job) {
  for (const Held& h : held_[static_cast<std::size_t>(job)]) nodes_.Give(h.spot, h.ask);
}

bool BestFitPlaces::Resume(int job) {
  const std::vector<Held>& held = held_[static_cast<std::size_t>(job)];
  for (std::size_t k = 0; k < held.size(); ++k) {
    if (nodes_.SpotFree(held[k].spot, held[k].ask)) {
      nodes_.Take(held[k].spot, held[k].ask);
      continue;
    }
    while (k-- > 0) nodes_.Give(held[k].spot, held[k].ask);
    return false;
  }
  return true;
}

void BestFitPlaces::Give(int job) {
  for (const Held& h : held_[static_cast<std::size_t>(job)]) nodes_.Give(h.spot, h.ask);
  held_[static_cast<std::size_t>(job)].clear();
}

}  // namespace cml::bench
