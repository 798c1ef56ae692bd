// How fast the policy decides, on clusters that are made up: four makes of node, 32 kinds of gang, 20
// organisations; all numbers from fixed seeds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <random>

#include "control/admission/planner.h"
#include "simulator.h"

namespace cml::bench {
namespace {

using namespace control::admission;
using SteadyTime = std::chrono::steady_clock;

double Since(SteadyTime::time_point start) { return std::chrono::duration<double>(SteadyTime::now() - start).count(); }

std::vector<NodeFacts> MakeNodes(int count) {
  struct Make {
    int cards;
    std::int64_t cores, gib;
    const char* model;
  };
  static constexpr std::array<Make, 4> kMakes{{{8, 96, 384, "g2"}, {2, 104, 512, "t4"}, {8, 128, 768, "g3"}, {0, 64, 256, ""}}};
  std::vector<NodeFacts> nodes;
  for (int n = 0; n < count; ++n) {
    const Make& make = kMakes[n % 10 < 5 ? 0 : n % 10 < 8 ? 1 : n % 10 < 9 ? 2 : 3];
    NodeFacts node{{"node-" + std::to_string(n), make.cores * 1000, make.gib << 30, {}, {}}, NodeUse::kOpen};
    for (int g = 0; g < make.cards; ++g) node.node.gpus.push_back({g, make.model, ""});
    nodes.push_back(std::move(node));
  }
  return nodes;
}

// 32 kinds: parts of a card, one card, several, gangs of up to 16 replicas, CPU alone.
std::vector<GangAsk> MakeKinds() {
  std::vector<GangAsk> kinds;
  for (int k = 0; k < 32; ++k) {
    const std::int64_t cores = 2 + k % 7, gib = 4 + k % 11;
    std::int64_t gpu = kWholeCard, replicas = 1;
    if (k < 8) gpu = 100 + 100 * k;
    else if (k < 16) gpu = kWholeCard;
    else if (k < 20) gpu = 2 * kWholeCard;
    else if (k < 22) gpu = 4 * kWholeCard;
    else if (k < 24) gpu = 8 * kWholeCard;
    else if (k < 28) replicas = 2 << (k - 24);
    else gpu = 0;
    kinds.push_back({{replicas, {{cores * 1000, gib << 30, gpu}, "", {}}}});
  }
  return kinds;
}

SysTime At(std::int64_t seconds) { return SysTime{std::chrono::seconds{1'000'000 + seconds}}; }

template <class Gang>
Gang MakeGang(std::int64_t number, const GangAsk& kind, std::mt19937& random) {
  Gang g;
  g.id = ResourceId{std::to_string(1'000'000 + number)};
  g.org = OrgId{std::to_string(1 + random() % 20)};
  g.since = At(-static_cast<std::int64_t>(random() % 6000));  // some wait for long already
  g.gang = kind;
  g.preemptible = Preemptible::kYes;
  return g;
}

std::vector<UsualAsk> UsualOf(const std::vector<GangAsk>& kinds) {
  std::vector<UsualAsk> usual;
  for (const GangAsk& kind : kinds) usual.push_back({kind[0].ask, kind[0].replicas});
  return usual;
}

void Decisions(int nodes) {
  const std::vector<GangAsk> kinds = MakeKinds();
  Snapshot s;
  s.now = At(0);
  s.nodes = MakeNodes(nodes);
  s.usual = UsualOf(kinds);
  std::mt19937 random(1);
  std::int64_t asked = 0;
  while (asked < nodes * 4) {  // some three quarters of the GPUs
    const GangAsk& kind = kinds[random() % kinds.size()];
    s.waiting.push_back(MakeGang<WaitingGang>(static_cast<std::int64_t>(s.waiting.size()), kind, random));
    asked += kind[0].replicas;
  }
  auto start = SteadyTime::now();
  const Plan plan = PlanAdmission(s);
  const double pure = Since(start);
  Planner planner({}, s.usual);
  for (const NodeFacts& n : s.nodes) planner.Add(n);
  planner.Advance(s.now);
  for (const WaitingGang& g : s.waiting) planner.Add(g);
  start = SteadyTime::now();
  const Planner::Decision decision = planner.Decide();
  const double indexed = Since(start);
  std::size_t replicas = 0;
  for (const Start& st : decision.starts) replicas += st.placements.size();
  std::printf("%7d nodes: %zu gangs waiting, %zu started, %zu replicas: planner %.0f replicas/s; pure function with its index from nothing %.0f replicas/s\n",
              nodes, s.waiting.size(), decision.starts.size(), replicas, static_cast<double>(replicas) / indexed,
              static_cast<double>(replicas) / pure);
  if (plan.starts.size() != decision.starts.size()) std::printf("error: they differ\n");
}

void NextDecision(int nodes, std::size_t waiting, Seek seek) {
  const std::vector<GangAsk> kinds = MakeKinds();
  Planner planner({}, UsualOf(kinds));
  for (const NodeFacts& n : MakeNodes(nodes)) planner.Add(n);
  std::mt19937 random(2);
  std::int64_t number = 0;
  std::vector<ResourceId> running;
  planner.Advance(At(0));
  // Single cards until none is left, then the rest of the kinds, until so many wait.
  const GangAsk& one = kinds[8];
  while (planner.waiting() < 1000) {
    for (int k = 0; k < 1000; ++k) planner.Add(MakeGang<WaitingGang>(++number, one, random));
    for (const Start& s : planner.Decide(Seek::kFreeRoom).starts) running.push_back(s.id);
  }
  while (planner.waiting() < waiting) planner.Add(MakeGang<WaitingGang>(++number, kinds[random() % kinds.size()], random));
  for (const Start& s : planner.Decide(Seek::kFreeRoom).starts) running.push_back(s.id);
  std::vector<double> times;
  std::int64_t now = 0;
  std::size_t started = 0;
  for (int round = 0; round < (seek == Seek::kPreemption ? 300 : 3000); ++round) {
    planner.Advance(At(++now));
    while (planner.waiting() < waiting) planner.Add(MakeGang<WaitingGang>(++number, kinds[random() % kinds.size()], random));
    planner.Decide(Seek::kFreeRoom);
    const std::size_t ends = random() % running.size();
    const ResourceId id = running[ends];
    running[ends] = running.back();
    running.pop_back();
    const auto start = SteadyTime::now();
    planner.Remove(id);
    const Planner::Decision decision = planner.Decide(seek);
    times.push_back(Since(start) * 1e6);
    started += decision.starts.size();
    for (const Start& s : decision.starts) running.push_back(s.id);
  }
  std::sort(times.begin(), times.end());
  std::printf("%7d nodes, %zu waiting, one gang ends%s: next decision p50 %.1f µs, p99 %.1f µs (%zu started in %zu rounds)\n", nodes,
              planner.waiting(), seek == Seek::kPreemption ? ", preemption sought too" : "", times[times.size() / 2], times[times.size() * 99 / 100], started, times.size());
}

}  // namespace

void RunSpeed() {
  Decisions(10'000);
  Decisions(100'000);
  NextDecision(1'000, 10'000, Seek::kFreeRoom);
  NextDecision(10'000, 10'000, Seek::kFreeRoom);
  NextDecision(1'000, 10'000, Seek::kPreemption);
  std::printf("goals: 100,000 replicas/s with 10,000 nodes, 50,000 with 100,000 nodes; 50 µs for the next decision\n");
}

}  // namespace cml::bench
