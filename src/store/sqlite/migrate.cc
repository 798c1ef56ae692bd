#include "store/sqlite/migrate.h"

#include <chrono>

#include "store/sql_statements.h"

namespace cml::store::sqlite {
namespace {

Result<std::int64_t> NewestVersion(Database& db) {
  Query query(db, sql::kNewestMigration);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  return found ? query.Number() : 0;
}

Status Apply(Database& db, const Migration& migration) {
  CML_RETURN_IF_ERROR(db.Execute(Render(migration, kSqliteDialect).c_str()));
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return Query(db, sql::kAddMigration)
      .Bind(std::int64_t{migration.version})
      .Bind(migration.name)
      .Bind(std::int64_t{now.count()})
      .Run();
}

Status MigrateInTransaction(Database& db, std::span<const Migration> migrations,
                            const AfterMigration& after) {
  CML_RETURN_IF_ERROR(db.Execute(sql::kMakeMigrations));
  CML_ASSIGN_OR_RETURN(const std::int64_t version, NewestVersion(db));
  const std::int64_t newest = migrations.empty() ? 0 : migrations.back().version;
  if (version > newest) {
    return Error(Code::kFailedPrecondition,
                 "the database " + db.file().string() + " was written by a newer version (schema " +
                     std::to_string(version) + ", this one knows up to " + std::to_string(newest) +
                     "); start the newer version, or restore a backup from before the upgrade");
  }
  for (const Migration& migration : migrations) {
    if (migration.version <= version) continue;
    Status applied = Apply(db, migration);
    if (applied.ok() && after) applied = after(migration.version);
    if (!applied.ok()) {
      return std::move(applied).error().While("migration " + std::to_string(migration.version));
    }
  }
  return db.Execute("COMMIT");
}

}  // namespace

Status Migrate(Database& db, std::span<const Migration> migrations, const AfterMigration& after) {
  CML_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  Status done = MigrateInTransaction(db, migrations, after);
  if (!done.ok() && db.InTransaction()) (void)db.Execute("ROLLBACK").ok();
  return done;
}

}  // namespace cml::store::sqlite
