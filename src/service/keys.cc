#include "service/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "core/identity_rules.h"
#include "service/audit.h"

namespace cml::service {
namespace {

using store::DocumentKind;
using store::DocumentWrite;

constexpr std::int64_t kDay = 86'400;
constexpr std::string_view kHalf = " half";  // behind a rotated key whose predecessor has no end yet

Error NoSuchKey(const AccessKey& key) {
  return Error(Code::kNotFound, "key " + Quote(key.str()) + ": there is no such key");
}

Status CheckCeiling(const Caller& caller, KeyRole role) {
  if (role <= caller.role) return Ok{};
  return Error(Code::kPermissionDenied, fmt::format("role {}: yours is {}; nobody gives more than he has",
                                                    ToString(role), ToString(caller.role)));
}

// The instant that the fields ask for; `fallback` where they ask for none.
Result<SysTime> ExpiryOf(const codec::KeyFields& fields, SysTime fallback, SysTime now) {
  if (fields.expires_in) {
    return *fields.expires_in == 0 ? SysTime{} : now + std::chrono::seconds{*fields.expires_in};
  }
  if (!fields.expires) return fallback;
  if (*fields.expires != SysTime{} && *fields.expires <= now) {
    return Error(Code::kInvalidArgument,
                 fmt::format("expires {}: it has passed; to end a key now disable or delete it", FormatRfc3339(*fields.expires)));
  }
  return *fields.expires;
}

bool SeesAll(const Caller& caller) { return caller.role >= KeyRole::kOrgAdmin; }

bool IsHisOwn(const Caller& caller, const ApiKey& key) {
  return key.access_key == caller.key || (!caller.user.empty() && key.user == caller.user);
}

Caller On(const OrgId& org, Caller caller) {
  caller.org = org;
  return caller;
}

}  // namespace

Result<codec::NamedKey> Keys::Named(ApiKey key) {
  CML_ASSIGN_OR_RETURN(std::string name, d_.orgs.NameOf(key.org));
  return codec::NamedKey{std::move(key), std::move(name)};
}

Result<ApiKey> Keys::Find(const Caller& caller, const AccessKey& key) {
  auto row = d_.orgs.Row(key);
  if (!row.ok()) return row.error().code() == Code::kNotFound ? NoSuchKey(key) : row.error();
  if (IsPlatformAdmin(caller)) return row;
  if (row.value().org != caller.org) return NoSuchKey(key);
  if (!SeesAll(caller) && !IsHisOwn(caller, row.value())) return NoSuchKey(key);
  return row;
}

Status Keys::MayChange(const Caller& caller, const ApiKey& key) const {
  if (key.role <= caller.role) return Ok{};
  return Error(Code::kPermissionDenied,
               fmt::format("key {}: its role is {}, yours is {}; nobody changes a key that may more than his own",
                           key.access_key.str(), ToString(key.role), ToString(caller.role)));
}

Status Keys::KeepsAnAdministrator(const std::vector<AccessKey>& without) {
  CML_ASSIGN_OR_RETURN(const bool kept, d_.orgs.HasAdministrator({without, {}}));
  if (kept) return Ok{};
  return Error(Code::kFailedPrecondition,
               fmt::format("key {}: it is the last lasting key of a platform administrator; make another one "
                           "first (cloudml key create --role platform_admin)",
                           without.front().str()));
}

Result<Keys::Made> Keys::MadeAs(const Caller& caller, const AccessKey& key) {
  CML_ASSIGN_OR_RETURN(ApiKey row, Find(caller, key));
  CML_RETURN_IF_ERROR(MayChange(caller, row));
  CML_ASSIGN_OR_RETURN(const auto known, d_.orgs.Key(key));
  CML_ASSIGN_OR_RETURN(codec::NamedKey named, Named(std::move(row)));
  return Made{std::move(named), known->secret};
}

Result<Keys::Made> Keys::Create(const Caller& caller, const codec::KeyFields& fields) {
  const std::scoped_lock one(mu_);
  return Once<Made>(
      d_.store, caller, d_.clock.Now(), [&](const std::string& ref) { return MadeAs(caller, AccessKey{ref}); },
      [&](const KeepOnce& keep) { return Make(caller, fields, keep); });
}

Result<Keys::Made> Keys::Make(const Caller& caller, const codec::KeyFields& fields, const KeepOnce& keep) {
  const SysTime now = d_.clock.Now();
  ApiKey row;
  row.org = caller.org;
  row.role = fields.role.value_or(KeyRole::kMember);
  row.user = fields.user.value_or("");
  row.label = fields.label.value_or("");
  CML_RETURN_IF_ERROR(CheckCeiling(caller, row.role));
  CML_RETURN_IF_ERROR(Validate(row));
  CML_ASSIGN_OR_RETURN(row.expires, ExpiryOf(fields, {}, now));
  CML_ASSIGN_OR_RETURN(const Org org, d_.orgs.Find(caller.org));
  if (org.state == OrgState::kDeleting) {
    return Error(Code::kFailedPrecondition, fmt::format("organisation {} is being deleted", org.name));
  }
  Orgs::NewKey pair = Orgs::NewPair();
  store::Revision seen{};  // of the user
  while (true) {
    store::Alongside with;
    if (!row.user.empty()) {
      // Written again in the same transaction, so that the user cannot go in between.
      auto user = d_.store.GetDocument(DocumentKind::kUser, row.org, row.user);
      if (!user.ok() && user.error().code() == Code::kNotFound) {
        return Error(Code::kNotFound, fmt::format("user {0}: there is no such user; make him first (cloudml user create {0})", row.user));
      }
      CML_RETURN_IF_ERROR(user);
      // He has not changed: it was the idempotency key that another request took.
      if (user.value().revision == seen) return Error(Code::kConflict, "the same request is under way already; try again");
      seen = user.value().revision;
      with.documents = {{std::move(user).value(), DocumentWrite::Act::kReplace}};
    }
    codec::NamedKey shown{row, org.name};
    shown.key.created = now;
    with.audit = AuditOf(caller, now, {"key of " + (row.user.empty() ? org.name : row.user), "", codec::EncodeKey(shown, now)});
    keep(pair.access_key.str(), with);
    const Status added = d_.orgs.AddKey(pair, row, with);
    const Code code = added.ok() ? Code::kInternal : added.error().code();
    if ((code == Code::kConflict || code == Code::kNotFound) && !row.user.empty()) continue;  // he changed, or went
    CML_RETURN_IF_ERROR(added);
    Audited(caller);
    shown.key.access_key = pair.access_key;
    return Made{std::move(shown), std::move(pair.secret)};
  }
}

Result<std::vector<codec::NamedKey>> Keys::List(const Caller& caller, Scope scope) {
  std::vector<Org> orgs;
  if (scope == Scope::kAll) {
    CML_ASSIGN_OR_RETURN(orgs, d_.orgs.List());
  } else {
    CML_ASSIGN_OR_RETURN(Org own, d_.orgs.Find(caller.org));
    orgs.push_back(std::move(own));
  }
  std::vector<codec::NamedKey> all;
  for (const Org& org : orgs) {
    CML_ASSIGN_OR_RETURN(auto keys, d_.orgs.Rows(org.id));
    for (ApiKey& key : keys) {
      if (SeesAll(caller) || IsHisOwn(caller, key)) all.push_back({std::move(key), org.name});
    }
  }
  return all;
}

Result<codec::NamedKey> Keys::Describe(const Caller& caller, const AccessKey& key) {
  CML_ASSIGN_OR_RETURN(ApiKey row, Find(caller, key));
  return Named(std::move(row));
}

Result<codec::NamedKey> Keys::Update(const Caller& caller, const AccessKey& key, const codec::KeyFields& fields) {
  const std::scoped_lock one(mu_);
  const SysTime now = d_.clock.Now();
  CML_ASSIGN_OR_RETURN(const ApiKey before, Find(caller, key));
  CML_RETURN_IF_ERROR(MayChange(caller, before));
  if (fields.user && *fields.user != before.user) {
    return Error(Code::kInvalidArgument, "user: a key stays with its user; make another key for him");
  }
  ApiKey after = before;
  if (fields.role) {
    CML_RETURN_IF_ERROR(CheckCeiling(caller, *fields.role));
    after.role = *fields.role;
  }
  if (fields.label) after.label = *fields.label;
  if (fields.disabled) after.disabled = *fields.disabled;
  CML_ASSIGN_OR_RETURN(after.expires, ExpiryOf(fields, before.expires, now));
  CML_RETURN_IF_ERROR(Validate(after));
  if (IsLastingAdministrator(before) && !IsLastingAdministrator(after)) CML_RETURN_IF_ERROR(KeepsAnAdministrator({key}));
  CML_ASSIGN_OR_RETURN(const codec::NamedKey shown_before, Named(before));
  codec::NamedKey shown{after, shown_before.org_name};
  store::Alongside with;
  with.audit = AuditOf(On(before.org, caller), now,
                       {"key " + key.str(), codec::EncodeKey(shown_before, now), codec::EncodeKey(shown, now)});
  CML_RETURN_IF_ERROR(d_.orgs.PutKey(after, with));
  Audited(caller);
  return shown;
}

// The new key is committed before the old one gets its end: a crash in between leaves both, and the
// same request, sent again, ends the old one.
Result<Keys::Made> Keys::Rotate(const Caller& caller, const AccessKey& key, const codec::KeyFields& fields) {
  const std::scoped_lock one(mu_);
  return Once<Made>(
      d_.store, caller, d_.clock.Now(),
      [&](const std::string& ref) -> Result<Made> {
        const bool half = ref.ends_with(kHalf);
        const AccessKey next{half ? ref.substr(0, ref.size() - kHalf.size()) : ref};
        CML_ASSIGN_OR_RETURN(Made made, MadeAs(caller, next));
        if (!half) return made;
        auto old = Find(caller, key);
        if (old.ok()) CML_RETURN_IF_ERROR(End(caller, std::move(old).value(), {made.key, fields.overlap}, {}));
        return made;
      },
      [&](const KeepOnce& keep) { return MakeNext(caller, key, fields, keep); });
}

Status Keys::End(const Caller& caller, ApiKey old, const Rotation& rotation, store::Alongside with) {
  CML_ASSIGN_OR_RETURN(const codec::NamedKey before, Named(old));
  const SysTime made = rotation.next.key.created;
  const SysTime end = made + std::chrono::seconds{rotation.overlap.value_or(kDay)};
  if (old.expires == SysTime{} || end < old.expires) old.expires = end;
  const SysTime now = d_.clock.Now();
  with.audit = AuditOf(On(old.org, caller), now,
                       {"key " + old.access_key.str(), codec::EncodeKey(before, now), codec::EncodeKey(rotation.next, now)});
  CML_RETURN_IF_ERROR(d_.orgs.PutKey(old, with));
  Audited(caller);
  return Ok{};
}

Result<Keys::Made> Keys::MakeNext(const Caller& caller, const AccessKey& key, const codec::KeyFields& fields,
                                  const KeepOnce& keep) {
  const SysTime now = d_.clock.Now();
  CML_ASSIGN_OR_RETURN(ApiKey old, Find(caller, key));
  CML_RETURN_IF_ERROR(MayChange(caller, old));
  if (codec::StateOf(old, now) != "active") {
    return Error(Code::kFailedPrecondition,
                 fmt::format("key {} is {}; make a new one instead (cloudml key create)", key.str(), codec::StateOf(old, now)));
  }
  ApiKey next;
  next.org = old.org;
  next.role = old.role;
  next.user = old.user;
  next.label = old.label;
  next.replaces = old.access_key;
  CML_ASSIGN_OR_RETURN(next.expires, ExpiryOf(fields, {}, now));
  if (IsLastingAdministrator(old) && !IsLastingAdministrator(next)) CML_RETURN_IF_ERROR(KeepsAnAdministrator({key}));
  Orgs::NewKey pair = Orgs::NewPair();
  store::Alongside first, second;
  keep(pair.access_key.str() + std::string(kHalf), first);
  keep(pair.access_key.str(), second);
  for (DocumentWrite& write : second.documents) write.act = DocumentWrite::Act::kPut;
  CML_RETURN_IF_ERROR(d_.orgs.AddKey(pair, next, first));
  next.access_key = pair.access_key;
  next.created = now;
  CML_ASSIGN_OR_RETURN(codec::NamedKey named, Named(std::move(next)));
  CML_RETURN_IF_ERROR(End(caller, std::move(old), {named, fields.overlap}, std::move(second)));
  return Made{std::move(named), std::move(pair.secret)};
}

Status Keys::Delete(const Caller& caller, const AccessKey& key) {
  const std::scoped_lock one(mu_);
  const SysTime now = d_.clock.Now();
  CML_ASSIGN_OR_RETURN(const ApiKey row, Find(caller, key));
  CML_RETURN_IF_ERROR(MayChange(caller, row));
  if (IsLastingAdministrator(row)) CML_RETURN_IF_ERROR(KeepsAnAdministrator({key}));
  CML_ASSIGN_OR_RETURN(const codec::NamedKey before, Named(row));
  store::Alongside with;
  with.audit = AuditOf(On(row.org, caller), now, {"key " + key.str(), codec::EncodeKey(before, now), ""});
  const Status erased = d_.orgs.EraseKey(key, with);
  if (!erased.ok() && erased.error().code() == Code::kNotFound) return NoSuchKey(key);
  CML_RETURN_IF_ERROR(erased);
  Audited(caller);
  return Ok{};
}

Status Keys::EraseOf(const Caller& caller, const std::string& user) {
  const std::scoped_lock one(mu_);
  CML_ASSIGN_OR_RETURN(const auto rows, d_.orgs.Rows(caller.org));
  std::vector<AccessKey> his;
  bool lasting = false;
  for (const ApiKey& row : rows) {
    if (row.user != user) continue;
    CML_RETURN_IF_ERROR(MayChange(caller, row));
    his.push_back(row.access_key);
    lasting = lasting || IsLastingAdministrator(row);
  }
  if (lasting) CML_RETURN_IF_ERROR(KeepsAnAdministrator(his));
  for (const AccessKey& key : his) {
    const Status erased = d_.orgs.EraseKey(key);
    if (!erased.ok() && erased.error().code() != Code::kNotFound) return erased;
  }
  return Ok{};
}

}  // namespace cml::service
