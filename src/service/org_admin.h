// service/org_admin.h — the use cases of organisations: made, renamed, described, suspended, resumed,
// and deleted with everything in them.
//
// Thread-safe; blocks as long as the store does. Who may call what stands in api/access_table.cc.
// Codes are those of the store, and kInvalidArgument (a field), kPermissionDenied,
// kFailedPrecondition (its state), kAlreadyExists (the name). An organisation that is not the
// caller's own is kNotFound for all but platform administrators, as if it were not there.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "codec/identity_json.h"
#include "objectstore/object_store.h"
#include "service/idempotency.h"
#include "service/orgs.h"

namespace cml::service {

class OrgAdmin {
 public:
  struct Deps {
    store::Store& store;
    Orgs& orgs;
    objectstore::ObjectStore& objects;
    const Clock& clock;
    std::function<void(const Org&)> changed;  // of its state: wakes the controllers
    // Gives a new organisation its quota; may be called again for the same one.
    std::function<Status(const OrgId&)> give_quota{};
  };
  explicit OrgAdmin(Deps deps) : d_(std::move(deps)) {}

  // With its default bucket. Done once for an idempotency key.
  Result<Org> Create(const Caller& caller, const codec::OrgFields& fields);
  Result<std::vector<Org>> List(const Caller& caller);
  // By number or name.
  Result<Org> Describe(const Caller& caller, const std::string& id_or_name);
  // Name, mail, description, project. The name is a platform administrator's to change.
  Result<Org> Update(const Caller& caller, const std::string& id_or_name, const codec::OrgFields& fields);
  // Reads stay allowed, changes are refused with the reason; what waits is not started, what runs
  // goes on.
  Result<Org> Suspend(const Caller& caller, const std::string& id_or_name, const std::string& reason);
  Result<Org> Resume(const Caller& caller, const std::string& id_or_name);
  // From now on its keys are refused; control/org_controller.h does the rest. Again: no change.
  Result<Org> Delete(const Caller& caller, const std::string& id_or_name);

  // Brings back what a crash in the middle of Create left out. At start.
  Status Repair();

 private:
  Result<Org> Make(const Caller& caller, const codec::OrgFields& fields, const KeepOnce& keep);
  Result<Org> MadeAs(const std::string& ref);
  Result<Org> Change(const Caller& caller, const OrgId& id, const std::function<Status(Org&)>& change);
  Status Equip(const OrgId& org);  // its quota, then its default bucket
  Status KeepPlatform(const Org& org, const char* verb) const;

  Deps d_;
};

}  // namespace cml::service
