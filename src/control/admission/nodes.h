// control/admission/nodes.h — the nodes with what is free on each, kept so that the best place for a
// replica is found without looking at all of them.
//
// Not thread-safe. Owns copies of the facts. Cannot fail. Its answers depend on the facts and on what is
// taken now, not on the order in which either came: ties are broken by the node's name.
//
// Where a replica goes: where the least room is lost for what is usually asked for. The room of a node is
// the sum over the usual asks, weighted by how often each comes, of two parts: the GPUs that replicas of this
// ask alone could still use there, with the node's CPU and memory as they are; less the free GPUs there that
// the ask cannot use at all. The second is what fragmentation gradient descent minimises (Weng et al., ATC
// 23); the first makes a card without CPU beside it, and a slice that is a bit too small, cost at once and
// not when they have become useless. Ties: the tightest.
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/admission/snapshot.h"

namespace cml::control::admission {

inline constexpr std::size_t kMostCards = 64;   // of a node; further ones are not given out
inline constexpr std::size_t kMostUsual = 16;   // usual asks that are looked at

inline bool IsPart(const Ask& ask) { return ask.amounts.gpu_milli > 0 && ask.amounts.gpu_milli < kWholeCard; }
inline std::uint32_t WholeOf(const Ask& ask) { return static_cast<std::uint32_t>(ask.amounts.gpu_milli / kWholeCard); }

struct Spot {
  std::int32_t node = -1;
  std::uint64_t cards = 0;  // bit n: the n-th card of the node's list
};

// Room that nobody but its owner may take.
struct Reservation {
  struct Part {
    std::int32_t node;
    Amounts keep;
  };
  std::vector<Part> parts;
};

class NodeIndex {
 public:
  void SetUsual(std::vector<UsualAsk> usual);  // before the first node
  void Add(const NodeFacts& facts);

  using AskIx = std::int32_t;
  AskIx Intern(const Ask& ask);
  const Ask& ask(AskIx a) const { return asks_[static_cast<std::size_t>(a)].ask; }

  // The best open node with room, taken; node -1: there is none. `owner`: the reservation that does not
  // count; kAll: none counts.
  static const Reservation kAll;
  Spot Place(AskIx a, const Reservation* owner = nullptr);
  void Take(const Spot& spot, AskIx a);
  void Give(const Spot& spot, AskIx a);
  bool Fits(std::int32_t node, AskIx a) const;  // reservations aside
  bool MayUse(std::int32_t node, AskIx a, const Reservation* owner) const { return MayUse(at(node), ask(a), owner); }
  bool NameBefore(std::int32_t a, std::int32_t b) const { return at(a).name < at(b).name; }
  bool SpotFree(const Spot& spot, AskIx a) const;     // these very cards
  // Replicas at once on the node if `more` were free there as well (in whole cards, or as parts of one).
  std::int64_t ReplicasWith(std::int32_t node, const Amounts& more, AskIx a) const;
  // What the recorded placement means here; node -1: no such node.
  Spot Find(const Placement& placement, AskIx a) const;
  Placement Name(const Spot& spot) const;

  // Nodes on which the gang could be once they are drained, those with most room first. No parts: there
  // are not enough.
  struct Part {
    AskIx ask;
    std::int64_t replicas;
  };
  Reservation Choose(std::vector<Part> gang) const;
  void Reserve(const Reservation* reservation);
  void ClearReservations();

  const Amounts& free() const { return free_; }    // of open nodes
  const Amounts& total() const { return total_; }  // of open nodes
  std::size_t size() const { return nodes_.size(); }

  // Are there so many replicas' places on the nodes when they are empty?
  bool Possible(AskIx a, std::int64_t replicas) const;

  // For reasons. All of these look at every node.
  std::int64_t Matching(AskIx a) const;                      // open nodes with the labels and the model
  std::int64_t MostOf(AskIx a) const;                        // replicas at once on empty nodes
  std::int64_t FreeFor(AskIx a) const;                       // replicas at once on what is free
  Amounts LargestNode(AskIx a) const;                        // of the matching one that comes closest
  Amounts BestFree(AskIx a) const;                           // free on the node that comes closest

 private:
  struct NodeState {
    std::string name;
    std::uint64_t hash = 0;
    std::int32_t group = 0;
    bool open = true;
    std::int64_t cpu = 0, memory = 0;     // free
    std::uint32_t first_card = 0, whole = 0;
    std::int32_t partial = 0;             // most that is free on a card in part use
    std::int64_t free_cards = 0;          // thousandths
    std::int64_t room = 0;                // what the usual asks could use
    std::int32_t reservation = -1;        // in parts_
    std::vector<int> card_index;
    std::map<std::string, std::string> labels;
  };
  struct Key {
    std::int64_t size;
    std::uint64_t hash;
    std::int32_t node;
    const std::string* name;
    friend bool operator<(const Key& a, const Key& b) {
      if (a.size != b.size) return a.size < b.size;
      if (a.hash != b.hash) return a.hash < b.hash;
      if (!a.name || !b.name) return !a.name && b.name;  // a bound for a search has no name
      return *a.name < *b.name;
    }
  };
  using Ordered = std::set<Key>;
  struct Group {  // nodes of one make
    std::int64_t cpu = 0, memory = 0;
    std::vector<std::string> models;   // of each card
    std::vector<Ordered> by_whole;     // [n]: those with n free cards, by free CPU
    Ordered by_partial;
    std::vector<char> usual;           // does usual ask n suit this make?
  };
  struct Interned {
    Ask ask;
    std::vector<std::int32_t> groups;  // makes on which it could be
  };
  struct Usual {
    Ask ask;
    std::int64_t count = 0, weight = 0;
    double per_cpu = 0, per_memory = 0;   // replicas per millicore, per byte
    std::vector<std::uint16_t> per_card;  // replicas on a card with so many thousandths free
  };
  struct Offer;  // the best place so far

  NodeState& at(std::int32_t n) { return nodes_[static_cast<std::size_t>(n)]; }
  const NodeState& at(std::int32_t n) const { return nodes_[static_cast<std::size_t>(n)]; }
  Group& group_of(const NodeState& n) { return groups_[static_cast<std::size_t>(n.group)]; }
  const Group& group_of(const NodeState& n) const { return groups_[static_cast<std::size_t>(n.group)]; }
  std::int32_t GroupFor(const Node& node);
  bool Suits(const Group& group, const Ask& ask) const;
  bool HasLabels(const NodeState& n, const Ask& ask) const;
  bool CardsFit(const NodeState& n, const Ask& ask) const;
  bool MayUse(const NodeState& n, const Ask& ask, const Reservation* owner) const;
  std::uint64_t FirstCards(const NodeState& n, const Ask& ask) const;
  std::int64_t Replicas(const NodeState& n, const Ask& ask, bool empty) const;
  void Consider(std::int32_t node, const Ask& ask, Offer& offer) const;
  std::int64_t RoomAfter(std::int32_t node, const Ask& ask, std::uint64_t cards) const;
  void Change(const Spot& spot, const Ask& ask, std::int64_t sign);
  void Reroom(std::int32_t node);
  Amounts FreeOn(const NodeState& n) const;

  std::vector<Usual> usual_;
  std::vector<NodeState> nodes_;
  std::vector<std::int16_t> cards_;       // free thousandths, of all nodes
  struct OnCards {                        // of one usual ask, by the node's cards alone
    std::int32_t replicas = 0, useless = 0;  // how many fit; thousandths free that it cannot use
  };
  std::vector<OnCards> per_usual_;        // [node × usual]
  std::vector<Group> groups_;
  std::vector<Interned> asks_;
  std::map<Ask, AskIx> ask_ix_;
  std::unordered_map<std::string, std::int32_t> by_name_;
  Amounts free_, total_;
  std::vector<const Reservation*> reservations_;
};

}  // namespace cml::control::admission
