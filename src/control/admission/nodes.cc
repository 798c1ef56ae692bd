#include "control/admission/nodes.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace cml::control::admission {
namespace {

constexpr int kCandidates = 4;  // of nodes that are alike but for their free CPU

// FNV-1a: ties between nodes are broken the same way on every machine.
std::uint64_t Hash(const std::string& s) {
  std::uint64_t h = 14695981039346656037ULL;
  for (const char c : s) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return h;
}

}  // namespace

const Reservation NodeIndex::kAll;

struct NodeIndex::Offer {
  std::int32_t node = -1;
  std::uint64_t cards = 0;
  std::int64_t loss = std::numeric_limits<std::int64_t>::max();
  std::uint32_t whole = 0;
  std::int64_t cpu = 0;
};

void NodeIndex::SetUsual(std::vector<UsualAsk> usual) {
  std::erase_if(usual, [](const UsualAsk& u) { return u.ask.amounts.gpu_milli <= 0 || u.count <= 0; });
  std::sort(usual.begin(), usual.end(), [](const UsualAsk& a, const UsualAsk& b) {
    return a.count != b.count ? a.count > b.count : a.ask < b.ask;
  });
  if (usual.size() > kMostUsual) usual.resize(kMostUsual);
  for (UsualAsk& u : usual) {
    Usual kind;
    const Amounts& a = u.ask.amounts;
    kind.count = u.count;
    kind.weight = u.count * a.gpu_milli;
    kind.per_cpu = a.millicores > 0 ? 1.0 / static_cast<double>(a.millicores) : 1;
    kind.per_memory = a.memory_bytes > 0 ? 1.0 / static_cast<double>(a.memory_bytes) : 1;
    if (IsPart(u.ask)) {
      kind.per_card.resize(kWholeCard + 1);
      for (std::size_t free = 0; free < kind.per_card.size(); ++free) {
        kind.per_card[free] = static_cast<std::uint16_t>(static_cast<std::int64_t>(free) / a.gpu_milli);
      }
    }
    kind.ask = std::move(u.ask);
    usual_.push_back(std::move(kind));
  }
}

bool NodeIndex::Suits(const Group& group, const Ask& ask) const {
  if (group.cpu < ask.amounts.millicores || group.memory < ask.amounts.memory_bytes) return false;
  const auto cards = std::count_if(group.models.begin(), group.models.end(), [&](const std::string& model) {
    return ask.gpu_model.empty() || ask.gpu_model == model;
  });
  return cards * kWholeCard >= ask.amounts.gpu_milli;
}

std::int32_t NodeIndex::GroupFor(const Node& node) {
  std::vector<std::string> models;
  for (const Gpu& gpu : node.gpus) {
    if (models.size() < kMostCards) models.push_back(gpu.model);
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    if (group.cpu == node.millicores && group.memory == node.memory_bytes && group.models == models) {
      return static_cast<std::int32_t>(g);
    }
  }
  Group group;
  group.cpu = node.millicores;
  group.memory = node.memory_bytes;
  group.by_whole.resize(models.size() + 1);
  group.models = std::move(models);
  for (const Usual& u : usual_) group.usual.push_back(Suits(group, u.ask) ? 1 : 0);
  const auto ix = static_cast<std::int32_t>(groups_.size());
  for (Interned& a : asks_) {
    if (Suits(group, a.ask)) a.groups.push_back(ix);
  }
  groups_.push_back(std::move(group));
  return ix;
}

void NodeIndex::Add(const NodeFacts& facts) {
  const auto ix = static_cast<std::int32_t>(nodes_.size());
  if (!by_name_.emplace(facts.node.name, ix).second) return;
  NodeState n;
  n.name = facts.node.name;
  n.hash = Hash(n.name);
  n.group = GroupFor(facts.node);
  n.open = facts.use == NodeUse::kOpen;
  n.cpu = facts.node.millicores;
  n.memory = facts.node.memory_bytes;
  n.first_card = static_cast<std::uint32_t>(cards_.size());
  for (const Gpu& gpu : facts.node.gpus) {
    if (n.card_index.size() == kMostCards) break;
    n.card_index.push_back(gpu.index);
    cards_.push_back(static_cast<std::int16_t>(kWholeCard));
  }
  n.whole = static_cast<std::uint32_t>(n.card_index.size());
  n.labels = facts.node.labels;
  nodes_.push_back(std::move(n));
  per_usual_.resize(per_usual_.size() + usual_.size());
  Reroom(ix);
  const NodeState& added = at(ix);
  if (!added.open) return;
  const Amounts amounts{added.cpu, added.memory, added.whole * kWholeCard};
  total_ += amounts;
  free_ += amounts;
  // The name's address must outlive moves of nodes_: the key of the map by name is stable.
  group_of(added).by_whole[added.whole].insert({added.cpu, added.hash, ix, &by_name_.find(added.name)->first});
}

NodeIndex::AskIx NodeIndex::Intern(const Ask& ask) {
  const auto [it, fresh] = ask_ix_.emplace(ask, static_cast<AskIx>(asks_.size()));
  if (fresh) {
    Interned interned{ask, {}};
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      if (Suits(groups_[g], ask)) interned.groups.push_back(static_cast<std::int32_t>(g));
    }
    asks_.push_back(std::move(interned));
  }
  return it->second;
}

bool NodeIndex::HasLabels(const NodeState& n, const Ask& ask) const {
  return std::all_of(ask.selector.begin(), ask.selector.end(), [&](const auto& wanted) {
    const auto it = n.labels.find(wanted.first);
    return it != n.labels.end() && it->second == wanted.second;
  });
}

bool NodeIndex::CardsFit(const NodeState& n, const Ask& ask) const {
  if (ask.amounts.gpu_milli <= 0) return true;
  if (ask.gpu_model.empty()) {
    if (!IsPart(ask)) return n.whole >= WholeOf(ask);
    return n.whole > 0 || n.partial >= ask.amounts.gpu_milli;
  }
  const Group& group = group_of(n);
  std::uint32_t fitting = 0;
  const std::int64_t least = IsPart(ask) ? ask.amounts.gpu_milli : kWholeCard;
  for (std::size_t c = 0; c < n.card_index.size(); ++c) {
    if (cards_[n.first_card + c] >= least && group.models[c] == ask.gpu_model) ++fitting;
  }
  return fitting >= std::max<std::uint32_t>(1, WholeOf(ask));
}

bool NodeIndex::Fits(std::int32_t node, AskIx a) const {
  const NodeState& n = at(node);
  const Ask& wanted = ask(a);
  return n.open && n.cpu >= wanted.amounts.millicores && n.memory >= wanted.amounts.memory_bytes &&
         CardsFit(n, wanted) && HasLabels(n, wanted);
}

bool NodeIndex::SpotFree(const Spot& spot, AskIx a) const {
  if (spot.node < 0) return true;
  const NodeState& n = at(spot.node);
  const Ask& wanted = ask(a);
  if (n.cpu < wanted.amounts.millicores || n.memory < wanted.amounts.memory_bytes) return false;
  const std::int64_t each = IsPart(wanted) ? wanted.amounts.gpu_milli : kWholeCard;
  for (std::uint64_t left = spot.cards; left != 0; left &= left - 1) {
    if (cards_[n.first_card + static_cast<unsigned>(std::countr_zero(left))] < each) return false;
  }
  return true;
}

Amounts NodeIndex::FreeOn(const NodeState& n) const { return {n.cpu, n.memory, n.whole * kWholeCard}; }

bool NodeIndex::MayUse(const NodeState& n, const Ask& ask, const Reservation* owner) const {
  if (n.reservation < 0 || owner == &kAll) return true;
  const Reservation* reservation = reservations_[static_cast<std::size_t>(n.reservation)];
  if (reservation == owner) return true;
  const auto part = std::find_if(reservation->parts.begin(), reservation->parts.end(),
                                 [&](const Reservation::Part& p) { return &at(p.node) == &n; });
  const Amounts& keep = part->keep;
  const Amounts free = FreeOn(n);
  // Of what is lacking nothing; of what is there, what is left over.
  const auto spare = [](std::int64_t there, std::int64_t kept, std::int64_t asked) {
    return asked == 0 || kept == 0 || there - asked >= kept;
  };
  const std::int64_t cards = (ask.amounts.gpu_milli + kWholeCard - 1) / kWholeCard * kWholeCard;
  return spare(free.millicores, keep.millicores, ask.amounts.millicores) &&
         spare(free.memory_bytes, keep.memory_bytes, ask.amounts.memory_bytes) &&
         spare(free.gpu_milli, keep.gpu_milli, cards);
}

std::uint64_t NodeIndex::FirstCards(const NodeState& n, const Ask& ask) const {
  const Group& group = group_of(n);
  std::uint64_t cards = 0;
  std::uint32_t left = WholeOf(ask);
  for (std::size_t c = 0; c < n.card_index.size() && left > 0; ++c) {
    if (cards_[n.first_card + c] < kWholeCard) continue;
    if (!ask.gpu_model.empty() && group.models[c] != ask.gpu_model) continue;
    cards |= std::uint64_t{1} << c;
    --left;
  }
  return cards;
}

std::int64_t NodeIndex::RoomAfter(std::int32_t node, const Ask& ask, std::uint64_t cards) const {
  const NodeState& n = at(node);
  const Group& group = group_of(n);
  const double cpu = static_cast<double>(n.cpu - ask.amounts.millicores) + 1e-3;
  const double memory = static_cast<double>(n.memory - ask.amounts.memory_bytes) + 1e-3;
  const auto taken = static_cast<std::int32_t>(std::popcount(cards));
  const bool part = IsPart(ask);
  std::size_t before = 0, after = 0;
  bool was_whole = false;
  if (part) {
    const std::int16_t free = cards_[n.first_card + static_cast<unsigned>(std::countr_zero(cards))];
    before = static_cast<std::size_t>(free);
    after = static_cast<std::size_t>(free - ask.amounts.gpu_milli);
    was_whole = free == kWholeCard;
  }
  const std::int64_t free = n.free_cards - (part ? ask.amounts.gpu_milli : taken * kWholeCard);
  const std::int64_t odd = free - kWholeCard * (n.whole - (part ? (was_whole ? 1U : 0U) : static_cast<std::uint32_t>(taken)));
  std::int64_t room = 0;
  const std::size_t first = static_cast<std::size_t>(node) * usual_.size();
  for (std::size_t u = 0; u < usual_.size(); ++u) {
    if (!group.usual[u]) continue;
    const Usual& usual = usual_[u];
    std::int32_t by_cards = per_usual_[first + u].replicas;
    std::int64_t useless = odd;  // what is free on cards that it cannot use
    if (!usual.per_card.empty()) {
      by_cards -= part ? usual.per_card[before] - usual.per_card[after] : taken * usual.per_card[kWholeCard];
      useless = per_usual_[first + u].useless;
      if (part && usual.per_card[before] == 0) useless -= static_cast<std::int64_t>(before);
      if (part && usual.per_card[after] == 0) useless += static_cast<std::int64_t>(after);
    } else if (!part || was_whole) {
      const auto each = static_cast<std::int32_t>(WholeOf(usual.ask));
      by_cards = (static_cast<std::int32_t>(n.whole) - taken) / each;
    }
    if (by_cards <= 0) {
      room -= usual.count * free;
      continue;
    }
    const auto by_cpu = static_cast<std::int32_t>(std::min(cpu * usual.per_cpu, 1e6));
    const auto by_memory = static_cast<std::int32_t>(std::min(memory * usual.per_memory, 1e6));
    const std::int32_t replicas = std::min({by_cards, by_cpu, by_memory});
    room += replicas > 0 ? usual.weight * replicas - usual.count * useless : -usual.count * free;
  }
  return room;
}

void NodeIndex::Reroom(std::int32_t node) {
  NodeState& n = at(node);
  const std::size_t first = static_cast<std::size_t>(node) * usual_.size();
  for (std::size_t u = 0; u < usual_.size(); ++u) {
    const Usual& usual = usual_[u];
    OnCards on;
    if (usual.per_card.empty()) {
      on.replicas = static_cast<std::int32_t>(n.whole / WholeOf(usual.ask));
    } else {
      for (std::size_t c = 0; c < n.card_index.size(); ++c) {
        const auto free = static_cast<std::size_t>(std::max<std::int16_t>(cards_[n.first_card + c], 0));
        on.replicas += usual.per_card[free];
        if (usual.per_card[free] == 0) on.useless += static_cast<std::int32_t>(free);
      }
    }
    per_usual_[first + u] = on;
  }
  n.free_cards = 0;
  for (std::size_t c = 0; c < n.card_index.size(); ++c) n.free_cards += std::max<std::int16_t>(cards_[n.first_card + c], 0);
  n.room = RoomAfter(node, Ask{}, 0);
}

void NodeIndex::Consider(std::int32_t node, const Ask& ask, Offer& offer) const {
  const NodeState& n = at(node);
  const auto better = [&](std::uint64_t cards, std::uint32_t whole) {
    const std::int64_t loss = usual_.empty() ? 0 : n.room - RoomAfter(node, ask, cards);
    const std::int64_t cpu = n.cpu - ask.amounts.millicores;
    if (offer.node >= 0) {
      if (loss != offer.loss) {
        if (loss > offer.loss) return;
      } else if (whole != offer.whole) {
        if (whole > offer.whole) return;
      } else if (cpu != offer.cpu) {
        if (cpu > offer.cpu) return;
      } else {
        const NodeState& o = at(offer.node);
        if (n.hash != o.hash ? n.hash > o.hash : n.name >= o.name) return;
      }
    }
    offer = {node, cards, loss, whole, cpu};
  };
  if (!IsPart(ask)) {
    better(FirstCards(n, ask), n.whole - WholeOf(ask));
    return;
  }
  const Group& group = group_of(n);
  std::uint64_t seen_low = 0;  // whole cards are alike, so is a value that was just seen
  std::int16_t last = -1;
  for (std::size_t c = 0; c < n.card_index.size(); ++c) {
    const std::int16_t free = cards_[n.first_card + c];
    if (free < ask.amounts.gpu_milli || free == last) continue;
    if (!ask.gpu_model.empty() && group.models[c] != ask.gpu_model) continue;
    if (free == kWholeCard && seen_low++ > 0) continue;
    last = free;
    better(std::uint64_t{1} << c, n.whole - (free == kWholeCard ? 1U : 0U));
  }
}

Spot NodeIndex::Place(AskIx a, const Reservation* owner) {
  const Interned& interned = asks_[static_cast<std::size_t>(a)];
  const Ask& wanted = interned.ask;
  if (!wanted.amounts.Within(free_)) return {};
  Offer offer;
  const bool part = IsPart(wanted);
  for (const std::int32_t g : interned.groups) {
    const Group& group = groups_[static_cast<std::size_t>(g)];
    if (part) {
      int found = 0;
      for (auto it = group.by_partial.lower_bound({wanted.amounts.gpu_milli, 0, 0, nullptr});
           it != group.by_partial.end() && found < 4 * kCandidates; ++it) {
        if (!Fits(it->node, a) || !MayUse(at(it->node), wanted, owner)) continue;
        Consider(it->node, wanted, offer);
        ++found;
      }
    }
    const std::size_t least = part ? 1 : WholeOf(wanted);
    for (std::size_t whole = least; whole < group.by_whole.size(); ++whole) {
      const Ordered& alike = group.by_whole[whole];
      int found = 0;
      for (auto it = alike.lower_bound({wanted.amounts.millicores, 0, 0, nullptr});
           it != alike.end() && found < kCandidates; ++it) {
        if (!Fits(it->node, a) || !MayUse(at(it->node), wanted, owner)) continue;
        Consider(it->node, wanted, offer);
        ++found;
      }
    }
  }
  if (offer.node < 0) return {};
  const Spot spot{offer.node, offer.cards};
  Take(spot, a);
  return spot;
}

void NodeIndex::Change(const Spot& spot, const Ask& ask, std::int64_t sign) {
  NodeState& n = at(spot.node);
  Group& group = group_of(n);
  const Key before{n.cpu, n.hash, spot.node, nullptr};
  const std::uint32_t whole_before = n.whole;
  const std::int32_t partial_before = n.partial;
  n.cpu -= sign * ask.amounts.millicores;
  n.memory -= sign * ask.amounts.memory_bytes;
  const std::int64_t each = IsPart(ask) ? ask.amounts.gpu_milli : kWholeCard;
  if (spot.cards != 0) {
    for (std::uint64_t left = spot.cards; left != 0; left &= left - 1) {
      auto& card = cards_[n.first_card + static_cast<unsigned>(std::countr_zero(left))];
      card = static_cast<std::int16_t>(card - sign * each);
    }
    n.whole = 0;
    n.partial = 0;
    for (std::size_t c = 0; c < n.card_index.size(); ++c) {
      const std::int16_t card = cards_[n.first_card + c];
      if (card >= kWholeCard) ++n.whole;
      else n.partial = std::max<std::int32_t>(n.partial, card);
    }
  }
  if (!usual_.empty()) Reroom(spot.node);
  if (!n.open) return;
  const Amounts change{ask.amounts.millicores, ask.amounts.memory_bytes, ask.amounts.gpu_milli};
  if (sign > 0) free_ -= change;
  else free_ += change;
  const std::string* name = &by_name_.find(n.name)->first;
  const auto move = [&](Ordered& from, std::int64_t old_size, Ordered& to, std::int64_t size) {
    auto handle = from.extract({old_size, n.hash, spot.node, name});
    handle.value().size = size;
    to.insert(std::move(handle));
  };
  if (before.size != n.cpu || whole_before != n.whole) {
    move(group.by_whole[whole_before], before.size, group.by_whole[n.whole], n.cpu);
  }
  if (partial_before != n.partial) {
    if (partial_before == 0) group.by_partial.insert({n.partial, n.hash, spot.node, name});
    else if (n.partial == 0) group.by_partial.erase({partial_before, n.hash, spot.node, name});
    else move(group.by_partial, partial_before, group.by_partial, n.partial);
  }
}

void NodeIndex::Take(const Spot& spot, AskIx a) { Change(spot, ask(a), 1); }
void NodeIndex::Give(const Spot& spot, AskIx a) { Change(spot, ask(a), -1); }

Spot NodeIndex::Find(const Placement& placement, AskIx a) const {
  const auto it = by_name_.find(placement.node);
  if (it == by_name_.end()) return {};
  Spot spot{it->second, 0};
  const NodeState& n = at(it->second);
  for (std::size_t c = 0; c < n.card_index.size(); ++c) {
    if (std::find(placement.gpus.begin(), placement.gpus.end(), n.card_index[c]) != placement.gpus.end()) {
      spot.cards |= std::uint64_t{1} << c;
    }
  }
  if (ask(a).amounts.gpu_milli == 0) spot.cards = 0;
  return spot;
}

Placement NodeIndex::Name(const Spot& spot) const {
  const NodeState& n = at(spot.node);
  Placement placement{n.name, {}};
  for (std::uint64_t left = spot.cards; left != 0; left &= left - 1) {
    placement.gpus.push_back(n.card_index[static_cast<std::size_t>(std::countr_zero(left))]);
  }
  return placement;
}

void NodeIndex::Reserve(const Reservation* reservation) {
  const auto ix = static_cast<std::int32_t>(reservations_.size());
  reservations_.push_back(reservation);
  for (const Reservation::Part& part : reservation->parts) at(part.node).reservation = ix;
}

void NodeIndex::ClearReservations() {
  for (const Reservation* reservation : reservations_) {
    for (const Reservation::Part& part : reservation->parts) at(part.node).reservation = -1;
  }
  reservations_.clear();
}

}  // namespace cml::control::admission
