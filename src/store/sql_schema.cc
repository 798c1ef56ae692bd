#include "store/sql_schema.h"

#include <array>

namespace cml::store {
namespace {

// Times are milliseconds since the epoch, flags 0 or 1. `numbers` holds counters that only grow.
constexpr std::string_view kIdentities = R"sql(
CREATE TABLE numbers (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO numbers (name, value) VALUES ('org', 0), ('leader', 0), ('ping', 0);

CREATE TABLE orgs (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  created BIGINT NOT NULL,
  unix_uid BIGINT NOT NULL
);
CREATE UNIQUE INDEX orgs_by_name ON orgs (name);

CREATE TABLE api_keys (
  access_key TEXT NOT NULL PRIMARY KEY,
  org TEXT NOT NULL,
  role TEXT NOT NULL,
  sealed_secret TEXT NOT NULL,
  label TEXT NOT NULL,
  disabled BIGINT NOT NULL,
  created BIGINT NOT NULL
);
CREATE INDEX api_keys_by_org ON api_keys (org, created, access_key);
)sql";

// `serial` is the order of arrival: rows that are listed together lie together, and an event finds
// its resource by a small number. The partial indices stay as small as what is unfinished or being
// deleted, however many rows there are.
constexpr std::string_view kResources = R"sql(
CREATE TABLE resources (
  serial {serial},
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  org TEXT NOT NULL,
  name TEXT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  wish TEXT NOT NULL,
  record TEXT NOT NULL,
  state TEXT NOT NULL,
  live BIGINT NOT NULL,
  unfinished BIGINT NOT NULL,
  revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX resources_by_id ON resources (id);
CREATE UNIQUE INDEX resources_by_name ON resources (org, kind, name) WHERE live = 1;
CREATE INDEX resources_leaving ON resources (org, kind, name, created, id) WHERE live = 0;
CREATE INDEX resources_of_org ON resources (org, kind, created, id);
CREATE INDEX resources_of_all ON resources (kind, created, id);
CREATE INDEX resources_unfinished ON resources (kind, created, id) WHERE unfinished = 1;

CREATE TABLE events (
  resource BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  org TEXT NOT NULL,
  first BIGINT NOT NULL,
  last BIGINT NOT NULL,
  count BIGINT NOT NULL,
  type TEXT NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (resource, seq)
) {clustered};
)sql";

// What a row holds stands in its own columns; quota_use has their sums, changed in the transaction
// that changes a row. A limit that is NULL is none; the group 'total' is that of all groups.
constexpr std::string_view kQuotas = R"sql(
ALTER TABLE orgs ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE orgs ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE orgs ADD COLUMN mail TEXT NOT NULL DEFAULT '';
ALTER TABLE orgs ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE orgs ADD COLUMN project TEXT NOT NULL DEFAULT '';
CREATE TABLE orgs_gone (
  id TEXT NOT NULL PRIMARY KEY,
  unix_uid BIGINT NOT NULL
);
CREATE INDEX orgs_gone_by_uid ON orgs_gone (unix_uid);

ALTER TABLE api_keys ADD COLUMN user_name TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN last_used BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN replaces TEXT NOT NULL DEFAULT '';

ALTER TABLE resources ADD COLUMN held_group TEXT NOT NULL DEFAULT 'train';
ALTER TABLE resources ADD COLUMN held_millicores BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN held_memory BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN held_gpus BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN held_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN held_priority BIGINT NOT NULL DEFAULT 0;

CREATE TABLE quotas (
  org TEXT NOT NULL,
  grp TEXT NOT NULL,
  millicores BIGINT,
  memory BIGINT,
  gpus BIGINT,
  count BIGINT,
  priority BIGINT,
  priority_rank BIGINT NOT NULL,
  PRIMARY KEY (org, grp)
) {clustered};
CREATE TABLE quota_use (
  org TEXT NOT NULL,
  grp TEXT NOT NULL,
  millicores BIGINT NOT NULL,
  memory BIGINT NOT NULL,
  gpus BIGINT NOT NULL,
  count BIGINT NOT NULL,
  priority BIGINT NOT NULL,
  PRIMARY KEY (org, grp)
) {clustered};
)sql";

constexpr std::string_view kDocuments = R"sql(
INSERT INTO numbers (name, value) VALUES ('document', 0), ('usage_longest', 0);
CREATE TABLE documents (
  kind TEXT NOT NULL,
  org TEXT NOT NULL,
  doc_key TEXT NOT NULL,
  body TEXT NOT NULL,
  updated BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  PRIMARY KEY (kind, org, doc_key)
) {clustered};
CREATE INDEX documents_of_org ON documents (org);

CREATE TABLE audit (
  seq BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  org TEXT NOT NULL,
  line TEXT NOT NULL,
  hash TEXT NOT NULL
) {clustered};
CREATE INDEX audit_of_org ON audit (org, seq);
CREATE TABLE audit_head (
  only_one BIGINT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL,
  hash TEXT NOT NULL,
  mac TEXT NOT NULL
);
)sql";

// Each record, and what reports add up: per day, organisation and user, and per day, label and
// organisation. `…_rest` is the part of a sum that is less than one whole (core/usage_sums.h).
constexpr std::string_view kUsage = R"sql(
CREATE TABLE usage_records (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  org TEXT NOT NULL,
  user_name TEXT NOT NULL,
  access_key TEXT NOT NULL,
  resource TEXT NOT NULL,
  name TEXT NOT NULL,
  labels TEXT NOT NULL,
  millicores BIGINT NOT NULL,
  memory BIGINT NOT NULL,
  gpus BIGINT NOT NULL,
  gpu_model TEXT NOT NULL,
  storage BIGINT NOT NULL,
  started BIGINT NOT NULL,
  ended BIGINT NOT NULL
) {clustered};
CREATE INDEX usage_records_of_all ON usage_records (ended, id, started);
CREATE INDEX usage_records_of_org ON usage_records (org, ended, id, started);
CREATE INDEX usage_records_of_resource ON usage_records (resource, ended, id, started);

CREATE TABLE usage_days (
  day BIGINT NOT NULL,
  org TEXT NOT NULL,
  kind TEXT NOT NULL,
  gpu_model TEXT NOT NULL,
  user_name TEXT NOT NULL,
  cpu BIGINT NOT NULL,
  cpu_rest BIGINT NOT NULL,
  memory BIGINT NOT NULL,
  memory_rest BIGINT NOT NULL,
  storage BIGINT NOT NULL,
  storage_rest BIGINT NOT NULL,
  gpu_ms BIGINT NOT NULL,
  held_ms BIGINT NOT NULL,
  records BIGINT NOT NULL,
  PRIMARY KEY (day, org, kind, gpu_model, user_name)
) {clustered};
CREATE TABLE usage_labels (
  label_key TEXT NOT NULL,
  day BIGINT NOT NULL,
  org TEXT NOT NULL,
  kind TEXT NOT NULL,
  gpu_model TEXT NOT NULL,
  label_value TEXT NOT NULL,
  cpu BIGINT NOT NULL,
  cpu_rest BIGINT NOT NULL,
  memory BIGINT NOT NULL,
  memory_rest BIGINT NOT NULL,
  storage BIGINT NOT NULL,
  storage_rest BIGINT NOT NULL,
  gpu_ms BIGINT NOT NULL,
  held_ms BIGINT NOT NULL,
  records BIGINT NOT NULL,
  PRIMARY KEY (label_key, day, org, kind, gpu_model, label_value)
) {clustered};
)sql";

constexpr std::array<Migration, 5> kMigrations{{
    {1, "organisations and keys", kIdentities},
    {2, "resources and events", kResources},
    {3, "quotas", kQuotas},
    {4, "documents and audit", kDocuments},
    {5, "usage", kUsage},
}};

void ReplaceAll(std::string& text, std::string_view token, std::string_view by) {
  for (auto at = text.find(token); at != std::string::npos; at = text.find(token, at + by.size())) {
    text.replace(at, token.size(), by);
  }
}

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }

std::string Render(const Migration& migration, const SqlDialect& dialect) {
  std::string sql(migration.sql);
  ReplaceAll(sql, "{serial}", dialect.serial);
  ReplaceAll(sql, "{clustered}", dialect.clustered);
  return sql;
}

}  // namespace cml::store
