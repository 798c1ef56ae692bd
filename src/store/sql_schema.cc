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

constexpr std::array<Migration, 2> kMigrations{{
    {1, "organisations and keys", kIdentities},
    {2, "resources and events", kResources},
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
