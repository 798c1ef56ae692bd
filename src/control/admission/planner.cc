// The planner's book: who is there, what is held, what changes with time.
#include "control/admission/planner.h"

#include <algorithm>
#include <numeric>

namespace cml::control::admission {
namespace {

// What CPUs and memory weigh beside GPUs when the width of a gang is told.
constexpr std::int64_t kMillicoresPerGpu = 8000;
constexpr std::int64_t kMemoryPerGpu = std::int64_t{64} << 30;

std::int64_t Millis(SysTime t) { return t.time_since_epoch().count(); }

// Replicas of one role take the same; more than this is not a cluster of today.
constexpr std::int64_t kMostReplicas = 1'000'000;

}  // namespace

Amounts Total(const GangAsk& gang) {
  Amounts sum;
  for (const RoleAsk& role : gang) sum += role.ask.amounts * std::clamp<std::int64_t>(role.replicas, 0, kMostReplicas);
  return sum;
}

Planner::Planner(const Policy& policy, std::vector<UsualAsk> usual) : policy_(policy) {
  nodes_.SetUsual(std::move(usual));
}

bool Planner::ByTurn::operator()(Ix a, Ix b) const { return planner->Turn(a, b); }

bool Planner::Turn(Ix a, Ix b) const {
  const Job &x = job(a), &y = job(b);
  if (x.priority != y.priority) return x.priority > y.priority;
  if (x.level != y.level) return x.level < y.level;
  if (x.since != y.since) return x.since < y.since;
  return x.id < y.id;
}

bool Planner::ByWorth::operator()(Ix a, Ix b) const {
  const Job &x = planner->job(a), &y = planner->job(b);
  if (x.priority != y.priority) return x.priority < y.priority;
  if (x.level != y.level) return x.level > y.level;
  if (x.from != y.from) return x.from > y.from;
  return x.id < y.id;
}

Planner::Ix Planner::OrgFor(const OrgId& id) {
  const auto [it, fresh] = org_ix_.emplace(id, static_cast<Ix>(orgs_.size()));
  if (fresh) {
    orgs_.push_back(std::make_unique<Org>(this));
    orgs_.back()->facts.id = id;
  }
  return it->second;
}

void Planner::Set(const OrgFacts& facts) {
  Org& o = org(OrgFor(facts.id));
  if (o.cohort >= 0) {
    Cohort& left = cohorts_[static_cast<std::size_t>(o.cohort)];
    left.held -= o.held;
    left.quota -= *o.facts.quota;
    o.cohort = -1;
  }
  o.facts = facts;
  if (!(o.facts.weight > 0)) o.facts.weight = 1;
  if (facts.cohort.empty() || !facts.quota) return;
  const auto [it, fresh] = cohort_ix_.emplace(facts.cohort, static_cast<Ix>(cohorts_.size()));
  if (fresh) cohorts_.emplace_back();
  o.cohort = it->second;
  Cohort& joined = cohorts_[static_cast<std::size_t>(o.cohort)];
  joined.held += o.held;
  joined.quota += *facts.quota;
}

Planner::Ix Planner::ShapeFor(const GangAsk& gang) {
  const auto [it, fresh] = shape_ix_.emplace(gang, static_cast<Ix>(shapes_.size()));
  if (!fresh) return it->second;
  Shape s;
  s.total = Total(gang);
  s.width = std::max({s.total.gpu_milli, s.total.millicores * kWholeCard / kMillicoresPerGpu,
                      s.total.memory_bytes / (kMemoryPerGpu / kWholeCard), std::int64_t{1}});
  std::vector<std::size_t> order(gang.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const Amounts &x = gang[a].ask.amounts, &y = gang[b].ask.amounts;
    return std::tuple(x.gpu_milli, x.millicores, x.memory_bytes) > std::tuple(y.gpu_milli, y.millicores, y.memory_bytes);
  });
  bool sane = !gang.empty();
  for (const std::size_t r : order) {
    const RoleAsk& role = gang[r];
    const Amounts& a = role.ask.amounts;
    sane = sane && role.replicas > 0 && role.replicas <= kMostReplicas && Amounts{}.Within(a) &&
           (a.gpu_milli < kWholeCard || a.gpu_milli % kWholeCard == 0);
    s.roles.push_back({nodes_.Intern(role.ask), role.replicas});
    s.role_of.push_back(r);
  }
  if (!sane) s.possible = 0;
  shapes_.push_back(std::move(s));
  return it->second;
}

Planner::Ix Planner::NewJob(const GangFacts& facts) {
  const auto [it, fresh] = by_id_.emplace(facts.id, 0);
  if (!fresh) return -1;
  Ix i;
  if (unused_.empty()) {
    i = static_cast<Ix>(jobs_.size());
    jobs_.emplace_back();
  } else {
    i = unused_.back();
    unused_.pop_back();
  }
  it->second = i;
  Job j;
  j.id = facts.id;
  j.org = OrgFor(facts.org);
  j.shape = ShapeFor(facts.gang);
  j.priority = facts.priority;
  j.since = Millis(facts.since);
  j.ran = std::max<std::int64_t>(facts.ran_ms, 0);
  j.preemptible = facts.preemptible;
  job(i) = std::move(j);
  return i;
}

int Planner::LevelOf(std::int64_t width, std::int64_t ran) const {
  const std::int64_t service = width * (ran / 10) / (kWholeCard / 10);
  std::int64_t threshold = policy_.first_level;
  int level = 0;
  while (level + 1 < policy_.levels && service >= threshold) {
    ++level;
    threshold *= policy_.level_factor;
  }
  return level;
}

// The level now, and when it changes next.
void Planner::SetLevel(Ix i) {
  Job& j = job(i);
  const std::int64_t width = shape(j.shape).width, before = j.level_changes;
  j.level_changes = 0;
  if (j.where == Where::kRunning) {
    j.level = LevelOf(width, j.ran + now_ - j.from);
    if (j.level + 1 < policy_.levels) {
      std::int64_t threshold = policy_.first_level;
      for (int l = 0; l < j.level; ++l) threshold *= policy_.level_factor;
      // The first ran, in steps of 10 ms, with which LevelOf is one more.
      const std::int64_t least = (threshold * (kWholeCard / 10) + width - 1) / width * 10;
      j.level_changes = std::max(j.from + least - j.ran, now_ + 1);
    }
  } else {
    const int own = LevelOf(width, j.ran);
    const std::int64_t step = policy_.ageing * std::max(j.ran, policy_.ageing_least);
    const std::int64_t up = std::max<std::int64_t>(now_ - j.from, 0) / step;
    j.level = static_cast<int>(std::max<std::int64_t>(own - up, 0));
    if (j.level > 0) j.level_changes = j.from + (up + 1) * step;
  }
  if (j.level_changes != 0 && j.level_changes != before) timers_.push({j.level_changes, i});
}

void Planner::Advance(SysTime now) {
  now_ = std::max(now_, Millis(now));
  while (!timers_.empty() && timers_.top().at <= now_) {
    const Timer timer = timers_.top();
    timers_.pop();
    Job& j = job(timer.job);
    if (j.where == Where::kGone || j.level_changes != timer.at) continue;  // of an earlier life
    Org& o = org(j.org);
    if (j.where == Where::kRunning) {
      const bool victim = o.victims.erase(timer.job) > 0;
      SetLevel(timer.job);
      if (victim) o.victims.insert(timer.job);
    } else {
      std::set<Ix, ByTurn>& jobs = o.by_kind.find({j.priority, j.shape})->second->jobs;
      jobs.erase(timer.job);
      SetLevel(timer.job);
      jobs.insert(timer.job);
    }
  }
}

// Into the queue of its organisation; `from` is set.
void Planner::Queue(Ix i) {
  Job& j = job(i);
  j.where = Where::kWaiting;
  j.level_changes = 0;
  SetLevel(i);
  Org& o = org(j.org);
  Bucket*& bucket = o.by_kind[{j.priority, j.shape}];
  if (bucket == nullptr) {
    o.buckets.push_back(std::make_unique<Bucket>(Bucket{j.priority, j.shape, std::set<Ix, ByTurn>(ByTurn{this}), 0}));
    bucket = o.buckets.back().get();
  }
  bucket->jobs.insert(i);
  if (Possible(j.shape)) o.wanted += shape(j.shape).total;  // what can never start is no demand
  ++o.waiting;
  ++shape(j.shape).waiting;
  ++waiting_count_;
}

void Planner::Unqueue(Ix i) {
  Job& j = job(i);
  Org& o = org(j.org);
  const auto it = o.by_kind.find({j.priority, j.shape});
  Bucket* bucket = it->second;
  bucket->jobs.erase(i);
  if (bucket->jobs.empty()) {
    o.by_kind.erase(it);
    const auto at = std::find_if(o.buckets.begin(), o.buckets.end(), [&](const auto& b) { return b.get() == bucket; });
    std::swap(*at, o.buckets.back());
    o.buckets.pop_back();
  }
  if (Possible(j.shape)) o.wanted -= shape(j.shape).total;
  --o.waiting;
  --shape(j.shape).waiting;
  --waiting_count_;
}

void Planner::Count(Ix i, std::int64_t sign) {
  const Job& j = job(i);
  Org& o = org(j.org);
  const Amounts change = shape(j.shape).total * sign;
  o.held += change;
  o.share = SharesOf(o.held, nodes_.total()).dominant();
  if (o.cohort >= 0) cohorts_[static_cast<std::size_t>(o.cohort)].held += change;
}

// Among those that run; its spots are taken already, `from` is set.
void Planner::Hold(Ix i) {
  Job& j = job(i);
  j.where = Where::kRunning;
  j.level_changes = 0;
  SetLevel(i);
  Org& o = org(j.org);
  ++o.running;
  if (j.preemptible == Preemptible::kYes) o.victims.insert(i);
  if (on_node_.size() < nodes_.size()) on_node_.resize(nodes_.size());
  for (const Spot& spot : j.spots) {
    if (spot.node < 0) continue;
    std::vector<Ix>& here = on_node_[static_cast<std::size_t>(spot.node)];
    if (here.empty() || here.back() != i) here.push_back(i);
  }
  Count(i, 1);
}

void Planner::Release(Ix i) {
  Undo(job(i).shape, job(i).spots);
  Leave(i);
}

// Release, of one whose spots were given back before.
void Planner::Leave(Ix i) {
  Job& j = job(i);
  Org& o = org(j.org);
  --o.running;
  if (j.preemptible == Preemptible::kYes) o.victims.erase(i);
  for (const Spot& spot : j.spots) {
    if (spot.node >= 0) std::erase(on_node_[static_cast<std::size_t>(spot.node)], i);
  }
  Count(i, -1);
  Freed(j.spots);
  j.spots.clear();
}

// What fits on none of these nodes fits no more than before.
void Planner::Freed(const std::vector<Spot>& spots) {
  std::erase_if(blocked_, [&](Ix s) {
    Shape& blocked = shape(s);
    const bool open = blocked.waiting == 0 || std::any_of(spots.begin(), spots.end(), [&](const Spot& spot) {
      return spot.node >= 0 && std::any_of(blocked.roles.begin(), blocked.roles.end(), [&](const NodeIndex::Part& role) {
        return nodes_.Fits(spot.node, role.ask);
      });
    });
    if (open) blocked.blocked = blocked.listed = false;
    return open;
  });
}

void Planner::Add(const WaitingGang& gang) {
  const Ix i = NewJob(gang);
  if (i < 0) return;
  Job& j = job(i);
  j.from = gang.wait_from == SysTime{} ? j.since : Millis(gang.wait_from);
  Queue(i);
}

void Planner::Add(const RunningGang& gang) {
  const Ix i = NewJob(gang);
  if (i < 0) return;
  Job& j = job(i);
  j.from = Millis(gang.started);
  const Shape& s = shape(j.shape);
  for (std::size_t r = 0; r < s.roles.size(); ++r) {
    std::size_t first = 0;
    for (std::size_t before = 0; before < s.role_of[r]; ++before) {
      first += static_cast<std::size_t>(std::max<std::int64_t>(gang.gang[before].replicas, 0));
    }
    for (std::int64_t n = 0; n < s.roles[r].replicas; ++n) {
      Spot spot;
      if (const std::size_t at = first + static_cast<std::size_t>(n); at < gang.placements.size()) {
        spot = nodes_.Find(gang.placements[at], s.roles[r].ask);
      }
      if (spot.node >= 0) nodes_.Take(spot, s.roles[r].ask);
      j.spots.push_back(spot);
    }
  }
  Hold(i);
}

void Planner::Remove(const ResourceId& id) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return;
  const Ix i = it->second;
  if (job(i).where == Where::kWaiting) Unqueue(i);
  else Release(i);
  job(i) = Job{};
  unused_.push_back(i);
  by_id_.erase(it);
}

std::vector<Placement> Planner::Placements(const ResourceId& id) const {
  const auto it = by_id_.find(id);
  if (it == by_id_.end() || job(it->second).where != Where::kRunning) return {};
  const Job& j = job(it->second);
  const Shape& s = shape(j.shape);
  std::vector<std::vector<Placement>> by_role(s.roles.size());
  std::size_t next = 0;
  for (std::size_t r = 0; r < s.roles.size(); ++r) {
    for (std::int64_t n = 0; n < s.roles[r].replicas; ++n, ++next) {
      by_role[s.role_of[r]].push_back(j.spots[next].node < 0 ? Placement{} : nodes_.Name(j.spots[next]));
    }
  }
  std::vector<Placement> placements;
  for (auto& role : by_role) placements.insert(placements.end(), role.begin(), role.end());
  return placements;
}

std::vector<Planner::Standing> Planner::Standings() {
  Aim();
  std::vector<Standing> all;
  for (const auto& [id, ix] : org_ix_) {
    const Org& o = org(ix);
    if (o.waiting + o.running == 0) continue;
    all.push_back({id, o.facts.weight, o.share, o.entitled, o.target, o.waiting, o.running});
  }
  return all;
}

Plan PlanAdmission(const Snapshot& snapshot, const Policy& policy) {
  Planner planner(policy, snapshot.usual);
  for (const NodeFacts& node : snapshot.nodes) planner.Add(node);
  for (const OrgFacts& org : snapshot.orgs) planner.Set(org);
  planner.Advance(snapshot.now);
  for (const RunningGang& gang : snapshot.running) planner.Add(gang);
  for (const WaitingGang& gang : snapshot.waiting) planner.Add(gang);
  Planner::Decision decision = planner.Decide(snapshot.seek);
  return {std::move(decision.preemptions), std::move(decision.starts), planner.ExplainAll()};
}

}  // namespace cml::control::admission
