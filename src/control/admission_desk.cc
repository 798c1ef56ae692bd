#include "control/admission_desk.h"

#include <utility>

namespace cml::control {
namespace {

// Only this many of the queue are looked at in one go: a decision stays cheap, and those behind
// could not start before them anyway on the resources they wait for.
constexpr std::size_t kWindow = 200;

}  // namespace

void AdmissionDesk::SetNodes(std::vector<Node> nodes) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    nodes_ = std::move(nodes);
    told = Replan();
  }
  Tell(told);
}

void AdmissionDesk::KeepFree(std::set<std::string> nodes) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    cordoned_ = std::move(nodes);
    told = Replan();
  }
  Tell(told);
}

void AdmissionDesk::Hold(const ResourceId& id, std::vector<Placement> placements, std::vector<Limits> limits) {
  const std::scoped_lock lock(mu_);
  shares_[id] = {std::move(placements), std::move(limits)};
}

void AdmissionDesk::Wait(const WaitingJob& job) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    if (shares_.contains(job.id) || !waiting_.emplace(job.id, job).second) return;
    queue_.insert(job);
    told = Replan();
  }
  std::erase(told, job.id);  // its controller is the caller, and asks next
  Tell(told);
}

void AdmissionDesk::Leave(const ResourceId& id) {
  std::vector<ResourceId> told;
  {
    const std::scoped_lock lock(mu_);
    const bool held = shares_.erase(id) > 0;
    if (const auto it = waiting_.find(id); it != waiting_.end()) {
      queue_.erase(it->second);
      waiting_.erase(it);
    } else if (!held) {
      return;
    }
    reasons_.erase(id);
    told = Replan();
  }
  Tell(told);
}

AdmissionDesk::Verdict AdmissionDesk::Ask(const ResourceId& id) const {
  const std::scoped_lock lock(mu_);
  if (const auto it = shares_.find(id); it != shares_.end()) return {it->second.placements, ""};
  if (const auto it = reasons_.find(id); it != reasons_.end()) return {std::nullopt, it->second};
  if (nodes_.empty()) return {std::nullopt, "the cluster's nodes are not known yet"};
  return {std::nullopt, "more than " + std::to_string(kWindow) + " jobs wait before it"};
}

AdmissionDesk::Counts AdmissionDesk::counts() const {
  const std::scoped_lock lock(mu_);
  return {waiting_.size(), shares_.size()};
}

ClusterBook AdmissionDesk::Book() const {
  const std::scoped_lock lock(mu_);
  ClusterBook book{nodes_, {}};
  for (const auto& [id, share] : shares_) {
    for (std::size_t i = 0; i < share.placements.size() && i < share.limits.size(); ++i) {
      book.shares.push_back({id, share.placements[i], share.limits[i]});
    }
  }
  return book;
}

void AdmissionDesk::SayCordoned() {
  std::string names;
  std::size_t count = 0;
  for (const Node& node : nodes_) {
    if (!cordoned_.contains(node.name)) continue;
    names += (count++ == 0 ? "" : ", ") + node.name;
  }
  if (count == 0) return;
  for (auto& [id, reason] : reasons_) {
    reason = count == nodes_.size() ? "every node is cordoned: " + names
                                    : reason + " (not counted, as cordoned: " + names + ")";
  }
}

std::vector<ResourceId> AdmissionDesk::Replan() {
  reasons_.clear();
  if (queue_.empty() || nodes_.empty()) return {};
  std::vector<NodeUse> use;
  for (const Node& node : nodes_) {
    if (!cordoned_.contains(node.name)) use.push_back({node, 0, 0, {}});
  }
  for (const auto& [id, share] : shares_) {
    for (std::size_t i = 0; i < share.placements.size() && i < share.limits.size(); ++i) {
      const Placement& placement = share.placements[i];
      for (NodeUse& n : use) {
        if (n.node.name != placement.node) continue;
        n.millicores_used += share.limits[i].millicores;
        n.memory_used += share.limits[i].memory_bytes;
        n.gpus_used.insert(n.gpus_used.end(), placement.gpus.begin(), placement.gpus.end());
      }
    }
  }
  std::vector<WaitingJob> first;
  for (auto it = queue_.begin(); it != queue_.end() && first.size() < kWindow; ++it) first.push_back(*it);
  AdmissionPlan plan = PlanAdmission(std::move(use), first);
  reasons_ = std::move(plan.reasons);
  SayCordoned();
  std::vector<ResourceId> started;
  for (Admission& start : plan.starts) {
    const auto it = waiting_.find(start.id);
    const WaitingJob& job = it->second;
    shares_[start.id] = {std::move(start.placements),
                         job.replicas.empty() ? std::vector<Limits>{job.ask} : job.replicas};
    queue_.erase(it->second);
    waiting_.erase(it);
    started.push_back(start.id);
  }
  return started;
}

void AdmissionDesk::Tell(const std::vector<ResourceId>& ids) const {
  for (const ResourceId& id : ids) admitted_(id);
}

}  // namespace cml::control
