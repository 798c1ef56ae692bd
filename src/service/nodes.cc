#include "service/nodes.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "codec/node_json.h"
#include "service/audit.h"

namespace cml::service {
namespace {

using store::DocumentKind;
using store::DocumentWrite;

const std::string kPrefix = "cordon/";
constexpr std::size_t kMostReason = 500;

}  // namespace

Result<Nodes::Cordons> Nodes::ReadCordons() {
  store::DocumentQuery query;
  query.kind = DocumentKind::kSetting;
  query.org = OrgId{};
  query.prefix = kPrefix;
  Cordons all;
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto page, d_.store.ListDocuments(query));
    for (const store::Document& d : page) {
      CML_ASSIGN_OR_RETURN(cml::Cordon cordon, codec::DecodeCordonDocument(d.body));
      cordon.node = d.key.substr(kPrefix.size());
      query.after_org = d.org;
      query.after_key = d.key;
      all[cordon.node] = std::move(cordon);
    }
    if (page.size() < query.most) return all;
  }
}

Status Nodes::Recover() {
  const std::lock_guard lock(mu_);
  CML_ASSIGN_OR_RETURN(const Cordons cordons, ReadCordons());
  std::set<std::string> names;
  for (const auto& [name, cordon] : cordons) names.insert(name);
  d_.keep_free(std::move(names));
  return Ok{};
}

Result<std::vector<NodeState>> Nodes::List() {
  CML_ASSIGN_OR_RETURN(const Cordons cordons, ReadCordons());
  const ClusterBook book = d_.book();
  std::vector<NodeState> nodes;
  std::map<std::string, std::size_t> places;
  for (const Node& node : book.nodes) {
    NodeState state;
    state.node = node;
    if (const auto it = cordons.find(node.name); it != cordons.end()) state.cordon = it->second;
    places[node.name] = nodes.size();
    nodes.push_back(std::move(state));
  }
  std::map<OrgId, std::string> names;
  for (const ClusterShare& share : book.shares) {
    const auto place = places.find(share.placement.node);
    if (place == places.end()) continue;
    NodeState& node = nodes[place->second];
    node.millicores_used += share.limits.millicores;
    node.memory_used += share.limits.memory_bytes;
    node.gpus_used += static_cast<std::int64_t>(share.placement.gpus.size());
    NodeUser user;
    user.resource = share.resource;
    user.limits = share.limits;
    user.gpus = share.placement.gpus;
    const auto row = d_.store.Get(user.kind, share.resource);
    if (row.ok()) {  // else it is just being erased
      user.org = row.value().meta.org;
      user.name = row.value().meta.name;
      user.state = row.value().state;
      auto [name, missing] = names.try_emplace(user.org);
      if (missing) {
        const auto org = d_.store.GetOrg(user.org);
        name->second = org.ok() ? org.value().name : user.org.str();
      }
      user.org_name = name->second;
    }
    node.users.push_back(std::move(user));
  }
  return nodes;
}

Result<NodeState> Nodes::Find(const std::string& name) {
  CML_ASSIGN_OR_RETURN(auto nodes, List());
  std::vector<std::string> known;
  for (NodeState& state : nodes) {
    if (state.node.name == name) return std::move(state);
    known.push_back(state.node.name);
  }
  return Error(Code::kNotFound,
               fmt::format("there is no node {}; there are {}", Quote(name), Join(known, ", ")));
}

Status Nodes::Write(const Caller& caller, DocumentWrite write, std::string before) {
  const std::string name = write.document.key.substr(kPrefix.size());
  store::Alongside with;
  Caller platform = caller;
  platform.org = caller.home;
  with.audit =
      AuditOf(platform, d_.clock.Now(), {"node " + name, std::move(before), write.document.body});
  with.documents.push_back(std::move(write));
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  return Ok{};
}

Result<NodeState> Nodes::Cordon(const Caller& caller, const std::string& name,
                                const std::string& reason) {
  if (reason.size() > kMostReason) {
    return Error(Code::kInvalidArgument, fmt::format("reason: at most {} bytes", kMostReason));
  }
  CML_ASSIGN_OR_RETURN(const NodeState now, Find(name));
  {
    const std::lock_guard lock(mu_);
    const cml::Cordon cordon{name, reason, caller.user.empty() ? caller.key.str() : caller.user,
                             d_.clock.Now()};
    const std::string before = now.cordon ? codec::EncodeCordonDocument(*now.cordon) : "";
    DocumentWrite write;
    write.document = {DocumentKind::kSetting, OrgId{},
                      kPrefix + name,         codec::EncodeCordonDocument(cordon),
                      cordon.since,           {}};
    CML_RETURN_IF_ERROR(Write(caller, std::move(write), before));
  }
  CML_RETURN_IF_ERROR(Recover());
  return Find(name);
}

Result<NodeState> Nodes::Uncordon(const Caller& caller, const std::string& name) {
  CML_ASSIGN_OR_RETURN(const NodeState now, Find(name));
  if (now.cordon) {
    const std::lock_guard lock(mu_);
    DocumentWrite write;
    write.document = {DocumentKind::kSetting, OrgId{}, kPrefix + name, "", d_.clock.Now(), {}};
    write.act = DocumentWrite::Act::kErase;
    CML_RETURN_IF_ERROR(Write(caller, std::move(write), codec::EncodeCordonDocument(*now.cordon)));
  }
  CML_RETURN_IF_ERROR(Recover());
  return Find(name);
}

}  // namespace cml::service
