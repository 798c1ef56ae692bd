// store/sqlite/identities.h — writes of organisations and keys, as writes.h has those of resources.
#pragma once
#include <utility>
#include <vector>

#include "store/sqlite/alongside.h"
#include "store/sqlite/database.h"
#include "store/store.h"

namespace cml::store::sqlite {

Status InsertOrg(Database& db, Org& org);  // gives it an id where it has none
Status UpdateOrg(Database& db, const Org& org);
Status EraseOrg(Writer writer, const OrgId& id);
Status PutKey(Database& db, const ApiKey& key);
Status EraseKey(Database& db, const AccessKey& key);
Status TouchKeys(Database& db, const std::vector<std::pair<AccessKey, SysTime>>& used);

Error NoOrg(const OrgId& id);
Error NoKey(const AccessKey& key);

}  // namespace cml::store::sqlite
