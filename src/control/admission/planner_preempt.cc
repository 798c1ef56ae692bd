// The planner's preemptions: who may go for whom, and who really has to.
#include <algorithm>

#include "control/admission/planner.h"

namespace cml::control::admission {

std::int64_t Planner::Quantum(const Job& j) const {
  return std::max(policy_.quantum_least, j.ran / policy_.quantum_part);
}

std::vector<Planner::Victim> Planner::VictimsFor(Ix i) {
  const Job& j = job(i);
  Org& own = org(j.org);
  const Amounts& more = shape(j.shape).total;
  const double after = RatioOf(own, SharesOf(own.held + more, nodes_.total()).dominant());
  const bool patient = ReservationOf(i) != nullptr;
  const bool reclaims = own.cohort >= 0 && (own.held + more).Within(*own.facts.quota);
  std::vector<Victim> victims;
  for (const auto& [id, ix] : org_ix_) {
    Org& o = org(ix);
    const double ratio = RatioOf(o, o.share);
    const bool borrows = reclaims && &o != &own && o.cohort == own.cohort && !o.held.Within(*o.facts.quota);
    const bool share = &o != &own && ratio > after && ratio > 1;
    int looked_at = 0;
    for (const Ix v : o.victims) {
      const Job& r = job(v);
      if (r.priority > j.priority || ++looked_at > policy_.victims_looked_at) break;
      if (r.barred == round_) continue;  // just begun
      if (r.priority < j.priority) {
        victims.push_back({v, PreemptionRule::kPriority, ratio});
        continue;
      }
      if (&o == &own) {
        if (r.level <= j.level && !patient) break;
        if (!Turn(i, v)) continue;
      } else if (!borrows && !share) {
        break;
      }
      if (now_ - r.from < Quantum(r)) continue;
      victims.push_back({v, &o == &own ? PreemptionRule::kTurn : borrows ? PreemptionRule::kReclaim : PreemptionRule::kShare, ratio});
    }
  }
  return victims;
}

// Leaves those whose going may help: on nodes that, with all of them gone, hold a replica. None are left when
// that is not enough for all replicas.
void Planner::KeepUseful(Ix shape_ix, std::vector<Victim>& victims) {
  const Shape& s = shape(shape_ix);
  std::vector<std::pair<std::int32_t, Amounts>> gains;
  for (const Victim& v : victims) {
    const Job& r = job(v.job);
    std::size_t next = 0;
    for (const NodeIndex::Part& role : shape(r.shape).roles) {
      for (std::int64_t n = 0; n < role.replicas; ++n, ++next) {
        if (r.spots[next].node >= 0) gains.emplace_back(r.spots[next].node, nodes_.ask(role.ask).amounts);
      }
    }
  }
  std::sort(gains.begin(), gains.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::size_t last = 0;
  for (std::size_t k = 1; k < gains.size(); ++k) {
    if (gains[k].first == gains[last].first) gains[last].second += gains[k].second;
    else gains[++last] = gains[k];
  }
  if (!gains.empty()) gains.resize(last + 1);
  std::vector<char> useful(gains.size(), 0);
  bool enough = true;
  for (const NodeIndex::Part& role : s.roles) {
    std::int64_t replicas = 0;
    for (std::size_t k = 0; k < gains.size(); ++k) {
      const std::int64_t here = nodes_.ReplicasWith(gains[k].first, gains[k].second, role.ask);
      if (here > 0) useful[k] = 1;
      replicas += here;
    }
    if (replicas >= role.replicas) continue;
    for (std::size_t k = 0; k < gains.size(); ++k) replicas -= nodes_.ReplicasWith(gains[k].first, {}, role.ask);
    enough = enough && replicas + nodes_.FreeFor(role.ask) >= role.replicas;
  }
  const auto is_useful = [&](const Spot& spot) {
    const auto it = std::lower_bound(gains.begin(), gains.end(), spot.node, [](const auto& g, std::int32_t n) { return g.first < n; });
    return spot.node >= 0 && useful[static_cast<std::size_t>(it - gains.begin())] != 0;
  };
  if (!enough) victims.clear();
  std::erase_if(victims, [&](const Victim& v) {
    const Job& r = job(v.job);
    return std::none_of(r.spots.begin(), r.spots.end(), is_useful);
  });
}

void Planner::SortByWorth(std::vector<Victim>& victims) const {
  std::sort(victims.begin(), victims.end(), [&](const Victim& a, const Victim& b) {
    const Job &x = job(a.job), &y = job(b.job);
    if (x.priority != y.priority) return x.priority < y.priority;
    if (a.ratio < b.ratio || b.ratio < a.ratio) return a.ratio > b.ratio;
    return ByWorth{this}(a.job, b.job);
  });
}

// The rule may hold no longer once others of the same organisation have gone.
bool Planner::StillDue(const Victim& victim, const Job& j) {
  Org &o = org(job(victim.job).org), &own = org(j.org);
  switch (victim.rule) {
    case PreemptionRule::kPriority:
    case PreemptionRule::kTurn:
    case PreemptionRule::kMove:
      return true;
    case PreemptionRule::kShare: {
      const double ratio = RatioOf(o, o.share);
      return ratio > 1 && ratio > RatioOf(own, SharesOf(own.held + shape(j.shape).total, nodes_.total()).dominant());
    }
    case PreemptionRule::kReclaim:
      return !o.held.Within(*o.facts.quota);
  }
  return false;
}

// Gives a victim that turned out not to be needed its place back.
bool Planner::BackIfFree(Ix victim) {
  Job& r = job(victim);
  std::vector<Spot> taken;
  const Shape& s = shape(r.shape);
  std::size_t next = 0;
  for (const NodeIndex::Part& role : s.roles) {
    for (std::int64_t n = 0; n < role.replicas; ++n, ++next) {
      if (!nodes_.SpotFree(r.spots[next], role.ask)) {
        Undo(r.shape, taken);
        return false;
      }
      if (r.spots[next].node >= 0) nodes_.Take(r.spots[next], role.ask);
      taken.push_back(r.spots[next]);
    }
  }
  return true;
}

bool Planner::MakeRoom(Ix i, Decision& decision) {
  std::vector<Victim> victims = VictimsFor(i);
  if (victims.empty()) return false;
  const Ix s = job(i).shape;
  Amounts most = nodes_.free();
  for (const Victim& v : victims) most += shape(job(v.job).shape).total;
  if (!shape(s).total.Within(most)) return false;
  const bool for_quota = !WithinQuota(job(i));  // then it does not matter where they are
  if (!for_quota) KeepUseful(s, victims);
  SortByWorth(victims);
  std::vector<Victim> gone;
  std::vector<Spot> spots;
  for (const Victim& v : victims) {
    if (!StillDue(v, job(i))) continue;
    const Job& r = job(v.job);
    Undo(r.shape, r.spots);
    Count(v.job, -1);
    gone.push_back(v);
    const bool helps = std::any_of(r.spots.begin(), r.spots.end(), [&](const Spot& spot) {
      return spot.node >= 0 && std::any_of(shape(s).roles.begin(), shape(s).roles.end(), [&](const NodeIndex::Part& role) {
        return nodes_.Fits(spot.node, role.ask);
      });
    });
    if (!helps || !WithinQuota(job(i))) continue;
    spots = PlaceGang(s, ReservationOf(i));
    if (!spots.empty()) break;
  }
  const bool found = !spots.empty();
  if (found) Count(i, 1);  // what is given back must leave room within the quota, too
  std::vector<Victim> leaving;
  for (std::size_t k = gone.size(); k-- > 0;) {
    const Job& r = job(gone[k].job);
    const bool last = found && k + 1 == gone.size();
    const bool back = !last && (!found || WithinQuota(r)) && BackIfFree(gone[k].job);
    if (back) Count(gone[k].job, 1);
    else leaving.push_back(gone[k]);
  }
  if (!found) return false;
  Count(i, -1);
  for (const Victim& v : leaving) {
    Job& r = job(v.job);
    Count(v.job, 1);  // Leave counts it out
    Leave(v.job);
    r.ran += std::max<std::int64_t>(now_ - r.from, 0);
    r.from = now_;
    r.barred = round_;
    Queue(v.job);
    decision.preemptions.push_back({r.id, job(i).id, v.rule});
  }
  Begin(i, std::move(spots), decision);
  return true;
}

// May it be stopped only to go on elsewhere at once? Gangs of several replicas stay where they are.
bool Planner::MayMove(Ix v, const Job& j) const {
  const Job& r = job(v);
  return r.preemptible == Preemptible::kYes && r.barred != round_ && r.spots.size() == 1 && r.priority <= j.priority &&
         now_ - r.from >= Quantum(r);
}

// The node where the fewest must move to make room for a replica, and who; empty: there is none.
std::vector<Planner::Ix> Planner::LeastToMove(NodeIndex::AskIx ask, const Job& j, const Reservation* owner) const {
  std::vector<Ix> best;
  std::int64_t best_width = 0;
  for (std::size_t n = 0; n < on_node_.size(); ++n) {
    const auto node = static_cast<std::int32_t>(n);
    if (on_node_[n].empty() || !nodes_.MayUse(node, ask, owner)) continue;
    std::vector<Ix> movable;
    for (const Ix v : on_node_[n]) {
      if (MayMove(v, j)) movable.push_back(v);
    }
    std::sort(movable.begin(), movable.end(), [&](Ix a, Ix b) {
      const std::int64_t x = shape(job(a).shape).width, y = shape(job(b).shape).width;
      return x != y ? x < y : ByWorth{this}(a, b);
    });
    Amounts more;
    std::int64_t width = 0;
    std::size_t count = 0;
    while (nodes_.ReplicasWith(node, more, ask) == 0 && count < movable.size()) {
      more += shape(job(movable[count]).shape).total;
      width += shape(job(movable[count]).shape).width;
      ++count;
    }
    if (count == 0 || nodes_.ReplicasWith(node, more, ask) == 0) continue;
    movable.resize(count);
    if (!best.empty() && (width > best_width || (width == best_width && !nodes_.NameBefore(node, job(best[0]).spots[0].node)))) continue;
    best = std::move(movable);
    best_width = width;
  }
  return best;
}

// When there is enough, but scattered: others of no higher priority move, each of which goes on elsewhere at once.
bool Planner::MakeRoomByMoves(Ix i, Decision& decision) {
  const Shape& s = shape(job(i).shape);
  if (!s.total.Within(nodes_.free())) return false;
  const Reservation* owner = ReservationOf(i);
  std::vector<Ix> moved;
  std::vector<Spot> spots;
  bool found = true;
  for (const NodeIndex::Part& role : s.roles) {
    for (std::int64_t n = 0; found && n < role.replicas; ++n) {
      Spot spot = nodes_.Place(role.ask, owner);
      if (spot.node < 0) {
        for (const Ix v : LeastToMove(role.ask, job(i), owner)) {
          job(v).barred = round_;
          Undo(job(v).shape, job(v).spots);
          moved.push_back(v);
        }
        spot = nodes_.Place(role.ask, owner);
      }
      found = spot.node >= 0;
      if (found) spots.push_back(spot);
    }
  }
  std::vector<std::vector<Spot>> to;
  for (std::size_t k = 0; found && k < moved.size(); ++k) {
    to.push_back(PlaceGang(job(moved[k]).shape, nullptr));
    found = !to.back().empty();
  }
  for (std::size_t k = 0; k < to.size(); ++k) Undo(job(moved[k]).shape, to[k]);
  if (!found) {
    Undo(job(i).shape, spots);
    for (const Ix v : moved) {
      job(v).barred = 0;
      BackIfFree(v);
    }
    return false;
  }
  for (std::size_t k = 0; k < moved.size(); ++k) {
    const Ix v = moved[k];
    Job& r = job(v);
    Leave(v);
    r.ran += std::max<std::int64_t>(now_ - r.from, 0);
    r.from = now_;
    Queue(v);
    decision.preemptions.push_back({r.id, job(i).id, PreemptionRule::kMove});
  }
  Begin(i, std::move(spots), decision);
  for (std::size_t k = 0; k < moved.size(); ++k) {
    for (const Spot& spot : to[k]) nodes_.Take(spot, shape(job(moved[k]).shape).roles[0].ask);
    Begin(moved[k], to[k], decision);
  }
  return true;
}

// For the first of those that wait; before the others, so that what they are given is not preempted at once.
void Planner::Preempt(Decision& decision) {
  struct Asking {
    Priority priority;
    double ratio;
    Ix job;
    Bucket* bucket;
  };
  const auto sooner = [&](const Asking& a, const Asking& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    if (a.ratio < b.ratio || b.ratio < a.ratio) return a.ratio < b.ratio;
    return Turn(a.job, b.job);
  };
  bool anybody = false;
  std::vector<Asking> asking;
  for (const auto& [id, ix] : org_ix_) {
    Org& o = org(ix);
    anybody = anybody || !o.victims.empty();
    if (o.waiting == 0) continue;
    const double ratio = RatioOf(o, o.share);
    for (const auto& bucket : o.buckets) {
      if (shape(bucket->shape).possible == 0) continue;
      if (const Ix head = HeadOf(*bucket); head >= 0) asking.push_back({bucket->priority, ratio, head, bucket.get()});
    }
  }
  if (!anybody || asking.empty()) return;
  const std::size_t most = std::min(asking.size(), static_cast<std::size_t>(policy_.attempts));
  std::partial_sort(asking.begin(), asking.begin() + static_cast<std::ptrdiff_t>(most), asking.end(), sooner);
  asking.resize(most);
  while (!asking.empty()) {
    const auto first = std::min_element(asking.begin(), asking.end(), sooner);
    Asking now = *first;
    asking.erase(first);
    const Ix i = now.job, s = job(i).shape;
    const bool alone = now.bucket->jobs.size() == 1;  // then the bucket goes with it
    bool began = false;
    if (WithinQuota(job(i)) && FitsNow(s)) {
      if (std::vector<Spot> spots = PlaceGang(s, ReservationOf(i)); !spots.empty()) {
        Begin(i, std::move(spots), decision);
        began = true;
      }
    } else if (Possible(s)) {
      began = (WithinQuota(job(i)) && MakeRoomByMoves(i, decision)) || MakeRoom(i, decision);
    }
    if (began && !alone && (now.job = HeadOf(*now.bucket)) >= 0) asking.push_back(now);
    for (Asking& a : asking) {
      const Org& o = org(job(a.job).org);
      a.ratio = RatioOf(o, o.share);
    }
  }
}

}  // namespace cml::control::admission
