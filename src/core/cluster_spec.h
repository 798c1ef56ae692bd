// core/cluster_spec.h — what a replica of a distributed job finds in its environment: who the others
// are, and who it is itself, in the words of each framework (training environment, sections 2 and
// 3). Pure; the same cluster gives the same text on every replica.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cml {

struct ClusterAddress {
  std::string host;
  int port = 0;
};
struct ClusterRole {
  std::string name;  // chief, master, worker, ps, evaluator, or another
  std::vector<ClusterAddress> replicas;
};

struct Cluster {
  std::vector<ClusterRole> roles;
  std::string framework;                                // "tensorflow", "mxnet", …; empty: unknown
  std::vector<std::pair<std::string, std::string>> job;  // the job's own input: fields of TF_CONFIG's "job"
  std::string trial;                                    // of a tuning job, from "1"; empty: none
};

// TF_CONFIG of the replica `index` of `role`; an evaluator is in no cluster, not even its own.
std::string TfConfig(const Cluster& cluster, std::string_view role, std::uint32_t index);

// All variables of that replica. Empty when the cluster has fewer than two replicas: a program alone
// must not think that it is one of many.
std::map<std::string, std::string> ClusterVariables(const Cluster& cluster, std::string_view role,
                                                    std::uint32_t index);

}  // namespace cml
