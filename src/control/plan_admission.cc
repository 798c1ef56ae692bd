#include "control/plan_admission.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/quantity.h"

namespace cml::control {
namespace {

bool Matches(const Node& node, const WaitingJob& job) {
  if (job.selector_key.empty()) return true;
  const auto it = node.labels.find(job.selector_key);
  return it != node.labels.end() && it->second == job.selector_value;
}

struct Free {
  std::int64_t millicores = 0, memory = 0, gpus = 0;
};
Free FreeOf(const NodeUse& n) {
  return {n.node.millicores - n.millicores_used, n.node.memory_bytes - n.memory_used,
          static_cast<std::int64_t>(n.node.gpus.size() - n.gpus_used.size())};
}

// What the first job that did not fit lacks; those behind it may not take of it.
struct Held {
  bool millicores = false, memory = false, gpus = false;
};

bool Touches(const Held& held, const Limits& ask) {
  return (held.millicores && ask.millicores > 0) || (held.memory && ask.memory_bytes > 0) ||
         (held.gpus && ask.gpus > 0);
}

std::string Amounts(std::int64_t millicores, std::int64_t memory, std::int64_t gpus, const Limits& of) {
  std::vector<std::string> parts;
  if (of.millicores > 0) parts.push_back(FormatCpu(millicores) + " CPU");
  if (of.memory_bytes > 0) parts.push_back(FormatMemory(memory) + " memory");
  if (of.gpus > 0) parts.push_back(fmt::format("{} GPU{}", gpus, gpus == 1 ? "" : "s"));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Why the job fits on no node now, or ever. Also tells what it lacks on the node that suits it best.
std::string WhyNot(const std::vector<NodeUse>& nodes, const WaitingJob& job, Held& lacks) {
  const NodeUse* best = nullptr;
  bool matched = false, ever = false;
  Limits lacking;
  for (const NodeUse& n : nodes) {
    if (!Matches(n.node, job)) continue;
    matched = true;
    if (n.node.millicores < job.ask.millicores || n.node.memory_bytes < job.ask.memory_bytes ||
        static_cast<std::int64_t>(n.node.gpus.size()) < job.ask.gpus) {
      if (!best) best = &n;
      continue;
    }
    if (!ever) best = &n;
    ever = true;
  }
  if (!matched) {
    return fmt::format("no node has the label {}={}", job.selector_key, job.selector_value);
  }
  if (!ever) {
    const auto gpus = static_cast<std::int64_t>(best->node.gpus.size());
    Limits of;
    if (best->node.millicores < job.ask.millicores) of.millicores = 1;
    if (best->node.memory_bytes < job.ask.memory_bytes) of.memory_bytes = 1;
    if (gpus < job.ask.gpus) of.gpus = 1;
    return fmt::format("{} asked, but no node has more than {}: it cannot start here; delete it and "
                       "ask for less",
                       Amounts(job.ask.millicores, job.ask.memory_bytes, job.ask.gpus, of),
                       Amounts(best->node.millicores, best->node.memory_bytes, gpus, of));
  }
  const Free free = FreeOf(*best);
  lacks.millicores = free.millicores < job.ask.millicores;
  lacks.memory = free.memory < job.ask.memory_bytes;
  lacks.gpus = free.gpus < job.ask.gpus;
  lacking.millicores = lacks.millicores ? 1 : 0;
  lacking.memory_bytes = lacks.memory ? 1 : 0;
  lacking.gpus = lacks.gpus ? 1 : 0;
  return fmt::format("{} asked, {} free",
                     Amounts(job.ask.millicores, job.ask.memory_bytes, job.ask.gpus, lacking),
                     Amounts(free.millicores, free.memory, free.gpus, lacking));
}

}  // namespace

Placement TryPlace(NodeUse& n, const Limits& ask) {
  const Free free = FreeOf(n);
  if (free.millicores < ask.millicores || free.memory < ask.memory_bytes || free.gpus < ask.gpus) {
    return {};
  }
  Placement placement{n.node.name, {}};
  for (const Gpu& gpu : n.node.gpus) {
    if (static_cast<std::int64_t>(placement.gpus.size()) == ask.gpus) break;
    if (std::find(n.gpus_used.begin(), n.gpus_used.end(), gpu.index) == n.gpus_used.end()) {
      placement.gpus.push_back(gpu.index);
    }
  }
  n.millicores_used += ask.millicores;
  n.memory_used += ask.memory_bytes;
  n.gpus_used.insert(n.gpus_used.end(), placement.gpus.begin(), placement.gpus.end());
  return placement;
}

namespace {

// All replicas, or none and the nodes as they were.
std::vector<Placement> PlaceAll(std::vector<NodeUse>& nodes, const WaitingJob& job) {
  const std::vector<Limits> one = {job.ask};
  const std::vector<Limits>& asks = job.replicas.empty() ? one : job.replicas;
  std::vector<Placement> placements;
  const std::vector<NodeUse> before = asks.size() > 1 ? nodes : std::vector<NodeUse>{};
  for (const Limits& ask : asks) {
    Placement placement;
    for (NodeUse& n : nodes) {
      if (!Matches(n.node, job)) continue;
      placement = TryPlace(n, ask);
      if (!placement.node.empty()) break;
    }
    if (placement.node.empty()) {
      if (asks.size() > 1) nodes = before;
      return {};
    }
    placements.push_back(std::move(placement));
  }
  return placements;
}

}  // namespace

AdmissionPlan PlanAdmission(std::vector<NodeUse> nodes, const std::vector<WaitingJob>& waiting) {
  AdmissionPlan plan;
  Held held;
  std::size_t before = 0;  // jobs that wait
  for (const WaitingJob& job : waiting) {
    if (Touches(held, job.ask)) {
      plan.reasons[job.id] =
          before == 1 ? "1 job before it in the queue waits for the same"
                      : fmt::format("{} jobs before it in the queue wait for the same", before);
      ++before;
      continue;
    }
    if (auto placements = PlaceAll(nodes, job); !placements.empty()) {
      plan.starts.push_back({job.id, std::move(placements)});
      continue;
    }
    Held lacks;
    plan.reasons[job.id] = WhyNot(nodes, job, lacks);
    if (lacks.millicores || lacks.memory || lacks.gpus) {  // a job that can never start holds nobody back
      held = {held.millicores || lacks.millicores, held.memory || lacks.memory, held.gpus || lacks.gpus};
      ++before;
    }
  }
  return plan;
}

}  // namespace cml::control
