#include "store/sqlite/identities.h"

#include "base/strings.h"
#include "store/sql_ledger_statements.h"
#include "store/sql_statements.h"
#include "store/sqlite/rows.h"

namespace cml::store::sqlite {
namespace {

Error NameTaken(const Org& org) {
  return {Code::kAlreadyExists, "organisation " + Quote(org.name) + " exists already"};
}

Result<bool> Exists(Database& db, const char* sql, std::string_view value) {
  Query query(db, sql);
  return query.Bind(value).Step();
}

Status CheckNeverUsed(Database& db, const Org& org) {
  Query query(db, sql::kOrgIsGone);
  CML_ASSIGN_OR_RETURN(const bool gone, query.Bind(org.id.str()).Bind(org.unix_uid).Step());
  if (!gone) return Ok{};
  return Error(Code::kAlreadyExists, "organisation id " + Quote(org.id.str()) + " or uid " +
                                         std::to_string(org.unix_uid) +
                                         " was another organisation's, which was deleted");
}

Status GiveId(Database& db, Org& org) {
  if (org.id.empty()) {
    CML_ASSIGN_OR_RETURN(const std::int64_t number, NextNumber(db, "org"));
    org.id = OrgId(std::to_string(number));
  } else if (const auto number = ParseInt(org.id.str()); number) {
    return Query(db, sql::kRaiseNumber).Bind(*number).Bind(std::string_view("org")).Run();
  }
  return Ok{};
}

}  // namespace

Error NoOrg(const OrgId& id) {
  return {Code::kNotFound, "organisation " + Quote(id.str()) + " does not exist"};
}

Error NoKey(const AccessKey& key) {
  return {Code::kNotFound, "key " + Quote(key.str()) + " does not exist"};
}

Status InsertOrg(Database& db, Org& org) {
  CML_ASSIGN_OR_RETURN(const bool taken, Exists(db, sql::kGetOrgByName, org.name));
  if (taken) return NameTaken(org);
  CML_RETURN_IF_ERROR(GiveId(db, org));
  CML_RETURN_IF_ERROR(CheckNeverUsed(db, org));
  Status inserted = Query(db, sql::kInsertOrg)
                        .Bind(org.id.str())
                        .Bind(org.name)
                        .Bind(ToNumber(org.created))
                        .Bind(org.unix_uid)
                        .Bind(ToString(org.state))
                        .Bind(org.reason)
                        .Bind(org.mail)
                        .Bind(org.description)
                        .Bind(org.project)
                        .Run();
  if (!inserted.ok() && inserted.error().code() == Code::kAlreadyExists) {
    return Error(Code::kAlreadyExists, "organisation id " + Quote(org.id.str()) + " is taken");
  }
  return inserted;
}

Status UpdateOrg(Database& db, const Org& org) {
  Query query(db, sql::kUpdateOrg);
  query.Bind(org.name)
      .Bind(org.unix_uid)
      .Bind(ToString(org.state))
      .Bind(org.reason)
      .Bind(org.mail)
      .Bind(org.description)
      .Bind(org.project)
      .Bind(org.id.str());
  const Result<bool> found = query.Step();
  if (!found.ok()) {
    return found.error().code() == Code::kAlreadyExists ? NameTaken(org) : found.error();
  }
  if (!found.value()) return NoOrg(org.id);
  return query.Run();
}

Status EraseOrg(Writer w, const OrgId& id) {
  CML_ASSIGN_OR_RETURN(const bool found, Exists(w.db, sql::kGetOrg, id.str()));
  if (!found) return NoOrg(id);
  CML_ASSIGN_OR_RETURN(const bool in_use, Exists(w.db, sql::kOrgHasResources, id.str()));
  if (in_use) {
    return Error(Code::kFailedPrecondition,
                 "organisation " + Quote(id.str()) + " still has resources; they must be gone first");
  }
  CML_RETURN_IF_ERROR(Query(w.db, sql::kRememberOrg).Bind(id.str()).Run());
  for (const char* sql : {sql::kEraseOrg, sql::kEraseKeysOfOrg, sql::kEraseDocumentsOfOrg}) {
    CML_RETURN_IF_ERROR(Query(w.db, sql).Bind(id.str()).Run());
  }
  return w.ledger.EraseOrg(w.db, id);
}

Status PutKey(Database& db, const ApiKey& key) {
  return Query(db, sql::kPutKey)
      .Bind(key.access_key.str())
      .Bind(key.org.str())
      .Bind(ToString(key.role))
      .Bind(key.sealed_secret)
      .Bind(key.label)
      .Bind(std::int64_t{key.disabled})
      .Bind(ToNumber(key.created))
      .Bind(key.user)
      .Bind(ToNumber(key.expires))
      .Bind(ToNumber(key.last_used))
      .Bind(key.replaces.str())
      .Run();
}

Status EraseKey(Database& db, const AccessKey& key) {
  Query query(db, sql::kEraseKey);
  CML_ASSIGN_OR_RETURN(const bool found, query.Bind(key.str()).Step());
  if (!found) return NoKey(key);
  return query.Run();
}

Status TouchKeys(Database& db, const std::vector<std::pair<AccessKey, SysTime>>& used) {
  for (const auto& [key, when] : used) {
    CML_RETURN_IF_ERROR(Query(db, sql::kTouchKey).Bind(ToNumber(when)).Bind(key.str()).Run());
  }
  return Ok{};
}

}  // namespace cml::store::sqlite
