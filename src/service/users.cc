#include "service/users.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "core/identity_rules.h"
#include "service/audit.h"

namespace cml::service {
namespace {

using store::DocumentKind;
using store::DocumentWrite;

constexpr std::size_t kPage = 1000;

Error NoSuchUser(const std::string& name) {
  return Error(Code::kNotFound, "user " + Quote(name) + ": there is no such user");
}

// By what a repeated create finds its user.
std::string RefOf(const User& user) {
  return fmt::format("{} {}", user.created.time_since_epoch().count(), user.name);
}

}  // namespace

Result<Users::Stored> Users::Find(const OrgId& org, const std::string& name) {
  auto document = d_.store.GetDocument(DocumentKind::kUser, org, name);
  if (!document.ok()) return document.error().code() == Code::kNotFound ? NoSuchUser(name) : document.error();
  CML_ASSIGN_OR_RETURN(User user, codec::UserFromDocument(document.value().body));
  return Stored{std::move(user), std::move(document).value()};
}

Result<codec::NamedUser> Users::Named(const OrgId& org, User user) {
  codec::NamedUser named;
  CML_ASSIGN_OR_RETURN(named.org_name, d_.orgs.NameOf(org));
  CML_ASSIGN_OR_RETURN(const auto keys, d_.orgs.Rows(org));
  named.keys = static_cast<std::size_t>(std::ranges::count(keys, user.name, &ApiKey::user));
  named.org = org;
  named.user = std::move(user);
  return named;
}

Result<codec::NamedUser> Users::Create(const Caller& caller, const codec::UserFields& fields) {
  return Once<codec::NamedUser>(
      d_.store, caller, d_.clock.Now(),
      [&](const std::string& ref) -> Result<codec::NamedUser> {
        const std::string name = ref.substr(ref.find(' ') + 1);
        CML_ASSIGN_OR_RETURN(Stored stored, Find(caller.org, name));
        if (RefOf(stored.user) != ref) return NoSuchUser(name);  // another one of the same name
        return Named(caller.org, std::move(stored.user));
      },
      [&](const KeepOnce& keep) { return Make(caller, fields, keep); });
}

Result<codec::NamedUser> Users::Make(const Caller& caller, const codec::UserFields& fields, const KeepOnce& keep) {
  CML_RETURN_IF_ERROR(d_.orgs.Find(caller.org));
  User user;
  user.name = fields.name.value_or("");
  user.mail = fields.mail.value_or("");
  user.created = d_.clock.Now();
  user.created_by = caller.user.empty() ? caller.key.str() : caller.user;
  CML_RETURN_IF_ERROR(Validate(user));
  store::Alongside with;
  const std::string body = codec::ToDocument(user);
  with.documents = {{{DocumentKind::kUser, caller.org, user.name, body, user.created, {}}, DocumentWrite::Act::kInsert}};
  with.audit = AuditOf(caller, user.created, {"user " + user.name, "", body});
  keep(RefOf(user), with);
  const Status written = d_.store.Commit(with);
  if (!written.ok() && written.error().code() == Code::kAlreadyExists) {
    return Error(Code::kAlreadyExists, fmt::format("user {}: a user of this name exists", Quote(user.name)));
  }
  CML_RETURN_IF_ERROR(written);
  Audited(caller);
  return Named(caller.org, std::move(user));
}

Result<std::vector<codec::NamedUser>> Users::List(const Caller& caller, Keys::Scope scope) {
  store::DocumentQuery query;
  query.kind = DocumentKind::kUser;
  query.most = kPage;
  if (scope == Keys::Scope::kOwn) query.org = caller.org;
  std::vector<codec::NamedUser> all;
  std::map<OrgId, std::pair<std::string, std::map<std::string, std::size_t>>> known;  // name; keys of each user
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto documents, d_.store.ListDocuments(query));
    for (const store::Document& document : documents) {
      auto [it, missing] = known.try_emplace(document.org);
      if (missing) {
        it->second.first = d_.orgs.NameOf(document.org).ok() ? d_.orgs.NameOf(document.org).value() : document.org.str();
        CML_ASSIGN_OR_RETURN(const auto keys, d_.orgs.Rows(document.org));
        for (const ApiKey& key : keys) ++it->second.second[key.user];
      }
      codec::NamedUser named;
      CML_ASSIGN_OR_RETURN(named.user, codec::UserFromDocument(document.body));
      named.org = document.org;
      named.org_name = it->second.first;
      named.keys = it->second.second[named.user.name];
      all.push_back(std::move(named));
    }
    if (documents.size() < query.most) return all;
    query.after_org = documents.back().org;
    query.after_key = documents.back().key;
  }
}

Result<codec::NamedUser> Users::Describe(const Caller& caller, const std::string& name) {
  CML_ASSIGN_OR_RETURN(Stored stored, Find(caller.org, name));
  return Named(caller.org, std::move(stored.user));
}

Result<codec::NamedUser> Users::Update(const Caller& caller, const std::string& name, const codec::UserFields& fields) {
  while (true) {
    CML_ASSIGN_OR_RETURN(Stored stored, Find(caller.org, name));
    if (fields.name && *fields.name != name) {
      return Error(Code::kInvalidArgument, "user: a user cannot be renamed; create another one and delete this one");
    }
    if (fields.mail) stored.user.mail = *fields.mail;
    CML_RETURN_IF_ERROR(Validate(stored.user));
    store::Alongside with;
    const std::string before = stored.document.body;
    stored.document.body = codec::ToDocument(stored.user);
    stored.document.updated = d_.clock.Now();
    with.audit = AuditOf(caller, d_.clock.Now(), {"user " + name, before, stored.document.body});
    with.documents = {{stored.document, DocumentWrite::Act::kReplace}};
    const Status written = d_.store.Commit(with);
    if (!written.ok() && written.error().code() == Code::kConflict) continue;
    if (!written.ok() && written.error().code() == Code::kNotFound) return NoSuchUser(name);
    CML_RETURN_IF_ERROR(written);
    Audited(caller);
    return Named(caller.org, std::move(stored.user));
  }
}

// The keys go first: a crash in between leaves a user without keys, never keys without a user. A
// key that is made meanwhile needs the user's document (keys.cc), so none is left behind.
Status Users::Delete(const Caller& caller, const std::string& name) {
  CML_ASSIGN_OR_RETURN(const Stored stored, Find(caller.org, name));
  CML_RETURN_IF_ERROR(d_.keys.EraseOf(caller, name));
  store::Alongside with;
  with.documents = {{stored.document, DocumentWrite::Act::kErase}};
  with.audit = AuditOf(caller, d_.clock.Now(), {"user " + name, stored.document.body, ""});
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  return d_.keys.EraseOf(caller, name);
}

}  // namespace cml::service
