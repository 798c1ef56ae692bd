// control/admission_desk.h — keeps the book of what is given out and who waits, and asks the policy
// (control/admission/) whenever either changes.
//
// Thread-safe. The book is rebuilt from the store at start (Hold, Wait): nothing here outlives the
// process. A job that was admitted holds its share from that moment on, until Leave. Nobody is preempted
// yet: what runs counts as not preemptible.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "control/admission/planner.h"
#include "core/node_state.h"
#include "core/run.h"
#include "core/train_job.h"

namespace cml::control {

// What one replica asks for.
struct ReplicaAsk {
  Limits limits;
  std::string gpu_model;  // empty: any
};

struct WaitingJob {
  ResourceId id;
  PriorityClass priority = PriorityClass::kPreferred;
  std::int64_t rank = 0;
  SysTime since{};
  std::vector<ReplicaAsk> replicas;          // in the order of roles; all start, or none
  std::string selector_key, selector_value;  // of a node's label; empty: any node
  OrgId org;
};

class AdmissionDesk {
 public:
  // `admitted` is called without a lock, from the thread whose call made room. The clock outlives the desk.
  AdmissionDesk(std::function<void(const ResourceId&)> admitted, const Clock& clock)
      : admitted_(std::move(admitted)), clock_(clock) {}

  void SetNodes(std::vector<Node> nodes);
  // Cordoned nodes: nothing new is placed on them; what holds a share there keeps it.
  void KeepFree(std::set<std::string> nodes);
  struct Held {
    OrgId org;
    std::vector<Placement> placements;  // one per replica
    std::vector<ReplicaAsk> replicas;
  };
  void Hold(const ResourceId& id, const Held& held);
  void Wait(const WaitingJob& job);  // a no-op for a job that waits or holds already
  void Leave(const ResourceId& id);

  struct Verdict {
    std::optional<std::vector<Placement>> placements;  // one per replica
    std::string reason;                                // why it waits
  };
  Verdict Ask(const ResourceId& id) const;

  struct Counts {
    std::size_t waiting = 0, holding = 0;
  };
  Counts counts() const;
  ClusterBook Book() const;  // as it is just now

 private:
  void Rebuild();                    // requires mu_; the planner, of what the book says
  std::vector<ResourceId> Replan();  // requires mu_
  std::string WithCordoned(std::string reason) const;  // requires mu_
  void Charge();                     // requires mu_
  void Tell(const std::vector<ResourceId>& ids) const;

  const std::function<void(const ResourceId&)> admitted_;
  const Clock& clock_;
  mutable std::mutex mu_;
  std::vector<Node> nodes_;                                    // guarded by mu_
  std::set<std::string> cordoned_;                             // guarded by mu_; names of nodes
  std::unique_ptr<admission::Planner> planner_;                // guarded by mu_; none without nodes
  std::unordered_map<ResourceId, Held> held_;                  // guarded by mu_
  std::unordered_map<ResourceId, WaitingJob> waiting_;         // guarded by mu_
  std::map<OrgId, admission::UseLedger> ledgers_;              // guarded by mu_
  std::vector<admission::Planner::Standing> standings_;        // guarded by mu_; since charged_
  SysTime charged_{};                                          // guarded by mu_
};

}  // namespace cml::control
