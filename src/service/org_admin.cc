#include "service/org_admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "core/identity_rules.h"
#include "service/audit.h"

namespace cml::service {
namespace {

constexpr const char* kDefaultBucket = "default";

Error NoSuchOrg(const std::string& text) {
  return Error(Code::kNotFound, "organisation " + Quote(text) + ": there is no such organisation");
}

Error NameTaken(Orgs& orgs, const Org& org) {
  const auto other = orgs.FindByText(org.name);
  const bool leaving = other.ok() && other.value().state == OrgState::kDeleting;
  return Error(Code::kAlreadyExists,
               fmt::format("org_name \"{}\": {}", org.name,
                           leaving ? "the organisation of this name is still being deleted; try again in a moment"
                                   : "an organisation of this name exists; choose another name"));
}

void Take(const codec::OrgFields& fields, Org& into) {
  if (fields.name) into.name = *fields.name;
  if (fields.mail) into.mail = *fields.mail;
  if (fields.description) into.description = *fields.description;
  if (fields.project) into.project = *fields.project;
}

// By what a repeated create finds its organisation.
std::string TimeOf(const Org& org) { return fmt::format("{} ", org.created.time_since_epoch().count()); }
std::string RefOf(const Org& org) { return TimeOf(org) + org.name; }

// The audit line belongs to the organisation that is changed, whoever changes it.
Caller On(const OrgId& org, Caller caller) {
  caller.org = org;
  return caller;
}

}  // namespace

Status OrgAdmin::Equip(const OrgId& org) {
  if (d_.give_quota) CML_RETURN_IF_ERROR(d_.give_quota(org));
  const Status made = d_.objects.MakeBucket(org, kDefaultBucket);
  return made.ok() || made.error().code() == Code::kAlreadyExists ? Status(Ok{}) : made;
}

Status OrgAdmin::Repair() {
  CML_ASSIGN_OR_RETURN(const auto all, d_.orgs.List());
  for (const Org& org : all) {
    if (org.state == OrgState::kDeleting) continue;
    auto buckets = d_.objects.Buckets(org.id);
    if (buckets.ok() && buckets.value().empty()) CML_RETURN_IF_ERROR(Equip(org.id));
  }
  return Ok{};
}

Result<Org> OrgAdmin::Create(const Caller& caller, const codec::OrgFields& fields) {
  return Once<Org>(
      d_.store, caller, d_.clock.Now(), [&](const std::string& ref) { return MadeAs(ref); },
      [&](const KeepOnce& keep) { return Make(caller, fields, keep); });
}

// What an earlier request has made, by its time and name: when the key is committed, the number is
// not known yet. The name may have changed since.
Result<Org> OrgAdmin::MadeAs(const std::string& ref) {
  CML_ASSIGN_OR_RETURN(const auto all, d_.orgs.List());
  const auto same = [&](const Org& org) { return RefOf(org) == ref; };
  const auto same_time = [&](const Org& org) { return ref.starts_with(TimeOf(org)); };
  auto found = std::ranges::find_if(all, same);
  if (found == all.end() && std::ranges::count_if(all, same_time) == 1) found = std::ranges::find_if(all, same_time);
  if (found == all.end() || found->state == OrgState::kDeleting) return NoSuchOrg(ref);
  CML_RETURN_IF_ERROR(Equip(found->id));
  return *found;
}

Result<Org> OrgAdmin::Make(const Caller& caller, const codec::OrgFields& fields, const KeepOnce& keep) {
  Org org;
  Take(fields, org);
  CML_RETURN_IF_ERROR(Validate(org));
  auto made = d_.orgs.Create(org, [&](const Org&, const Org& after) {
    store::Alongside with;
    with.audit = AuditOf(On(after.id, caller), d_.clock.Now(), {"org " + after.name, "", codec::EncodeOrg(after)});
    return with;
  }, [&](const Org& first) {
    store::Alongside with;
    keep(RefOf(first), with);
    return with;
  });
  if (!made.ok()) return made.error().code() == Code::kAlreadyExists ? NameTaken(d_.orgs, org) : made.error();
  Audited(caller);
  CML_RETURN_IF_ERROR(Equip(made.value().id));
  return made;
}

Result<std::vector<Org>> OrgAdmin::List(const Caller& caller) {
  if (IsPlatformAdmin(caller)) return d_.orgs.List();
  CML_ASSIGN_OR_RETURN(Org own, d_.orgs.Find(caller.org));
  return std::vector<Org>{std::move(own)};
}

Result<Org> OrgAdmin::Describe(const Caller& caller, const std::string& id_or_name) {
  if (IsPlatformAdmin(caller)) return d_.orgs.FindByText(id_or_name);
  // Others learn nothing of an organisation that is not theirs, not even that it exists.
  CML_ASSIGN_OR_RETURN(Org own, d_.orgs.Find(caller.org));
  if (own.id.str() == id_or_name || own.name == id_or_name) return own;
  return NoSuchOrg(id_or_name);
}

Result<Org> OrgAdmin::Change(const Caller& caller, const OrgId& id, const std::function<Status(Org&)>& change) {
  auto changed = d_.orgs.Change(id, change, [&](const Org& before, const Org& after) {
    store::Alongside with;
    with.audit = AuditOf(On(id, caller), d_.clock.Now(),
                         {"org " + before.name, codec::EncodeOrg(before), codec::EncodeOrg(after)});
    return with;
  });
  if (changed.ok()) Audited(caller);
  return changed;
}

Result<Org> OrgAdmin::Update(const Caller& caller, const std::string& id_or_name, const codec::OrgFields& fields) {
  CML_ASSIGN_OR_RETURN(const Org found, Describe(caller, id_or_name));
  if (fields.name && *fields.name != found.name && !IsPlatformAdmin(caller)) {
    return Error(Code::kPermissionDenied, "org_name: only a platform administrator may rename an organisation");
  }
  Org wanted = found;
  Take(fields, wanted);
  auto changed = Change(caller, found.id, [&](Org& org) -> Status {
    if (org.state == OrgState::kDeleting) {
      return Error(Code::kFailedPrecondition, fmt::format("organisation {} is being deleted", org.name));
    }
    Take(fields, org);
    return Validate(org);
  });
  if (!changed.ok() && changed.error().code() == Code::kAlreadyExists) return NameTaken(d_.orgs, wanted);
  return changed;
}

Status OrgAdmin::KeepPlatform(const Org& org, const char* verb) const {
  if (org.id != d_.orgs.first()) {
    CML_ASSIGN_OR_RETURN(const bool kept, d_.orgs.HasAdministrator({{}, org.id}));
    if (kept) return Ok{};
    return Error(Code::kFailedPrecondition,
                 fmt::format("organisation {} cannot be {}: the last lasting key of a platform administrator is in it; make "
                             "one in another organisation first",
                             org.name, verb));
  }
  return Error(Code::kFailedPrecondition,
               fmt::format("organisation {} cannot be {}: it is the first one, which holds the platform's own keys",
                           org.name, verb));
}

Result<Org> OrgAdmin::Suspend(const Caller& caller, const std::string& id_or_name, const std::string& reason) {
  if (Trim(reason).empty()) {
    return Error(Code::kInvalidArgument, "reason: missing; say why, its users will read it");
  }
  CML_ASSIGN_OR_RETURN(const Org found, Describe(caller, id_or_name));
  CML_RETURN_IF_ERROR(KeepPlatform(found, "suspended"));
  auto changed = Change(caller, found.id, [&](Org& org) -> Status {
    if (org.state == OrgState::kDeleting) {
      return Error(Code::kFailedPrecondition, fmt::format("organisation {} is being deleted", org.name));
    }
    org.state = OrgState::kSuspended;
    org.reason = std::string(Trim(reason));
    return Validate(org);
  });
  if (changed.ok()) d_.changed(changed.value());
  return changed;
}

Result<Org> OrgAdmin::Resume(const Caller& caller, const std::string& id_or_name) {
  CML_ASSIGN_OR_RETURN(const Org found, Describe(caller, id_or_name));
  auto changed = Change(caller, found.id, [&](Org& org) -> Status {
    if (org.state != OrgState::kSuspended) {
      return Error(Code::kFailedPrecondition,
                   fmt::format("organisation {} is {}: only a suspended one is resumed", org.name, ToString(org.state)));
    }
    org.state = OrgState::kActive;
    org.reason.clear();
    return Ok{};
  });
  if (changed.ok()) d_.changed(changed.value());
  return changed;
}

Result<Org> OrgAdmin::Delete(const Caller& caller, const std::string& id_or_name) {
  CML_ASSIGN_OR_RETURN(const Org found, Describe(caller, id_or_name));
  CML_RETURN_IF_ERROR(KeepPlatform(found, "deleted"));
  if (found.id == caller.home) {
    return Error(Code::kFailedPrecondition,
                 fmt::format("organisation {} cannot be deleted with a key of its own; use one of another organisation",
                             found.name));
  }
  if (found.state == OrgState::kDeleting) {
    d_.changed(found);
    return found;
  }
  auto changed = Change(caller, found.id, [](Org& org) -> Status {
    org.state = OrgState::kDeleting;
    return Ok{};
  });
  if (changed.ok()) d_.changed(changed.value());
  return changed;
}

}  // namespace cml::service
