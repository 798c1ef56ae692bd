#include "control/admission/fair_share.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cml::control::admission {
namespace {

double Part(std::int64_t amount, std::int64_t of) {
  return of > 0 ? static_cast<double>(amount) / static_cast<double>(of) : 0;
}

}  // namespace

Shares SharesOf(const Amounts& a, const Amounts& cluster) {
  return {Part(a.millicores, cluster.millicores), Part(a.memory_bytes, cluster.memory_bytes),
          Part(a.gpu_milli, cluster.gpu_milli)};
}

std::vector<double> Entitlements(const std::vector<Demand>& demands) {
  struct Filling {
    std::size_t org;
    double level;  // dominant share ÷ weight at which it has all it wants
    Shares slope;  // of each resource, per unit of level
  };
  std::vector<double> entitled(demands.size(), 0.0);
  std::vector<Filling> filling;
  for (std::size_t i = 0; i < demands.size(); ++i) {
    const Demand& d = demands[i];
    const double dominant = d.wanted.dominant();
    if (dominant <= 0 || d.weight <= 0) continue;
    const double scale = d.weight / dominant;
    filling.push_back({i, dominant / d.weight,
                       {d.wanted.cpu * scale, d.wanted.memory * scale, d.wanted.gpu * scale}});
  }
  std::stable_sort(filling.begin(), filling.end(),
                   [](const Filling& a, const Filling& b) { return a.level < b.level; });
  Shares left{1, 1, 1};
  double level = 0;
  while (!filling.empty()) {
    Shares slope;
    for (const Filling& f : filling) {
      slope.cpu += f.slope.cpu;
      slope.memory += f.slope.memory;
      slope.gpu += f.slope.gpu;
    }
    const auto until = [](double there, double rate) {
      return rate > 1e-15 ? std::max(there, 0.0) / rate : std::numeric_limits<double>::infinity();
    };
    const double full = std::min({until(left.cpu, slope.cpu), until(left.memory, slope.memory),
                                  until(left.gpu, slope.gpu)});
    const double satisfied = filling.front().level - level;
    const double step = std::min(full, satisfied);
    level += step;
    left.cpu -= step * slope.cpu;
    left.memory -= step * slope.memory;
    left.gpu -= step * slope.gpu;
    std::vector<Filling> next;
    for (const Filling& f : filling) {
      const bool done = f.level <= level + 1e-12;
      const bool stuck = (left.cpu <= 1e-12 && f.slope.cpu > 0) || (left.memory <= 1e-12 && f.slope.memory > 0) ||
                         (left.gpu <= 1e-12 && f.slope.gpu > 0);
      if (done || stuck) entitled[f.org] = std::min(level, f.level) * demands[f.org].weight;
      else next.push_back(f);
    }
    if (next.size() == filling.size()) {  // rounding: nobody stopped though somebody should have
      for (const Filling& f : next) entitled[f.org] = std::min(level, f.level) * demands[f.org].weight;
      break;
    }
    filling = std::move(next);
  }
  return entitled;
}

void UseLedger::Charge(double seconds, double share, double entitled) {
  over_use_ *= std::exp2(-seconds / kHalfLife);
  over_use_ += seconds * (share - entitled);
}

}  // namespace cml::control::admission
