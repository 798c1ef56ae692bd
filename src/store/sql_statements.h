// store/sql_statements.h — every statement the SQL engines run, word for word the same for each.
// Private to the engines below store/.
//
// Parameters are $1, $2 … and appear first in that order, which gives them the same numbers in
// SQLite and in PostgreSQL. Values travel as parameters only; no statement is ever put together
// from text at run time.
#pragma once

namespace cml::store::sql {

// ---- migrations
inline constexpr char kMakeMigrations[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)";
inline constexpr char kNewestMigration[] =
    "SELECT COALESCE(MAX(version), 0) FROM schema_migrations";
inline constexpr char kAddMigration[] =
    "INSERT INTO schema_migrations (version, name, applied) VALUES ($1, $2, $3)";

// ---- numbers
inline constexpr char kNextNumber[] =
    "UPDATE numbers SET value = value + 1 WHERE name = $1 RETURNING value";
inline constexpr char kGetNumber[] = "SELECT value FROM numbers WHERE name = $1";
inline constexpr char kRaiseNumber[] =
    "UPDATE numbers SET value = $1 WHERE name = $2 AND value < $1";

// ---- organisations and keys
inline constexpr char kInsertOrg[] =
    "INSERT INTO orgs (id, name, created, unix_uid) VALUES ($1, $2, $3, $4)";
inline constexpr char kGetOrg[] = "SELECT id, name, created, unix_uid FROM orgs WHERE id = $1";
inline constexpr char kGetOrgByName[] =
    "SELECT id, name, created, unix_uid FROM orgs WHERE name = $1";
inline constexpr char kListOrgs[] =
    "SELECT id, name, created, unix_uid FROM orgs ORDER BY created, name";

inline constexpr char kPutKey[] =
    "INSERT INTO api_keys (access_key, org, role, sealed_secret, label, disabled, created) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (access_key) DO UPDATE SET "
    "org = excluded.org, role = excluded.role, sealed_secret = excluded.sealed_secret, "
    "label = excluded.label, disabled = excluded.disabled, created = excluded.created";
inline constexpr char kGetKey[] =
    "SELECT access_key, org, role, sealed_secret, label, disabled, created FROM api_keys "
    "WHERE access_key = $1";
inline constexpr char kListKeys[] =
    "SELECT access_key, org, role, sealed_secret, label, disabled, created FROM api_keys "
    "WHERE org = $1 ORDER BY created, access_key";

// ---- resources
#define CML_ROW                                                                              \
  "SELECT id, org, name, created, updated, wish, record, state, live, unfinished, revision " \
  "FROM resources "
inline constexpr char kInsertResource[] =
    "INSERT INTO resources (id, kind, org, name, created, updated, wish, record, state, live, "
    "unfinished, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1) "
    "RETURNING serial";
inline constexpr char kFindLive[] =
    CML_ROW "WHERE org = $1 AND kind = $2 AND name = $3 AND live = 1";
inline constexpr char kFindLeaving[] = CML_ROW
    "WHERE org = $1 AND kind = $2 AND name = $3 AND live = 0 "
    "ORDER BY created DESC, id DESC LIMIT 1";
inline constexpr char kGetResource[] = CML_ROW "WHERE id = $1 AND kind = $2";
inline constexpr char kListAll[] =
    CML_ROW "WHERE kind = $1 ORDER BY created DESC, id DESC LIMIT $2";
inline constexpr char kListAllAfter[] =
    CML_ROW "WHERE kind = $1 AND (created, id) < ($2, $3) ORDER BY created DESC, id DESC LIMIT $4";
inline constexpr char kListOrg[] =
    CML_ROW "WHERE org = $1 AND kind = $2 ORDER BY created DESC, id DESC LIMIT $3";
inline constexpr char kListOrgAfter[] = CML_ROW
    "WHERE org = $1 AND kind = $2 AND (created, id) < ($3, $4) "
    "ORDER BY created DESC, id DESC LIMIT $5";
#undef CML_ROW
inline constexpr char kListUnfinished[] =
    "SELECT id FROM resources WHERE kind = $1 AND unfinished = 1 ORDER BY created, id";
inline constexpr char kCountUnfinished[] =
    "SELECT COUNT(*) FROM resources WHERE kind = $1 AND unfinished = 1";
// Serial, organisation and revision: what a write has to know of the row.
inline constexpr char kGetHead[] =
    "SELECT serial, org, revision FROM resources WHERE id = $1 AND kind = $2";
inline constexpr char kGetAnyHead[] = "SELECT serial FROM resources WHERE id = $1";
inline constexpr char kSaveWish[] =
    "UPDATE resources SET wish = $1, live = $2, unfinished = $3, updated = $4, "
    "revision = revision + 1 WHERE serial = $5";
inline constexpr char kSaveRecord[] =
    "UPDATE resources SET record = $1, state = $2, unfinished = $3, updated = $4, "
    "revision = revision + 1 WHERE serial = $5";
inline constexpr char kEraseResource[] = "DELETE FROM resources WHERE serial = $1";

// ---- events
inline constexpr char kNewestEvent[] =
    "SELECT seq, type, reason, message FROM events WHERE resource = $1 ORDER BY seq DESC LIMIT 1";
inline constexpr char kAddEvent[] =
    "INSERT INTO events (resource, seq, org, first, last, count, type, reason, message) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
inline constexpr char kCountEvent[] =
    "UPDATE events SET count = count + $1, last = $2 WHERE resource = $3 AND seq = $4";
inline constexpr char kListEvents[] =
    "SELECT first, last, count, type, reason, message FROM events WHERE resource = $1 ORDER BY seq";
inline constexpr char kEraseEvents[] = "DELETE FROM events WHERE resource = $1";

}  // namespace cml::store::sql
