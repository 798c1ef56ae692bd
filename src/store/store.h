// store/store.h — the seam to durable state: organisations, keys, resources and their events.
// sqlite/ implements it; postgres/ and etcd/ have their folders later.
//
// A resource is a wish (written by the API) and a record (written by its controller) under one
// revision. Here both are JSON text; store/resources.h gives them their types.
//
// Promises of every implementation (testing/store_contract.h):
//   1. Thread-safe. Writes of concurrent callers may be committed together; each is all or nothing.
//   2. A write that has returned OK survives kill -9 and power loss.
//   3. A read sees every write that returned before it was called.
//   4. kConflict: somebody wrote first and nothing was changed. kFailedPrecondition: the leader
//      token is older than the newest seen, and nothing was changed.
//   5. kUnavailable: no space or no connection; nothing was changed, and the same call works again
//      when the cause is gone.
//   6. kNotFound from a save or an erase: the row is gone, and so are its events.
// Calls may block for as long as a disk takes; point reads of a cached page take microseconds.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "core/identity.h"
#include "core/resource.h"

namespace cml::store {

// Grows with each write of the row. 0: there is no row yet.
enum class Revision : std::uint64_t {};

// Proof of leadership (leader.h). A leader that was paused and lost its lease cannot write.
enum class LeaderToken : std::uint64_t {};

struct Row {
  ResourceKind kind = ResourceKind::kTrainJob;
  Meta meta;
  std::string wish;        // JSON
  std::string record;      // JSON
  std::string state;       // copy of the record's state, for filters and counts
  bool live = true;        // false: being deleted; its name is free again
  bool unfinished = true;  // a controller has something to do
  Revision revision{};
};

struct ListQuery {
  std::optional<OrgId> org;  // nullopt: all organisations
  std::size_t most = 100;
  // Newest first; rows after this one (created and id of the last row of the page before).
  SysTime after_created{};
  ResourceId after_id;
};

class Store {
 public:
  virtual ~Store() = default;

  // ---- organisations and keys
  virtual Result<Org> CreateOrg(const Org& org) = 0;  // kAlreadyExists by name; empty id: assigned
  virtual Result<Org> GetOrg(const OrgId& id) = 0;
  virtual Result<std::vector<Org>> ListOrgs() = 0;
  virtual Status PutKey(const ApiKey& key) = 0;  // inserts or replaces
  virtual Result<ApiKey> GetKey(const AccessKey& key) = 0;
  virtual Result<std::vector<ApiKey>> ListKeys(const OrgId& org) = 0;

  // ---- resources
  // kAlreadyExists: a live row of that kind has the name in that organisation. kConflict: the id is
  // in use. row.revision is not looked at.
  virtual Result<Revision> Insert(const Row& row, const std::vector<Event>& events) = 0;
  // The live row of that name, else the newest one being deleted.
  virtual Result<Row> Find(ResourceKind kind, const OrgId& org, const std::string& name) = 0;
  // Differs from every earlier stamp of the name once what Find gives for it may differ, and stays
  // the same while it does not: whoever takes it before a Find may keep what he found as long as
  // the stamp stays. 0: this store cannot tell, keep nothing.
  virtual std::uint64_t NameStamp(ResourceKind, const OrgId&, const std::string&) const { return 0; }
  virtual Result<Row> Get(ResourceKind kind, const ResourceId& id) = 0;
  virtual Result<std::vector<Row>> List(ResourceKind kind, const ListQuery& query) = 0;
  virtual Result<std::vector<ResourceId>> ListUnfinished(ResourceKind kind) = 0;
  virtual Result<std::uint64_t> CountUnfinished(ResourceKind kind) = 0;
  // Writes wish, live, unfinished, meta.updated iff the row is still at row.revision.
  // kAlreadyExists: the row would come alive under a name that is taken.
  virtual Result<Revision> SaveWish(const Row& row, const std::vector<Event>& events) = 0;
  // Writes record, state, unfinished, meta.updated iff the row is still at row.revision and
  // `leader` is current. A token newer than all seen makes the older ones stale.
  virtual Result<Revision> SaveRecord(const Row& row, LeaderToken leader,
                                      const std::vector<Event>& events) = 0;
  // Removes the row and its events iff it is still at row.revision and `leader` is current.
  virtual Status Erase(const Row& row, LeaderToken leader) = 0;

  // ---- events
  // An event with the type, reason and message of the resource's newest one raises that one's
  // count.
  virtual Status AddEvent(ResourceKind kind, const ResourceId& id, const Event& event) = 0;
  virtual Result<std::vector<Event>> Events(ResourceKind kind,
                                            const ResourceId& id) = 0;  // oldest first

  // ---- leadership, upkeep
  virtual Result<LeaderToken> BecomeLeader() = 0;                // greater than every token before
  virtual Status Ping() = 0;                                     // can it write? for /readyz
  virtual Status Backup(const std::filesystem::path& file) = 0;  // consistent copy while in use
};

}  // namespace cml::store
