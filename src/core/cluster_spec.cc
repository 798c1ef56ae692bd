#include "core/cluster_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace cml {
namespace {

using Variables = std::map<std::string, std::string>;

bool IsChiefRole(std::string_view role) { return role == "chief" || role == "master"; }

std::string HostPort(const ClusterAddress& a) {
  const bool v6 = a.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", a.host, a.port) : fmt::format("{}:{}", a.host, a.port);
}

// A JSON string with its quotes (RFC 8259); the texts are UTF-8.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::vector<std::string> HostPorts(const ClusterRole& role) {
  std::vector<std::string> all;
  for (const ClusterAddress& a : role.replicas) all.push_back(HostPort(a));
  return all;
}

const ClusterRole* Find(const Cluster& cluster, std::string_view name) {
  for (const ClusterRole& role : cluster.roles) {
    if (role.name == name && !role.replicas.empty()) return &role;
  }
  return nullptr;
}

// Those that compute together, in order of their rank: the chief first, then everybody who is
// neither a parameter server nor an evaluator.
struct Trainer {
  std::string_view role;
  std::uint32_t index;
  const ClusterAddress* address;
};
std::vector<Trainer> Trainers(const Cluster& cluster) {
  std::vector<Trainer> all;
  for (const bool chiefs : {true, false}) {
    for (const ClusterRole& role : cluster.roles) {
      if (role.name == "ps" || role.name == "evaluator" || IsChiefRole(role.name) != chiefs) continue;
      for (std::uint32_t i = 0; i < role.replicas.size(); ++i) {
        all.push_back({role.name, i, &role.replicas[i]});
      }
    }
  }
  return all;
}

std::optional<std::size_t> RankOf(const std::vector<Trainer>& trainers, std::string_view role,
                                  std::uint32_t index) {
  for (std::size_t i = 0; i < trainers.size(); ++i) {
    if (trainers[i].role == role && trainers[i].index == index) return i;
  }
  return std::nullopt;
}

// torch.distributed, and what else follows its names.
void AddRanks(const std::vector<Trainer>& trainers, std::optional<std::size_t> rank, Variables& v) {
  if (!rank) return;
  v["MASTER_ADDR"] = trainers.front().address->host;
  v["MASTER_PORT"] = std::to_string(trainers.front().address->port);
  v["WORLD_SIZE"] = std::to_string(trainers.size());
  v["RANK"] = std::to_string(*rank);
  // Each replica sees its own GPUs alone, so it is the first and only one where it is.
  v["LOCAL_RANK"] = "0";
  v["LOCAL_WORLD_SIZE"] = "1";
}

// MXNet's scheduler is a process of its own: the chief, or else the first worker's address.
void AddMxnet(const Cluster& cluster, std::string_view role, std::uint32_t index, Variables& v) {
  const auto trainers = Trainers(cluster);
  const bool scheduled = IsChiefRole(trainers.front().role);
  const ClusterRole* servers = Find(cluster, "ps");
  v["DMLC_PS_ROOT_URI"] = v["DMLC_TRACKER_URI"] = trainers.front().address->host;
  v["DMLC_PS_ROOT_PORT"] = v["DMLC_TRACKER_PORT"] = std::to_string(trainers.front().address->port);
  v["DMLC_NUM_WORKER"] = std::to_string(trainers.size() - (scheduled ? 1 : 0));
  v["DMLC_NUM_SERVER"] = std::to_string(servers ? servers->replicas.size() : 0);
  v["DMLC_ROLE"] = role == "ps" ? "server" : IsChiefRole(role) ? "scheduler" : "worker";
  v["DMLC_TASK_ID"] = std::to_string(index);
}

// XGBoost's collective: the tracker is started by the program of rank 0, on that replica's port.
void AddXgboost(const std::vector<Trainer>& trainers, std::optional<std::size_t> rank, Variables& v) {
  if (!rank) return;
  v["DMLC_TRACKER_URI"] = trainers.front().address->host;
  v["DMLC_TRACKER_PORT"] = std::to_string(trainers.front().address->port);
  v["DMLC_NUM_WORKER"] = std::to_string(trainers.size());
  v["DMLC_NUM_SERVER"] = "0";
  v["DMLC_ROLE"] = "worker";
  v["DMLC_TASK_ID"] = std::to_string(*rank);
}

void AddPaddle(const Cluster& cluster, std::string_view role, std::uint32_t index, Variables& v) {
  const auto trainers = Trainers(cluster);
  const ClusterRole* servers = Find(cluster, "ps");
  std::vector<std::string> endpoints;
  for (const Trainer& t : trainers) endpoints.push_back(HostPort(*t.address));
  v["PADDLE_TRAINERS_NUM"] = std::to_string(trainers.size());
  v["PADDLE_TRAINER_ENDPOINTS"] = fmt::format("{}", fmt::join(endpoints, ","));
  if (servers) v["PADDLE_PSERVERS_IP_PORT_LIST"] = fmt::format("{}", fmt::join(HostPorts(*servers), ","));
  if (role == "ps" && servers && index < servers->replicas.size()) {
    const ClusterAddress& own = servers->replicas[index];
    v["TRAINING_ROLE"] = "PSERVER";
    v["PADDLE_CURRENT_ENDPOINT"] = HostPort(own);
    v["POD_IP"] = own.host;
    v["PADDLE_PORT"] = std::to_string(own.port);
  } else if (const auto rank = RankOf(trainers, role, index)) {
    v["TRAINING_ROLE"] = "TRAINER";
    v["PADDLE_TRAINER_ID"] = std::to_string(*rank);
    v["PADDLE_CURRENT_ENDPOINT"] = endpoints[*rank];
  }
}

void AddJax(const std::vector<Trainer>& trainers, std::optional<std::size_t> rank, Variables& v) {
  if (!rank) return;
  v["JAX_COORDINATOR_ADDRESS"] = HostPort(*trainers.front().address);
  v["JAX_NUM_PROCESSES"] = std::to_string(trainers.size());
  v["JAX_PROCESS_ID"] = std::to_string(*rank);
}

}  // namespace

std::string TfConfig(const Cluster& cluster, std::string_view role, std::uint32_t index) {
  std::vector<std::string> roles;
  for (const ClusterRole& r : cluster.roles) {
    if (r.name == "evaluator" || r.replicas.empty()) continue;
    std::vector<std::string> addresses;
    for (const std::string& a : HostPorts(r)) addresses.push_back(Quoted(a));
    roles.push_back(fmt::format("{}: [{}]", Quoted(r.name), fmt::join(addresses, ", ")));
  }
  std::vector<std::string> job;
  for (const auto& [name, value] : cluster.job) {
    job.push_back(fmt::format("{}: {}", Quoted(name), Quoted(value)));
  }
  const std::string trial = cluster.trial.empty() ? "" : ", \"trial\": " + Quoted(cluster.trial);
  return fmt::format("{{\"cluster\": {{{}}}, \"task\": {{\"type\": {}, \"index\": {}{}}}, \"job\": {{{}}}, "
                     "\"environment\": \"cloud\"}}",
                     fmt::join(roles, ", "), Quoted(role), index, trial, fmt::join(job, ", "));
}

Variables ClusterVariables(const Cluster& cluster, std::string_view role, std::uint32_t index) {
  std::size_t replicas = 0;
  for (const ClusterRole& r : cluster.roles) replicas += r.replicas.size();
  Variables v;
  if (replicas < 2) return v;
  v["TF_CONFIG"] = v["CLUSTER_SPEC"] = TfConfig(cluster, role, index);
  const auto trainers = Trainers(cluster);
  const auto rank = RankOf(trainers, role, index);
  if (!Find(cluster, "ps")) AddRanks(trainers, rank, v);
  if (trainers.empty() || role == "evaluator") return v;
  if (cluster.framework == "mxnet") AddMxnet(cluster, role, index, v);
  if (cluster.framework == "xgboost") AddXgboost(trainers, rank, v);
  if (cluster.framework == "paddlepaddle" || cluster.framework == "paddle") {
    AddPaddle(cluster, role, index, v);
  }
  if (cluster.framework == "jax") AddJax(trainers, rank, v);
  return v;
}

}  // namespace cml
