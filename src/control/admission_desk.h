// control/admission_desk.h — keeps the book of what is given out and who waits, and asks
// PlanAdmission whenever either changes.
//
// Thread-safe. The book is rebuilt from the store at start (Hold, Wait): nothing here outlives the
// process. A job that was admitted holds its share from that moment on, until Leave.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/plan_admission.h"
#include "core/node_state.h"

namespace cml::control {

class AdmissionDesk {
 public:
  // `admitted` is called without a lock, from the thread whose call made room.
  explicit AdmissionDesk(std::function<void(const ResourceId&)> admitted) : admitted_(std::move(admitted)) {}

  void SetNodes(std::vector<Node> nodes);
  // Cordoned nodes: nothing new is placed on them; what holds a share there keeps it.
  void KeepFree(std::set<std::string> nodes);
  // One placement and one entry of limits per replica.
  void Hold(const ResourceId& id, std::vector<Placement> placements, std::vector<Limits> limits);
  void Wait(const WaitingJob& job);  // a no-op for a job that waits or holds already
  void Leave(const ResourceId& id);

  struct Verdict {
    std::optional<std::vector<Placement>> placements;  // one per replica
    std::string reason;  // why it waits
  };
  Verdict Ask(const ResourceId& id) const;

  struct Counts {
    std::size_t waiting = 0, holding = 0;
  };
  Counts counts() const;
  ClusterBook Book() const;  // as it is just now

 private:
  struct Share {
    std::vector<Placement> placements;
    std::vector<Limits> limits;
  };
  std::vector<ResourceId> Replan();  // requires mu_
  void SayCordoned();                // requires mu_; adds it to the reasons
  void Tell(const std::vector<ResourceId>& ids) const;

  const std::function<void(const ResourceId&)> admitted_;
  mutable std::mutex mu_;
  std::vector<Node> nodes_;                                    // guarded by mu_
  std::set<std::string> cordoned_;                             // guarded by mu_; names of nodes
  std::unordered_map<ResourceId, Share> shares_;               // guarded by mu_
  std::set<WaitingJob> queue_;                                 // guarded by mu_
  std::unordered_map<ResourceId, WaitingJob> waiting_;         // guarded by mu_
  std::map<ResourceId, std::string> reasons_;                  // guarded by mu_
};

}  // namespace cml::control
