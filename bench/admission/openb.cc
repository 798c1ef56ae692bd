// The openb traces: how many GPUs of 1,213 nodes stay unallocated when more is asked for than there is.
//
// As in the evaluation of FGD (Weng and others, ATC 23): the pods arrive in random order, one at a time; when
// the trace is used up pods are drawn from it at random, until 1.3 times the GPUs of the cluster have been
// asked for. Nobody leaves. A pod that does not fit is turned away.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>

#include "control/admission/planner.h"
#include "simulator.h"

namespace cml::bench {
namespace {

using namespace control::admission;
using control::admission::Amounts;

struct Machine {
  std::int64_t cpu = 0, memory = 0;
  std::vector<std::int64_t> cards;
};

struct Popular {
  Amounts amounts;
  double frequency = 0;
};

bool IsPart(const Amounts& a) { return a.gpu_milli > 0 && a.gpu_milli < kWholeCard; }

bool Holds(const Machine& m, const Amounts& a) {
  if (m.cpu < a.millicores || m.memory < a.memory_bytes) return false;
  std::int64_t whole = 0, most = 0;
  for (const std::int64_t card : m.cards) {
    whole += card == kWholeCard ? 1 : 0;
    most = std::max(most, card);
  }
  return IsPart(a) ? most >= a.gpu_milli : whole * kWholeCard >= a.gpu_milli;
}

// What FGD calls the fragmentation of a node: for each popular pod, weighted by its frequency, the free GPUs
// that it cannot use there.
double Fragmentation(const Machine& m, const std::vector<Popular>& popular) {
  std::int64_t free = 0;
  for (const std::int64_t card : m.cards) free += card;
  if (free == 0) return 0;
  double sum = 0;
  for (const Popular& p : popular) {
    std::int64_t useless = free;
    if (p.amounts.gpu_milli > 0 && Holds(m, p.amounts)) {
      useless = 0;
      const std::int64_t least = std::min(p.amounts.gpu_milli, kWholeCard);
      for (const std::int64_t card : m.cards) useless += card < least ? card : 0;
    }
    sum += p.frequency * static_cast<double>(useless);
  }
  return sum;
}

enum class How { kBestFit, kFgd, kFgdPlugin };

// Returns the GPUs that stay free, in thousandths.
std::int64_t RunBaseline(How how, const Openb& trace, const std::vector<Ask>& arrivals, const std::vector<Popular>& popular) {
  std::vector<Machine> machines;
  std::int64_t free = 0;
  for (const NodeFacts& n : trace.nodes) {
    machines.push_back({n.node.millicores, n.node.memory_bytes, std::vector<std::int64_t>(n.node.gpus.size(), kWholeCard)});
    free += static_cast<std::int64_t>(n.node.gpus.size()) * kWholeCard;
  }
  std::vector<double> fragmentation;
  for (const Machine& m : machines) fragmentation.push_back(Fragmentation(m, popular));
  for (const Ask& ask : arrivals) {
    const Amounts& a = ask.amounts;
    double best_score = 0;
    Machine best;
    std::size_t where = machines.size();
    for (std::size_t n = 0; n < machines.size(); ++n) {
      if (!Holds(machines[n], a)) continue;
      Machine after = machines[n];
      after.cpu -= a.millicores;
      after.memory -= a.memory_bytes;
      const auto offer = [&](const Machine& m) {
        double score;
        if (how == How::kBestFit) {  // what is left, CPU and GPU of equal weight, over the largest node's
          std::int64_t gpu = 0;
          for (const std::int64_t card : m.cards) gpu += card;
          score = -0.5 * static_cast<double>(m.cpu) / 128'000 - 0.5 * static_cast<double>(gpu) / 8'000;
        } else if (how == How::kFgd) {  // as in the paper: the least growth of fragmentation
          score = fragmentation[n] - Fragmentation(m, popular);
        } else {  // as in the authors' scheduler plug-in: a sigmoid, rounded down to 0…100
          score = std::floor(100 / (1 + std::exp((Fragmentation(m, popular) - fragmentation[n]) / 1000)));
        }
        if (where == machines.size() || score > best_score) {  // of equals the first in the file
          best_score = score;
          best = m;
          where = n;
        }
      };
      if (!IsPart(a)) {
        std::int64_t left = a.gpu_milli;
        for (std::int64_t& card : after.cards) {
          if (left > 0 && card == kWholeCard) {
            card = 0;
            left -= kWholeCard;
          }
        }
        offer(after);
        continue;
      }
      std::size_t tightest = after.cards.size();
      for (std::size_t c = 0; c < after.cards.size(); ++c) {
        if (after.cards[c] < a.gpu_milli) continue;
        if (how == How::kBestFit) {
          if (tightest == after.cards.size() || after.cards[c] < after.cards[tightest]) tightest = c;
          continue;
        }
        bool seen = false;
        for (std::size_t d = 0; d < c; ++d) seen = seen || after.cards[d] == after.cards[c];
        if (seen) continue;
        Machine on = after;
        on.cards[c] -= a.gpu_milli;
        offer(on);
      }
      if (how == How::kBestFit) {
        after.cards[tightest] -= a.gpu_milli;
        offer(after);
      }
    }
    if (where == machines.size()) continue;
    machines[where] = best;
    fragmentation[where] = Fragmentation(best, popular);
    free -= a.gpu_milli;
  }
  return free;
}

std::int64_t RunOurs(const Openb& trace, const std::vector<Ask>& arrivals, const std::map<Ask, std::int64_t>& counts) {
  std::vector<UsualAsk> usual;
  for (const auto& [ask, count] : counts) usual.push_back({ask, count});
  Planner planner({}, usual);
  std::int64_t free = 0;
  for (const NodeFacts& n : trace.nodes) {
    planner.Add(n);
    free += static_cast<std::int64_t>(n.node.gpus.size()) * kWholeCard;
  }
  std::int64_t number = 0;
  for (const Ask& ask : arrivals) {
    WaitingGang gang;
    gang.id = ResourceId{std::to_string(++number)};
    gang.org = OrgId{"1"};
    gang.gang = {{1, ask}};
    planner.Add(gang);
    if (planner.Decide().starts.empty()) planner.Remove(gang.id);
    else free -= ask.amounts.gpu_milli;
  }
  return free;
}

}  // namespace

void RunOpenb(const std::string& folder) {
  std::printf("openb, unallocated GPUs of 6,212 when 1.3 × as many were asked for\n%-12s %5s %9s %9s %11s %9s %10s %7s %11s\n", "pods", "seed",
              "best fit", "FGD", "FGD plug-in", "ours", "÷ best fit", "÷ FGD", "÷ plug-in");
  for (const auto& [pods, seeds] : {std::pair("default", 5U), std::pair("gpushare100", 2U), std::pair("multigpu50", 2U)}) {
    const Openb trace = ReadOpenb(folder, pods);
    std::map<Ask, std::int64_t> counts;
    for (const Ask& ask : trace.pods) ++counts[ask];
    std::vector<Popular> popular;  // the most frequent that make up 95 % of the pods, as FGD takes them
    for (const auto& [ask, count] : counts) popular.push_back({ask.amounts, static_cast<double>(count)});
    std::stable_sort(popular.begin(), popular.end(), [](const Popular& a, const Popular& b) { return a.frequency > b.frequency; });
    double taken = 0;
    std::size_t kept = 0;
    while (kept < popular.size() && taken < 0.95 * static_cast<double>(trace.pods.size())) taken += popular[kept++].frequency;
    popular.resize(kept);
    for (Popular& p : popular) p.frequency /= taken;
    std::int64_t capacity = 0;
    for (const NodeFacts& n : trace.nodes) capacity += static_cast<std::int64_t>(n.node.gpus.size()) * kWholeCard;
    std::array<double, 4> sums{};
    for (unsigned seed = 1; seed <= seeds; ++seed) {
      std::mt19937 random(seed);
      std::vector<Ask> arrivals = trace.pods;
      for (std::size_t k = arrivals.size(); k > 1; --k) std::swap(arrivals[k - 1], arrivals[random() % k]);
      std::int64_t asked = 0;
      for (const Ask& ask : arrivals) asked += ask.amounts.gpu_milli;
      while (asked * 10 < capacity * 13) {
        arrivals.push_back(trace.pods[random() % trace.pods.size()]);
        asked += arrivals.back().amounts.gpu_milli;
      }
      const std::array<double, 4> free{static_cast<double>(RunBaseline(How::kBestFit, trace, arrivals, popular)) / kWholeCard,
                                       static_cast<double>(RunBaseline(How::kFgd, trace, arrivals, popular)) / kWholeCard,
                                       static_cast<double>(RunBaseline(How::kFgdPlugin, trace, arrivals, popular)) / kWholeCard,
                                       static_cast<double>(RunOurs(trace, arrivals, counts)) / kWholeCard};
      for (std::size_t k = 0; k < free.size(); ++k) sums[k] += free[k];
      std::printf("%-12s %5u %9.1f %9.1f %11.1f %9.1f %9.2f %6.2f %9.2f\n", pods, seed, free[0], free[1], free[2], free[3], free[3] / free[0],
                  free[3] / free[1], free[3] / free[2]);
      std::fflush(stdout);
    }
    std::printf("%-12s %5s %9.1f %9.1f %11.1f %9.1f %9.2f %6.2f %9.2f\n", pods, "mean", sums[0] / seeds, sums[1] / seeds, sums[2] / seeds,
                sums[3] / seeds, sums[3] / sums[0], sums[3] / sums[1], sums[3] / sums[2]);
  }
  std::printf("goals for default: 0.75 of best fit, 0.90 of FGD\n");
}

}  // namespace cml::bench
