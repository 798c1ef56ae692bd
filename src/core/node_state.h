// core/node_state.h — the machines of the cluster as an administrator sees them: what each has, who
// holds what of it, and whether it takes new jobs. Pure values.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/resource.h"
#include "core/run.h"

namespace cml {

// What admission has given out: one share per replica.
struct ClusterShare {
  ResourceId resource;
  Placement placement;
  Limits limits;
};
struct ClusterBook {
  std::vector<Node> nodes;
  std::vector<ClusterShare> shares;
};

// A node that gets no new jobs; what runs on it goes on.
struct Cordon {
  std::string node;
  std::string reason;  // of whoever did it
  std::string by;      // user, or access key
  SysTime since{};
};

struct NodeUser {
  ResourceId resource;
  ResourceKind kind = ResourceKind::kTrainJob;
  OrgId org;
  std::string org_name, name, state;
  Limits limits;
  std::vector<int> gpus;  // indices
};

struct NodeState {
  Node node;
  std::optional<Cordon> cordon;
  std::int64_t millicores_used = 0, memory_used = 0, gpus_used = 0;
  std::vector<NodeUser> users;
};

}  // namespace cml
