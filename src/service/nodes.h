// service/nodes.h — the use cases of nodes: what each has and who uses it, and taking one out of
// the choice for new jobs (cordon) and back.
//
// Thread-safe. Cordons are documents of the store, so they survive a restart and hold for nodes
// that are not there just now. Codes are those of the store, and kNotFound (no such node).
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/node_state.h"
#include "service/caller.h"
#include "store/store.h"

namespace cml::service {

class Nodes {
 public:
  struct Deps {
    store::Store& store;
    const Clock& clock;
    std::function<ClusterBook()> book;                           // what is given out just now
    std::function<void(std::set<std::string> nodes)> keep_free;  // these get no new jobs
  };
  explicit Nodes(Deps deps) : d_(std::move(deps)) {}

  // Before anything is admitted: what was cordoned stays so.
  Status Recover();

  Result<std::vector<NodeState>> List();
  Result<NodeState> Find(const std::string& node);

  // Both are idempotent; a second cordon changes the reason.
  Result<NodeState> Cordon(const Caller& caller, const std::string& node,
                           const std::string& reason);
  Result<NodeState> Uncordon(const Caller& caller, const std::string& node);

 private:
  using Cordons = std::map<std::string, cml::Cordon>;
  Result<Cordons> ReadCordons();
  Status Write(const Caller& caller, store::DocumentWrite write, std::string before);

  Deps d_;
  std::mutex mu_;  // a write and what follows from it are one: the last one counts for both
};

}  // namespace cml::service
