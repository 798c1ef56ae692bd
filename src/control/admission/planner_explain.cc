// The planner's reasons: one true sentence for each who waits.
#include <fmt/format.h>

#include <algorithm>

#include "control/admission/planner.h"
#include "core/quantity.h"

namespace cml::control::admission {
namespace {

std::string Number(std::int64_t milli) {
  if (milli % kWholeCard != 0) return fmt::format("{:g}", static_cast<double>(milli) / kWholeCard);
  return fmt::format("{}", milli / kWholeCard);
}

// The amounts of those kinds in which `there` is less than `asked`, twice: asked and there. The second
// without its unit when there is but one: "4 GPUs", "2".
std::pair<std::string, std::string> Lacking(const Amounts& asked, const Amounts& there) {
  struct Kind {
    std::string want, have;
    const char* unit;
  };
  std::vector<Kind> kinds;
  const auto least0 = [](std::int64_t n) { return std::max<std::int64_t>(n, 0); };
  if (there.millicores < asked.millicores) {
    kinds.push_back({FormatCpu(asked.millicores), FormatCpu(least0(there.millicores)), " CPU"});
  }
  if (there.memory_bytes < asked.memory_bytes) {
    kinds.push_back({FormatMemory(asked.memory_bytes), FormatMemory(least0(there.memory_bytes)), " memory"});
  }
  if (there.gpu_milli < asked.gpu_milli) {
    kinds.push_back({Number(asked.gpu_milli), Number(least0(there.gpu_milli)), asked.gpu_milli > kWholeCard ? " GPUs" : " GPU"});
  }
  std::vector<std::string> want, have;
  for (const Kind& kind : kinds) {
    want.push_back(kind.want + kind.unit);
    have.push_back(kinds.size() == 1 ? kind.have : kind.have + kind.unit);
  }
  return {fmt::format("{}", fmt::join(want, ", ")), fmt::format("{}", fmt::join(have, ", "))};
}

std::string Asked(const Amounts& a) { return Lacking(a, {}).first; }

std::string Selector(const Ask& ask) {
  std::vector<std::string> labels;
  for (const auto& [key, value] : ask.selector) labels.push_back(key + "=" + value);
  return fmt::format("{}", fmt::join(labels, ","));
}

}  // namespace

// Of a gang that could never start: the first role that stands in the way.
WaitReason Planner::ReasonFor(Ix i, std::int64_t position) {
  const Job& j = job(i);
  Org& o = org(j.org);
  const Shape& s = shape(j.shape);
  const auto reason = [&](WaitKind kind, std::string sentence) {
    return WaitReason{j.id, kind, std::move(sentence), position};
  };
  if (nodes_.size() == 0) return reason(WaitKind::kNoRoom, "the cluster's nodes are not known yet");
  if (!Possible(j.shape)) {
    for (const NodeIndex::Part& role : s.roles) {
      const Ask& ask = nodes_.ask(role.ask);
      if (nodes_.Matching(role.ask) == 0) {
        if (!ask.selector.empty() && ask.gpu_model.empty()) {
          return reason(WaitKind::kNoSuchNode, fmt::format("no node has the label {}", Selector(ask)));
        }
        return reason(WaitKind::kNoSuchNode,
                      fmt::format("no node{}{} has a GPU {}", ask.selector.empty() ? "" : " with the label ",
                                  Selector(ask), ask.gpu_model));
      }
      const std::int64_t most = nodes_.MostOf(role.ask);
      if (most == 0) {
        const auto [want, have] = Lacking(ask.amounts, nodes_.LargestNode(role.ask));
        return reason(WaitKind::kNeverFits,
                      fmt::format("{} asked, but no node has more than {}: it cannot start here; delete it and ask for less",
                                  want, have));
      }
      if (most < role.replicas) {
        return reason(WaitKind::kNeverFits,
                      fmt::format("{} replicas with {} each asked, but all nodes together hold {}: it cannot start here; "
                                  "delete it and ask for less",
                                  role.replicas, Asked(ask.amounts), most));
      }
    }
    if (s.roles.empty()) return reason(WaitKind::kNeverFits, "it asks for no replica");
    if (s.total.Within(nodes_.total())) return reason(WaitKind::kNeverFits, "it asks for an amount that no replica can have");
    const auto [want, have] = Lacking(s.total, nodes_.total());
    return reason(WaitKind::kNeverFits,
                  fmt::format("{} asked by all roles together, but all nodes have {}: it cannot start here; delete it and ask for less",
                              want, have));
  }
  if (o.facts.quota) {
    const Amounts most = *o.facts.quota + (o.cohort >= 0 ? o.facts.borrow : Amounts{});
    if (!s.total.Within(most)) {
      const auto [want, have] = Lacking(s.total, most);
      return reason(WaitKind::kOverQuota,
                    fmt::format("{} asked, but the organisation may hold {} at most: ask for less, or for more quota", want, have));
    }
    if (!WithinQuota(j)) return reason(WaitKind::kQuota, QuotaSentence(j));
  }
  if (!FitsNow(j.shape)) return reason(WaitKind::kNoRoom, NoRoom(s));
  if (j.barred == round_) return reason(WaitKind::kPreempted, "has made room for a job whose turn it was; it starts again in its turn");
  return reason(WaitKind::kReserved, "what is free is kept for a job before it that has waited long");
}

std::string Planner::NoRoom(const Shape& s) {
  for (const NodeIndex::Part& role : s.roles) {
    const Ask& ask = nodes_.ask(role.ask);
    const std::int64_t fit = nodes_.FreeFor(role.ask);
    if (fit >= role.replicas) continue;
    if (role.replicas > 1) {
      return fmt::format("{} replicas with {} each asked, room for {}", role.replicas, Asked(ask.amounts), fit);
    }
    const auto [want, have] = Lacking(ask.amounts, nodes_.BestFree(role.ask));
    return fmt::format("{} asked, {} free{}", want, have, nodes_.size() > 1 ? " on the node with most" : "");
  }
  return fmt::format("{} asked for all roles together; there is room for each role, but not for all", Asked(s.total));
}

std::string Planner::QuotaSentence(const Job& j) {
  const Org& o = org(j.org);
  const Amounts& more = shape(j.shape).total;
  const Amounts most = *o.facts.quota + (o.cohort >= 0 ? o.facts.borrow : Amounts{});
  if (!(o.held + more).Within(most)) {
    const auto [want, have] = Lacking(more, most - o.held);
    return fmt::format("quota: {} asked, {} left of what the organisation may hold", want, have);
  }
  const Cohort& cohort = cohorts_[static_cast<std::size_t>(o.cohort)];
  const auto [want, have] = Lacking(more, cohort.quota - cohort.held);
  return fmt::format("quota: {} asked, {} left in cohort {}", want, have, o.facts.cohort);
}

WaitReason Planner::Explain(const ResourceId& id) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end() || job(it->second).where != Where::kWaiting) return {};
  std::int64_t position = 1;
  for (const auto& bucket : org(job(it->second).org).buckets) {
    for (const Ix other : bucket->jobs) {
      if (!Turn(other, it->second)) break;
      ++position;
    }
  }
  return ReasonFor(it->second, position);
}

std::vector<WaitReason> Planner::ExplainAll() {
  std::vector<WaitReason> reasons;
  for (const auto& o : orgs_) {
    std::vector<Ix> queue;
    for (const auto& bucket : o->buckets) queue.insert(queue.end(), bucket->jobs.begin(), bucket->jobs.end());
    std::sort(queue.begin(), queue.end(), [this](Ix a, Ix b) { return Turn(a, b); });
    for (std::size_t n = 0; n < queue.size(); ++n) reasons.push_back(ReasonFor(queue[n], static_cast<std::int64_t>(n) + 1));
  }
  std::sort(reasons.begin(), reasons.end(), [](const WaitReason& a, const WaitReason& b) { return a.id < b.id; });
  return reasons;
}

}  // namespace cml::control::admission
