#include "control/track_replicas.h"

#include <fmt/format.h>

#include <algorithm>

namespace cml::control {
namespace {

void Tell(const Replica& was, const ReplicaStatus& is, SysTime now, std::vector<Event>& events) {
  const std::string name = ReplicaNameOf(is);
  const auto say = [&](EventType type, std::string reason, std::string_view message) {
    events.push_back({now, now, 1, type, std::move(reason), fmt::format("{}: {}", name, message)});
  };
  if (is.restarts > was.status.restarts) say(EventType::kWarning, "Restarted", is.message);
  if (is.state == was.status.state) return;
  switch (is.state) {
    case RunState::kPending: return;
    case RunState::kRunning:
      if (is.restarts > was.status.restarts) return;
      return say(EventType::kNormal, "Started",
                 was.placement.port == 0
                     ? fmt::format("runs on node {}", was.placement.node)
                     : fmt::format("runs on node {} as {}:{}", was.placement.node, was.placement.host,
                                   was.placement.port));
    case RunState::kSucceeded: return say(EventType::kNormal, "Completed", "ended with exit status 0");
    case RunState::kFailed:
      return say(is.reason == "Stopped" ? EventType::kNormal : EventType::kWarning, is.reason, is.message);
  }
}

}  // namespace

std::vector<Replica> PlacedReplicas(const std::vector<RolePlan>& roles, const std::vector<Placement>& placements) {
  std::vector<Replica> rows;
  for (const RolePlan& role : roles) {
    for (std::uint32_t i = 0; i < role.replicas; ++i) {
      Replica row;
      row.status.role = role.name;
      row.status.index = i;
      if (rows.size() < placements.size()) row.placement = placements[rows.size()];
      row.status.node = row.placement.node;
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

News TrackReplicas(const std::vector<ReplicaStatus>& seen, SysTime now, TrainJobRecord& record,
                   std::vector<Event>& events) {
  News news = News::kNone;
  for (Replica& row : record.replicas) {
    const auto it = std::find_if(seen.begin(), seen.end(), [&](const ReplicaStatus& s) {
      return s.role == row.status.role && s.index == row.status.index;
    });
    if (it == seen.end()) continue;
    if (it->state != row.status.state || it->restarts != row.status.restarts) {
      news = News::kSome;
      Tell(row, *it, now, events);
    }
    row.status = *it;
  }
  return news;
}

Usage Sum(const std::vector<ReplicaStatus>& replicas) {
  Usage all;
  for (const ReplicaStatus& r : replicas) {
    all.cpu_millis += r.usage.cpu_millis;
    all.cpu_percent += r.usage.cpu_percent;
    all.memory_bytes += r.usage.memory_bytes;
    all.memory_peak += r.usage.memory_peak;
    all.receive_bytes += r.usage.receive_bytes;
    all.transmit_bytes += r.usage.transmit_bytes;
  }
  return all;
}

}  // namespace cml::control
