// How much of what is where: for reservations, preemption and reasons.
#include <algorithm>
#include <limits>
#include <tuple>

#include "control/admission/nodes.h"

namespace cml::control::admission {

std::int64_t NodeIndex::Replicas(const NodeState& n, const Ask& ask, bool empty) const {
  const Group& group = group_of(n);
  std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const std::int64_t cpu = empty ? group.cpu : n.cpu, memory = empty ? group.memory : n.memory;
  if (ask.amounts.millicores > 0) most = std::min(most, std::max<std::int64_t>(cpu, 0) / ask.amounts.millicores);
  if (ask.amounts.memory_bytes > 0) most = std::min(most, std::max<std::int64_t>(memory, 0) / ask.amounts.memory_bytes);
  if (ask.amounts.gpu_milli > 0) {
    std::int64_t by_cards = 0;
    for (std::size_t c = 0; c < n.card_index.size(); ++c) {
      if (!ask.gpu_model.empty() && group.models[c] != ask.gpu_model) continue;
      const std::int64_t card = empty ? kWholeCard : cards_[n.first_card + c];
      by_cards += IsPart(ask) ? card / ask.amounts.gpu_milli : card / kWholeCard;
    }
    most = std::min(most, IsPart(ask) ? by_cards : by_cards / WholeOf(ask));
  }
  return most;
}

std::int64_t NodeIndex::ReplicasWith(std::int32_t node, const Amounts& more, AskIx a) const {
  const NodeState& n = at(node);
  const Ask& wanted = ask(a);
  if (!n.open || !Suits(group_of(n), wanted) || !HasLabels(n, wanted)) return 0;
  if (more == Amounts{}) return Replicas(n, wanted, false);
  // An upper bound where cards are shared or of several models.
  std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const Amounts& each = wanted.amounts;
  if (each.millicores > 0) most = std::min(most, std::max<std::int64_t>(n.cpu + more.millicores, 0) / each.millicores);
  if (each.memory_bytes > 0) most = std::min(most, std::max<std::int64_t>(n.memory + more.memory_bytes, 0) / each.memory_bytes);
  if (each.gpu_milli > 0) {
    std::int64_t gpu = more.gpu_milli;
    for (std::size_t c = 0; c < n.card_index.size(); ++c) gpu += cards_[n.first_card + c];
    most = std::min(most, gpu / each.gpu_milli);
  }
  return most;
}

std::int64_t NodeIndex::Matching(AskIx a) const {
  const Ask& wanted = ask(a);
  return std::count_if(nodes_.begin(), nodes_.end(), [&](const NodeState& n) {
    const Group& group = group_of(n);
    const bool model = wanted.gpu_model.empty() ||
                       std::find(group.models.begin(), group.models.end(), wanted.gpu_model) != group.models.end();
    return n.open && model && HasLabels(n, wanted);
  });
}

std::int64_t NodeIndex::MostOf(AskIx a) const {
  std::int64_t sum = 0;
  for (const NodeState& n : nodes_) {
    if (n.open && HasLabels(n, ask(a))) sum += Replicas(n, ask(a), true);
  }
  return sum;
}

bool NodeIndex::Possible(AskIx a, std::int64_t replicas) const {
  const Interned& interned = asks_[static_cast<std::size_t>(a)];
  for (const std::int32_t g : interned.groups) {
    for (const Ordered& alike : groups_[static_cast<std::size_t>(g)].by_whole) {
      if (alike.empty()) continue;
      const std::int64_t each = Replicas(at(alike.begin()->node), interned.ask, true);
      if (interned.ask.selector.empty()) {
        replicas -= each * static_cast<std::int64_t>(alike.size());
      } else {
        for (auto it = alike.begin(); it != alike.end() && replicas > 0; ++it) {
          if (HasLabels(at(it->node), interned.ask)) replicas -= each;
        }
      }
      if (replicas <= 0) return true;
    }
  }
  return replicas <= 0;
}

std::int64_t NodeIndex::FreeFor(AskIx a) const {
  std::int64_t sum = 0;
  for (const NodeState& n : nodes_) {
    if (n.open && HasLabels(n, ask(a))) sum += Replicas(n, ask(a), false);
  }
  return sum;
}

namespace {
// How many of the three kinds suffice; the node where most do comes closest.
int Enough(const Amounts& there, const Amounts& asked) {
  return (there.millicores >= asked.millicores ? 1 : 0) + (there.memory_bytes >= asked.memory_bytes ? 1 : 0) +
         (there.gpu_milli >= asked.gpu_milli ? 1 : 0);
}
}  // namespace

Amounts NodeIndex::LargestNode(AskIx a) const {
  const Ask& wanted = ask(a);
  Amounts best;
  int enough = -1;
  for (const NodeState& n : nodes_) {
    if (!n.open || !HasLabels(n, wanted)) continue;
    const Group& group = group_of(n);
    const Amounts there{group.cpu, group.memory,
                        kWholeCard * std::count_if(group.models.begin(), group.models.end(), [&](const auto& m) {
                          return wanted.gpu_model.empty() || m == wanted.gpu_model;
                        })};
    const int now = Enough(there, wanted.amounts);
    if (now > enough || (now == enough && best < there)) {
      best = there;
      enough = now;
    }
  }
  return best;
}

Amounts NodeIndex::BestFree(AskIx a) const {
  const Ask& wanted = ask(a);
  Amounts best;
  int enough = -1;
  for (const NodeState& n : nodes_) {
    if (!n.open || !HasLabels(n, wanted) || !Suits(group_of(n), wanted)) continue;
    Amounts there{n.cpu, n.memory, 0};
    for (std::size_t c = 0; c < n.card_index.size(); ++c) {
      if (!wanted.gpu_model.empty() && group_of(n).models[c] != wanted.gpu_model) continue;
      const std::int64_t card = cards_[n.first_card + c];
      if (IsPart(wanted)) there.gpu_milli = std::max(there.gpu_milli, card);
      else there.gpu_milli += card / kWholeCard * kWholeCard;
    }
    const int now = Enough(there, wanted.amounts);
    const auto gpus_first = [](const Amounts& x) { return std::tuple(x.gpu_milli, x.millicores, x.memory_bytes); };
    if (now > enough || (now == enough && gpus_first(best) < gpus_first(there))) {
      best = there;
      enough = now;
    }
  }
  return best;
}

Reservation NodeIndex::Choose(std::vector<Part> gang) const {
  std::vector<const NodeState*> found;
  bool gpus = false;
  std::int64_t all = 0;
  for (const Part& part : gang) all += part.replicas;
  for (const Part& part : gang) {
    const Interned& interned = asks_[static_cast<std::size_t>(part.ask)];
    gpus = gpus || interned.ask.amounts.gpu_milli > 0;
    for (const std::int32_t g : interned.groups) {
      const Group& group = groups_[static_cast<std::size_t>(g)];
      for (std::size_t w = group.by_whole.size(); w-- > 0;) {
        std::int64_t left = all;  // the other roles may take some of the same nodes
        for (auto it = group.by_whole[w].rbegin(); it != group.by_whole[w].rend() && left > 0; ++it) {
          const NodeState& n = at(it->node);
          if (n.reservation >= 0 || !HasLabels(n, interned.ask)) continue;
          found.push_back(&n);
          --left;
        }
      }
    }
  }
  std::sort(found.begin(), found.end(), [&](const NodeState* x, const NodeState* y) {
    if (gpus && x->whole != y->whole) return x->whole > y->whole;
    if (x->cpu != y->cpu) return x->cpu > y->cpu;
    return x->hash != y->hash ? x->hash < y->hash : x->name < y->name;
  });
  found.erase(std::unique(found.begin(), found.end()), found.end());
  Reservation reservation;
  std::int64_t left = all;
  for (const NodeState* n : found) {
    if (left == 0) break;
    const Group& group = group_of(*n);
    Amounts there{group.cpu, group.memory, static_cast<std::int64_t>(group.models.size()) * kWholeCard};
    Reservation::Part kept{by_name_.find(n->name)->second, {}};
    for (Part& part : gang) {
      const Ask& wanted = ask(part.ask);
      if (part.replicas == 0 || !Suits(group, wanted) || !HasLabels(*n, wanted)) continue;
      std::int64_t here = std::min(part.replicas, Replicas(*n, wanted, true));
      while (here > 0 && !(wanted.amounts * here).Within(there)) --here;
      kept.keep += wanted.amounts * here;
      there -= wanted.amounts * here;
      part.replicas -= here;
      left -= here;
    }
    if (kept.keep != Amounts{}) reservation.parts.push_back(kept);
  }
  return left > 0 ? Reservation{} : reservation;
}

}  // namespace cml::control::admission
