// The Philly trace on 448 GPUs: completion times, utilisation, fairness.
#include <algorithm>
#include <cstdio>

#include "simulator.h"

namespace cml::bench {

void RunPhilly(const std::string& folder, const PhillyOptions& options) {
  const Philly trace = ReadPhilly(folder, options.sample);
  const int nodes = std::max(56 / options.sample, 16);  // the widest job needs 16 nodes
  std::printf("Philly: %zu jobs of %zu organisations, %d nodes with 8 GPUs\n", trace.jobs.size(), trace.orgs.size(), nodes);
  std::printf("%-24s %9s %7s %8s %9s %9s %6s %6s %8s %6s %6s | %5s %6s %6s %6s %6s %6s\n", "", "mean JCT", "p50", "p90", "p99", "max",
              "util", "busy", "restarts", "cost", "days", "hours", "<=5%", "GPUt", "p50", "p95", "max");
  std::vector<Result> results;
  const auto run = [&](auto make) {
    Simulator sim(trace, nodes, 8);
    const std::unique_ptr<Scheduler> scheduler = make(sim);
    const Result r = sim.Run(*scheduler);
    std::printf("%-24s %9.0f %7.0f %8.0f %9.0f %9.0f %6.4f %6.4f %8lld %5.2f%% %6.1f | %5zu %5.1f%% %5.1f%% %5.1f%% %5.1f%% %5.0f%%\n", r.name.c_str(),
                r.mean, r.p50, r.p90, r.p99, r.max, r.utilisation, r.contended_use, static_cast<long long>(r.restarts), 100 * r.restart_cost,
                r.makespan_days, r.hours, 100 * r.within_5, 100 * r.gpu_time_within, 100 * r.off_p50, 100 * r.off_p95, 100 * r.off_max);
    std::fflush(stdout);
    results.push_back(r);
  };
  if (options.baselines) {
    run([](const Simulator& s) { return MakeFifo(s); });
    run([](const Simulator& s) { return MakeEasy(s); });
    run([](const Simulator& s) { return MakeLas(s); });
    run([](const Simulator& s) { return MakeSrtf(s); });
  }
  run([&](const Simulator& s) { return MakeOurs(s, Orgs::kOne, options); });
  run([&](const Simulator& s) { return MakeOurs(s, Orgs::kEach, options); });
  if (!options.baselines) return;
  double best = 0;
  for (const Result& r : results) best = std::max(best, r.utilisation);
  for (const Result& r : {results[4], results[5]}) {
    std::printf("%s: mean / FIFO 1/%.1f (goal 1/20), mean / LAS %.2f (0.8), p99 / LAS %.2f (0.5), util / best %.3f (0.98)\n", r.name.c_str(),
                results[0].mean / r.mean, r.mean / results[2].mean, r.p99 / results[2].p99, r.utilisation / best);
  }
}

}  // namespace cml::bench
