// store/sqlite/migrate.h — brings the tables of a file to the newest schema this binary knows.
//
// All missing migrations are one transaction: the file has the old schema or the new one.
// kFailedPrecondition: the file was written by a newer binary; nothing was changed.
#pragma once
#include <functional>
#include <span>

#include "store/sql_schema.h"
#include "store/sqlite/database.h"

namespace cml::store::sqlite {

// Called after each migration that was applied, with its version, in the same transaction.
using AfterMigration = std::function<Status(int version)>;

Status Migrate(Database& db, std::span<const Migration> migrations, const AfterMigration& after = {});

}  // namespace cml::store::sqlite
