// The planner's decisions: targets, reservations, starts.
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
