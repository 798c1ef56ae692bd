// The planner's decisions: targets, starts, reservations, preemptions.
#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

#include "control/admission/planner.h"

namespace cml::control::admission {

// Where each organisation should be: its entitlement, less what it had beyond it.
void Planner::Aim() {
  std::vector<Demand> demands;
  std::vector<Org*> there;
  for (const auto& [id, ix] : org_ix_) {
    Org& o = org(ix);
    if (o.waiting + o.running == 0) continue;
    Amounts all = o.held + o.wanted;
    if (o.facts.quota) {
      const Amounts most = *o.facts.quota + o.facts.borrow;
      all = {std::min(all.millicores, most.millicores), std::min(all.memory_bytes, most.memory_bytes),
             std::min(all.gpu_milli, most.gpu_milli)};
    }
    demands.push_back({o.facts.weight, SharesOf(all, nodes_.total())});
    there.push_back(&o);
  }
  const std::vector<double> entitled = Entitlements(demands);
  for (std::size_t i = 0; i < there.size(); ++i) {
    Org& o = *there[i];
    o.entitled = entitled[i];
    o.target = std::max(0.0, o.entitled - o.facts.over_use / policy_.correction);
  }
}

// How far towards its target; above 1 is beyond.
double Planner::RatioOf(const Org& o, double share) const {
  constexpr double kNone = 1e-9;
  return o.target > kNone ? share / o.target : share > 0 ? 1e9 + share : 1e9;
}

// The first of a bucket that may start in this round.
Planner::Ix Planner::HeadOf(const Bucket& bucket) const {
  for (const Ix i : bucket.jobs) {
    if (job(i).barred != round_) return i;
  }
  return -1;
}

Planner::Ix Planner::FirstOf(Org& o, Bucket** where) {
  Ix first = -1;
  for (const auto& bucket : o.buckets) {
    const Shape& s = shape(bucket->shape);
    if (bucket->closed == round_ || s.blocked || s.possible == 0) continue;
    const Ix head = HeadOf(*bucket);
    if (head < 0 || (s.refused == round_ && ReservationOf(head) == nullptr)) continue;
    if (first < 0 || Turn(head, first)) {
      first = head;
      *where = bucket.get();
    }
  }
  return first;
}

bool Planner::WithinQuota(const Job& j) {
  const Org& o = org(j.org);
  if (!o.facts.quota) return true;
  const Amounts& more = shape(j.shape).total;
  if (!(o.held + more).Within(*o.facts.quota + (o.cohort >= 0 ? o.facts.borrow : Amounts{}))) return false;
  if (o.cohort < 0) return true;
  const Cohort& cohort = cohorts_[static_cast<std::size_t>(o.cohort)];
  return (cohort.held + more).Within(cohort.quota);
}

void Planner::Undo(Ix shape_ix, const std::vector<Spot>& spots) {
  const Shape& s = shape(shape_ix);
  std::size_t next = 0;
  for (const NodeIndex::Part& role : s.roles) {
    for (std::int64_t n = 0; n < role.replicas && next < spots.size(); ++n, ++next) {
      if (spots[next].node >= 0) nodes_.Give(spots[next], role.ask);
    }
  }
}

// All replicas, taken; or none, and nothing is taken.
std::vector<Spot> Planner::PlaceGang(Ix shape_ix, const Reservation* owner) {
  const Shape& s = shape(shape_ix);
  if (!s.total.Within(nodes_.free())) return {};
  std::vector<Spot> spots;
  for (const NodeIndex::Part& role : s.roles) {
    for (std::int64_t n = 0; n < role.replicas; ++n) {
      const Spot spot = nodes_.Place(role.ask, owner);
      if (spot.node < 0) {
        Undo(shape_ix, spots);
        return {};
      }
      spots.push_back(spot);
    }
  }
  return spots;
}

// Reservations aside. What does not is remembered until something is freed that might help.
bool Planner::FitsNow(Ix shape_ix) {
  Shape& s = shape(shape_ix);
  if (s.blocked || s.possible == 0) return false;
  const std::vector<Spot> spots = PlaceGang(shape_ix, &NodeIndex::kAll);
  if (!spots.empty()) {
    Undo(shape_ix, spots);
    return true;
  }
  s.blocked = true;
  if (!s.listed) blocked_.push_back(shape_ix);
  s.listed = true;
  return false;
}

// On the nodes as they are when they are empty: each role, and the sum. A gang of several roles may yet fit in
// no way; it waits then.
bool Planner::Possible(Ix shape_ix) {
  Shape& s = shape(shape_ix);
  if (s.possible < 0) {
    s.possible = s.total.Within(nodes_.total()) && std::all_of(s.roles.begin(), s.roles.end(), [&](const NodeIndex::Part& role) {
                   return nodes_.Possible(role.ask, role.replicas);
                 }) ? 1 : 0;
  }
  return s.possible == 1;
}

const Reservation* Planner::ReservationOf(Ix i) const {
  for (const auto& [owner, reservation] : reservations_) {
    if (owner == i) return reservation.get();
  }
  return nullptr;
}

// Room is kept for those that are first in their organisation and wait for too long already.
void Planner::ReserveForPatient() {
  struct Patient {
    Priority priority;
    std::int64_t from;
    Ix job;
  };
  // The narrowest are overtaken by nobody: whatever is freed suffices for them.
  std::array<std::int64_t, 2> narrowest{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()};
  const auto kind = [](const Shape& s) { return s.total.gpu_milli > 0 ? std::size_t{1} : std::size_t{0}; };
  std::vector<Patient> patients;
  for (const auto& [id, ix] : org_ix_) {
    Org& o = org(ix);
    Ix first = -1;
    for (const auto& bucket : o.buckets) {
      const Shape& s = shape(bucket->shape);
      if (s.possible != 0) narrowest[kind(s)] = std::min(narrowest[kind(s)], s.width);
      const Ix head = HeadOf(*bucket);
      if (head < 0 || shape(bucket->shape).possible == 0 || (first >= 0 && !Turn(head, first))) continue;
      if (WithinQuota(job(head))) first = head;
    }
    // Above the first level its turn may be long in coming: to keep room for it would be waste.
    if (first < 0 || job(first).level > 0 || now_ - job(first).from < policy_.patience) continue;
    patients.push_back({job(first).priority, job(first).from, first});
  }
  // Who waits longest comes first, whatever its organisation has: otherwise two could undo each other's.
  std::sort(patients.begin(), patients.end(), [&](const Patient& a, const Patient& b) {
    if (a.priority != b.priority) return a.priority > b.priority;
    return a.from != b.from ? a.from < b.from : Turn(a.job, b.job);
  });
  for (const Patient& patient : patients) {
    if (reservations_.size() >= static_cast<std::size_t>(policy_.reservations)) return;
    const Ix s = job(patient.job).shape;
    if (shape(s).width <= narrowest[kind(shape(s))]) continue;
    auto reservation = std::make_unique<Reservation>(nodes_.Choose(shape(s).roles));
    if (reservation->parts.empty()) continue;
    nodes_.Reserve(reservation.get());
    reservations_.emplace_back(patient.job, std::move(reservation));
  }
}

void Planner::Begin(Ix i, std::vector<Spot> spots, Decision& decision) {
  Unqueue(i);
  Job& j = job(i);
  j.spots = std::move(spots);
  j.from = now_;
  j.barred = round_;
  Hold(i);
  decision.starts.push_back({j.id, Placements(j.id)});
}

void Planner::Fill(Decision& decision) {
  struct First {
    Org* org;
    Ix job;
    Bucket* bucket;
    double ratio;
  };
  std::vector<First> firsts;
  for (const auto& [id, ix] : org_ix_) {
    Org& o = org(ix);
    if (o.waiting == 0) continue;
    First f{&o, -1, nullptr, RatioOf(o, o.share)};
    f.job = FirstOf(o, &f.bucket);
    if (f.job >= 0) firsts.push_back(f);
  }
  while (!firsts.empty()) {
    std::size_t best = 0;
    for (std::size_t k = 1; k < firsts.size(); ++k) {
      const First &a = firsts[k], &b = firsts[best];
      if (a.bucket->priority != b.bucket->priority ? a.bucket->priority > b.bucket->priority : a.ratio < b.ratio) best = k;
    }
    First& f = firsts[best];
    const Ix s = job(f.job).shape;
    bool started = false;
    if (!shape(s).blocked) {
      if (!WithinQuota(job(f.job))) {
        f.bucket->closed = round_;
      } else if (std::vector<Spot> spots = PlaceGang(s, ReservationOf(f.job)); !spots.empty()) {
        Begin(f.job, std::move(spots), decision);
        started = true;
      } else {
        f.bucket->closed = round_;
        shape(s).refused = round_;  // what is free only shrinks in a round: no other has to try
        FitsNow(s);
      }
    }
    if (started) f.ratio = RatioOf(*f.org, f.org->share);
    f.job = FirstOf(*f.org, &f.bucket);
    if (f.job < 0) firsts.erase(firsts.begin() + static_cast<std::ptrdiff_t>(best));
  }
}

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

Planner::Decision Planner::Decide(Seek seek) {
  Decision decision;
  ++round_;
  nodes_.ClearReservations();
  reservations_.clear();
  if (waiting_count_ == 0) return decision;
  Aim();
  ReserveForPatient();
  if (seek == Seek::kPreemption) Preempt(decision);
  Fill(decision);
  return decision;
}

}  // namespace cml::control::admission
