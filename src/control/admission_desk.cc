#include "control/admission_desk.h"

#include <fmt/format.h>

#include <utility>

namespace cml::control {
namespace {

using admission::WaitKind;

// Beyond this the exact place in the queue is not told: it would be news for every job behind each one that
// starts, and each piece of news is a write.
constexpr std::int64_t kExactPositions = 100;

// Replicas that ask for the same and stand together are one role: placements keep their order.
admission::GangAsk GangOf(const std::vector<ReplicaAsk>& replicas) {
  admission::GangAsk gang;
  for (const ReplicaAsk& replica : replicas) {
    admission::Ask ask;
    const Limits& limits = replica.limits;
    ask.amounts = {limits.millicores, limits.memory_bytes, limits.gpus * admission::kWholeCard};
    if (limits.gpus > 0) ask.gpu_model = replica.gpu_model;
    if (gang.empty() || gang.back().ask != ask) {
      gang.push_back({1, ask});
    } else {
      ++gang.back().replicas;
    }
  }
  return gang;
}

admission::WaitingGang WaitingFacts(const WaitingJob& job) {
  admission::WaitingGang gang;
  gang.id = job.id;
  gang.org = job.org;
  gang.priority = {job.priority, job.rank};
  gang.since = job.since;
  gang.gang = GangOf(job.replicas);
  if (!job.selector_key.empty()) {
    for (admission::RoleAsk& role : gang.gang) role.ask.selector[job.selector_key] = job.selector_value;
  }
  return gang;
}

admission::RunningGang RunningFacts(const ResourceId& id, const AdmissionDesk::Held& held, SysTime now) {
  admission::RunningGang gang;
  gang.id = id;
  gang.org = held.org;
  gang.gang = GangOf(held.replicas);
  gang.started = now;  // matters for preemption alone
  gang.placements = held.placements;
  return gang;
}

std::string Ordinal(std::int64_t n) {
  const bool teens = n % 100 >= 11 && n % 100 <= 13;
  return fmt::format("{}{}", n, teens ? "th" : n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th");
}

std::string Sentence(const admission::WaitReason& reason) {
  switch (reason.kind) {
    case WaitKind::kNoSuchNode:
    case WaitKind::kNeverFits:
    case WaitKind::kOverQuota:
      return reason.sentence;  // its place in the queue does not matter
    case WaitKind::kQuota:
    case WaitKind::kNoRoom:
    case WaitKind::kReserved:
    case WaitKind::kPreempted:
      break;
  }
  if (reason.position <= 1) return reason.sentence;
  if (reason.position > kExactPositions) return fmt::format("more than {} jobs wait before it", kExactPositions - 1);
  return fmt::format("{}; {} in queue", reason.sentence, Ordinal(reason.position));
}

}  // namespace

void AdmissionDesk::SetNodes(std::vector<Node> nodes) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    nodes_ = std::move(nodes);
    Rebuild();
    told = Replan();
  }
  Tell(told);
}

void AdmissionDesk::KeepFree(std::set<std::string> nodes) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    if (cordoned_ == nodes) return;
    cordoned_ = std::move(nodes);
    Rebuild();
    told = Replan();
  }
  Tell(told);
}

void AdmissionDesk::Rebuild() {
  planner_.reset();
  if (nodes_.empty()) return;
  const SysTime now = clock_.Now();
  planner_ = std::make_unique<admission::Planner>();
  for (const Node& node : nodes_) {
    using admission::NodeUse;
    planner_->Add(admission::NodeFacts{node, cordoned_.contains(node.name) ? NodeUse::kCordoned : NodeUse::kOpen});
  }
  planner_->Advance(now);
  for (const auto& [id, held] : held_) planner_->Add(RunningFacts(id, held, now));
  for (const auto& [id, job] : waiting_) planner_->Add(WaitingFacts(job));
}

void AdmissionDesk::Hold(const ResourceId& id, const Held& held) {
  const std::scoped_lock lock(mu_);
  if (!held_.emplace(id, held).second) return;
  if (planner_) planner_->Add(RunningFacts(id, held, clock_.Now()));
}

void AdmissionDesk::Wait(const WaitingJob& job) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    if (held_.contains(job.id) || !waiting_.emplace(job.id, job).second) return;
    if (planner_) planner_->Add(WaitingFacts(job));
    told = Replan();
  }
  std::erase(told, job.id);  // its controller is the caller, and asks next
  Tell(told);
}

void AdmissionDesk::Leave(const ResourceId& id) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    if (held_.erase(id) + waiting_.erase(id) == 0) return;
    if (planner_) planner_->Remove(id);
    told = Replan();
  }
  Tell(told);
}

AdmissionDesk::Verdict AdmissionDesk::Ask(const ResourceId& id) const {
  const std::scoped_lock lock(mu_);
  if (const auto it = held_.find(id); it != held_.end()) return {it->second.placements, ""};
  if (!planner_) return {std::nullopt, "the cluster's nodes are not known yet"};
  if (!waiting_.contains(id)) return {};
  return {std::nullopt, WithCordoned(Sentence(planner_->Explain(id)))};
}

AdmissionDesk::Counts AdmissionDesk::counts() const {
  const std::scoped_lock lock(mu_);
  return {waiting_.size(), held_.size()};
}

ClusterBook AdmissionDesk::Book() const {
  const std::scoped_lock lock(mu_);
  ClusterBook book{nodes_, {}};
  for (const auto& [id, held] : held_) {
    for (std::size_t i = 0; i < held.placements.size() && i < held.replicas.size(); ++i) {
      book.shares.push_back({id, held.placements[i], held.replicas[i].limits});
    }
  }
  return book;
}

std::string AdmissionDesk::WithCordoned(std::string reason) const {
  std::string names;
  std::size_t count = 0;
  for (const Node& node : nodes_) {
    if (!cordoned_.contains(node.name)) continue;
    names += (count++ == 0 ? "" : ", ") + node.name;
  }
  if (count == 0) return reason;
  if (count == nodes_.size()) return "every node is cordoned: " + names;
  return reason + " (not counted, as cordoned: " + names + ")";
}

// What each organisation had and was entitled to since the last time.
void AdmissionDesk::Charge() {
  const SysTime now = clock_.Now();
  if (now > charged_) {
    const double seconds = std::chrono::duration<double>(now - charged_).count();
    for (const auto& s : standings_) ledgers_[s.org].Charge(seconds, s.share, s.entitled);
    charged_ = now;
  }
  for (const auto& [org, ledger] : ledgers_) {
    admission::OrgFacts facts;
    facts.id = org;
    facts.over_use = ledger.over_use();
    planner_->Set(facts);
  }
}

std::vector<ResourceId> AdmissionDesk::Replan() {
  if (!planner_) return {};
  Charge();
  planner_->Advance(clock_.Now());
  std::vector<ResourceId> started;
  for (admission::Start& start : planner_->Decide(admission::Seek::kFreeRoom).starts) {
    const auto it = waiting_.find(start.id);
    held_[start.id] = {it->second.org, std::move(start.placements), it->second.replicas};
    waiting_.erase(it);
    started.push_back(start.id);
  }
  standings_ = planner_->Standings();
  return started;
}

void AdmissionDesk::Tell(const std::vector<ResourceId>& ids) const {
  for (const ResourceId& id : ids) admitted_(id);
}

}  // namespace cml::control
