// store/sql_schema.h — the tables of the SQL engines as a list of migrations. Private to the
// engines below store/ (sqlite/, later postgres/): nobody else includes it.
//
// Pure and thread-safe. A migration that was ever released is never edited; a change is a new one
// at the end. Engines apply what is missing in one transaction and write one row per migration
// into schema_migrations(version, name, applied).
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace cml::store {

struct Migration {
  int version;
  std::string_view name;
  std::string_view sql;  // statements separated by ';', with the tokens of SqlDialect
};

// What the engines do not write alike. Tokens in the SQL: {serial}, {clustered}.
struct SqlDialect {
  std::string_view serial;     // a column: a number that grows by itself, and the primary key
  std::string_view clustered;  // after CREATE TABLE(…): rows lie in the order of the primary key
};
inline constexpr SqlDialect kSqliteDialect{"INTEGER PRIMARY KEY", "WITHOUT ROWID"};

inline constexpr int kAuditMigration = 4;  // the one that makes the audit

// Oldest first, versions 1, 2, 3 …
std::span<const Migration> Migrations();

// The migration's text with the tokens replaced.
std::string Render(const Migration& migration, const SqlDialect& dialect);

}  // namespace cml::store
