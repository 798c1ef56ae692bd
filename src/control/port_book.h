// control/port_book.h — who has which port of which node: the addresses of a distributed job's
// replicas are picked here before anything starts, and no two live jobs share one.
//
// Thread-safe. Like the admission desk's, this book is rebuilt from the store at start (Hold);
// nothing here outlives the process. A job has its ports until Leave. A port that was given back
// is the last to be given out again, so that nobody takes a job for the one before it.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::control {

class PortBook {
 public:
  // Below the range from which systems take the ports of outgoing connections.
  struct Range {
    int first = 20'000, last = 29'999;
    int start = 0;  // the first one to be given out; others of this machine may begin elsewhere
  };
  // Is it free there now, for a job of the organisation? Asked before a port is given out, with the
  // book's lock held.
  using IsFree = std::function<bool(const OrgId& org, const std::string& node, int port)>;

  PortBook() : PortBook(Range{}, [](const OrgId&, const std::string&, int) { return true; }) {}
  PortBook(Range range, IsFree is_free) : range_(range), is_free_(std::move(is_free)) {}

  // Addresses of nodes; one without an address gives its replicas each one of their own.
  void SetNodes(const std::vector<Node>& nodes);
  // What the record says that the job has.
  void Hold(const ResourceId& id, const std::vector<Placement>& placements);
  // Host and port of each placement. The same ones again for a job that has ports on those nodes.
  // kUnavailable: too few are free.
  Status Pick(const ResourceId& id, const OrgId& org, std::vector<Placement>& placements);
  void Leave(const ResourceId& id);

  std::size_t held() const;  // ports

 private:
  struct NodePorts {
    std::string host;
    std::set<int> taken;
    int next = 0;
  };
  int TakeOne(const OrgId& org, const std::string& node, NodePorts& ports);  // requires mu_; 0: none is free
  void LeaveLocked(const ResourceId& id);                  // requires mu_

  const Range range_;
  const IsFree is_free_;
  mutable std::mutex mu_;
  std::map<std::string, NodePorts> nodes_;                           // guarded by mu_
  std::unordered_map<ResourceId, std::vector<Placement>> jobs_;      // guarded by mu_
};

}  // namespace cml::control
