#include "control/port_book.h"

#include <fmt/format.h>

#include <algorithm>

namespace cml::control {

void PortBook::SetNodes(const std::vector<Node>& nodes) {
  const std::scoped_lock lock(mu_);
  for (const Node& node : nodes) nodes_[node.name].host = node.address;
}

void PortBook::Hold(const ResourceId& id, const std::vector<Placement>& placements) {
  const std::scoped_lock lock(mu_);
  for (const Placement& p : placements) {
    if (p.port == 0) continue;
    NodePorts& ports = nodes_[p.node];
    ports.taken.insert(p.port);
    // On from there: those below were given out before.
    if (p.port >= ports.next) ports.next = p.port + 1;
  }
  jobs_[id] = placements;
}

Status PortBook::Pick(const ResourceId& id, const OrgId& org, std::vector<Placement>& placements) {
  const std::scoped_lock lock(mu_);
  if (const auto it = jobs_.find(id); it != jobs_.end()) {
    const bool same = std::equal(it->second.begin(), it->second.end(), placements.begin(), placements.end(),
                                 [](const Placement& a, const Placement& b) { return a.node == b.node; });
    if (same) {
      for (std::size_t i = 0; i < placements.size(); ++i) {
        placements[i].host = it->second[i].host;
        placements[i].port = it->second[i].port;
      }
      return Ok{};
    }
    LeaveLocked(id);
  }
  for (Placement& p : placements) {
    NodePorts& ports = nodes_[p.node];
    p.host = ports.host;
    p.port = TakeOne(org, p.node, ports);
    if (p.port != 0) continue;
    for (const Placement& taken : placements) {
      if (taken.port != 0) nodes_[taken.node].taken.erase(taken.port);
    }
    return Error(Code::kUnavailable,
                 fmt::format("node {} has no free port between {} and {}", p.node, range_.first, range_.last));
  }
  jobs_[id] = placements;
  return Ok{};
}

int PortBook::TakeOne(const OrgId& org, const std::string& node, NodePorts& ports) {
  const int count = range_.last - range_.first + 1;
  for (int tries = 0; tries < count; ++tries) {
    if (ports.next == 0) ports.next = range_.start;
    if (ports.next < range_.first || ports.next > range_.last) ports.next = range_.first;
    const int port = ports.next++;
    if (ports.taken.contains(port) || !is_free_(org, node, port)) continue;
    ports.taken.insert(port);
    return port;
  }
  return 0;
}

void PortBook::Leave(const ResourceId& id) {
  const std::scoped_lock lock(mu_);
  LeaveLocked(id);
}

void PortBook::LeaveLocked(const ResourceId& id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  for (const Placement& p : it->second) {
    if (p.port != 0) nodes_[p.node].taken.erase(p.port);
  }
  jobs_.erase(it);
}

std::size_t PortBook::held() const {
  const std::scoped_lock lock(mu_);
  std::size_t all = 0;
  for (const auto& [node, ports] : nodes_) all += ports.taken.size();
  return all;
}

}  // namespace cml::control
