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
#define CML_ORG                                                                               \
  "SELECT id, name, created, unix_uid, state, reason, mail, description, project FROM orgs "
inline constexpr char kInsertOrg[] =
    "INSERT INTO orgs (id, name, created, unix_uid, state, reason, mail, description, project) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
inline constexpr char kUpdateOrg[] =
    "UPDATE orgs SET name = $1, unix_uid = CASE unix_uid WHEN 0 THEN $2 ELSE unix_uid END, "
    "state = $3, reason = $4, mail = $5, description = $6, project = $7 WHERE id = $8 RETURNING id";
inline constexpr char kGetOrg[] = CML_ORG "WHERE id = $1";
inline constexpr char kGetOrgByName[] = CML_ORG "WHERE name = $1";
inline constexpr char kListOrgs[] = CML_ORG "ORDER BY created, name";
#undef CML_ORG
inline constexpr char kOrgHasResources[] = "SELECT 1 FROM resources WHERE org = $1 LIMIT 1";
inline constexpr char kRememberOrg[] =
    "INSERT INTO orgs_gone (id, unix_uid) SELECT id, unix_uid FROM orgs WHERE id = $1";
inline constexpr char kOrgIsGone[] =
    "SELECT 1 FROM orgs_gone WHERE id = $1 OR (unix_uid = $2 AND unix_uid <> 0)";
inline constexpr char kEraseOrg[] = "DELETE FROM orgs WHERE id = $1";
inline constexpr char kEraseKeysOfOrg[] = "DELETE FROM api_keys WHERE org = $1";

#define CML_KEY                                                                              \
  "SELECT access_key, org, role, sealed_secret, label, disabled, created, user_name, expires, " \
  "last_used, replaces FROM api_keys "
inline constexpr char kPutKey[] =
    "INSERT INTO api_keys (access_key, org, role, sealed_secret, label, disabled, created, "
    "user_name, expires, last_used, replaces) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
    "ON CONFLICT (access_key) DO UPDATE SET "
    "org = excluded.org, role = excluded.role, sealed_secret = excluded.sealed_secret, "
    "label = excluded.label, disabled = excluded.disabled, created = excluded.created, "
    "user_name = excluded.user_name, expires = excluded.expires, replaces = excluded.replaces";
inline constexpr char kGetKey[] = CML_KEY "WHERE access_key = $1";
inline constexpr char kListKeys[] = CML_KEY "WHERE org = $1 ORDER BY created, access_key";
#undef CML_KEY
inline constexpr char kEraseKey[] = "DELETE FROM api_keys WHERE access_key = $1 RETURNING access_key";
inline constexpr char kTouchKey[] =
    "UPDATE api_keys SET last_used = $1 WHERE access_key = $2 AND last_used < $1";

// ---- resources
#define CML_ROW                                                                              \
  "SELECT id, org, name, created, updated, wish, record, state, live, unfinished, revision, " \
  "held_group, held_millicores, held_memory, held_gpus, held_count, held_priority "           \
  "FROM resources "
inline constexpr char kInsertResource[] =
    "INSERT INTO resources (id, kind, org, name, created, updated, wish, record, state, live, "
    "unfinished, held_group, held_millicores, held_memory, held_gpus, held_count, held_priority, "
    "revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1) "
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
// Serial, organisation, revision and what it holds: what a write has to know of the row.
inline constexpr char kGetHead[] =
    "SELECT serial, org, revision, held_group, held_millicores, held_memory, held_gpus, held_count, "
    "held_priority FROM resources WHERE id = $1 AND kind = $2";
inline constexpr char kGetAnyHead[] = "SELECT serial FROM resources WHERE id = $1";
inline constexpr char kSaveWish[] =
    "UPDATE resources SET wish = $1, live = $2, unfinished = $3, updated = $4, "
    "revision = revision + 1 WHERE serial = $5";
inline constexpr char kSaveRecord[] =
    "UPDATE resources SET record = $1, state = $2, unfinished = $3, updated = $4, "
    "revision = revision + 1 WHERE serial = $5";
inline constexpr char kSaveHeld[] =
    "UPDATE resources SET held_group = $1, held_millicores = $2, held_memory = $3, held_gpus = $4, "
    "held_count = $5, held_priority = $6 WHERE serial = $7";
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
