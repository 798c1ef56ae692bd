// store/sql_ledger_statements.h — the statements of sql_statements.h that deal with quotas,
// documents, audit and usage. Private to the engines below store/.
#pragma once

namespace cml::store::sql {

// ---- quotas
inline constexpr char kGetQuota[] =
    "SELECT grp, millicores, memory, gpus, count, priority, priority_rank FROM quotas WHERE org = $1";
inline constexpr char kPutQuota[] =
    "INSERT INTO quotas (org, grp, millicores, memory, gpus, count, priority, priority_rank) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org, grp) DO UPDATE SET "
    "millicores = excluded.millicores, memory = excluded.memory, gpus = excluded.gpus, "
    "count = excluded.count, priority = excluded.priority, priority_rank = excluded.priority_rank";
inline constexpr char kEraseQuota[] = "DELETE FROM quotas WHERE org = $1";
inline constexpr char kGetQuotaUse[] =
    "SELECT grp, millicores, memory, gpus, count, priority FROM quota_use WHERE org = $1";
inline constexpr char kPutQuotaUse[] =
    "INSERT INTO quota_use (org, grp, millicores, memory, gpus, count, priority) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org, grp) DO UPDATE SET "
    "millicores = excluded.millicores, memory = excluded.memory, gpus = excluded.gpus, "
    "count = excluded.count, priority = excluded.priority";
inline constexpr char kEraseQuotaUse[] = "DELETE FROM quota_use WHERE org = $1";
// The organisations whose sums are not those of their rows, in either direction.
inline constexpr char kWrongQuotaUse[] =
    "SELECT org, grp FROM ("
    "SELECT org, grp, millicores, memory, gpus, count, priority FROM quota_use UNION ALL "
    "SELECT org, held_group, -held_millicores, -held_memory, -held_gpus, -held_count, -held_priority "
    "FROM resources WHERE held_count <> 0 OR held_millicores <> 0 OR held_memory <> 0 OR "
    "held_gpus <> 0 OR held_priority <> 0) AS every GROUP BY org, grp "
    "HAVING SUM(millicores) <> 0 OR SUM(memory) <> 0 OR SUM(gpus) <> 0 OR SUM(count) <> 0 OR "
    "SUM(priority) <> 0 ORDER BY org, grp LIMIT 1";

// ---- documents
#define CML_DOCUMENT "SELECT org, doc_key, body, updated, revision FROM documents "
inline constexpr char kGetDocument[] = CML_DOCUMENT "WHERE kind = $1 AND org = $2 AND doc_key = $3";
inline constexpr char kListDocumentsOfOrg[] = CML_DOCUMENT
    "WHERE kind = $1 AND org = $2 AND doc_key >= $3 AND doc_key > $4 ORDER BY doc_key";
inline constexpr char kListDocuments[] = CML_DOCUMENT
    "WHERE kind = $1 AND (org, doc_key) > ($2, $3) ORDER BY org, doc_key";
#undef CML_DOCUMENT
inline constexpr char kDocumentRevision[] =
    "SELECT revision FROM documents WHERE kind = $1 AND org = $2 AND doc_key = $3";
inline constexpr char kPutDocument[] =
    "INSERT INTO documents (kind, org, doc_key, body, updated, revision) "
    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, org, doc_key) DO UPDATE SET "
    "body = excluded.body, updated = excluded.updated, revision = excluded.revision";
inline constexpr char kEraseDocument[] =
    "DELETE FROM documents WHERE kind = $1 AND org = $2 AND doc_key = $3";
inline constexpr char kEraseDocumentsOfOrg[] = "DELETE FROM documents WHERE org = $1";

// ---- audit
inline constexpr char kGetAuditHead[] = "SELECT seq, hash, mac FROM audit_head WHERE only_one = 1";
inline constexpr char kPutAuditHead[] =
    "INSERT INTO audit_head (only_one, seq, hash, mac) VALUES (1, $1, $2, $3) "
    "ON CONFLICT (only_one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac";
inline constexpr char kAddAudit[] =
    "INSERT INTO audit (seq, at, org, line, hash) VALUES ($1, $2, $3, $4, $5)";
inline constexpr char kLastAudit[] = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
#define CML_AUDIT "SELECT seq, at, org, line, hash FROM audit "
inline constexpr char kAllAudit[] = CML_AUDIT "ORDER BY seq";
inline constexpr char kAuditAfter[] = CML_AUDIT
    "WHERE seq > $1 AND at >= $2 AND at < $3 ORDER BY seq LIMIT $4";
inline constexpr char kAuditBefore[] = CML_AUDIT
    "WHERE seq < $1 AND at >= $2 AND at < $3 ORDER BY seq DESC LIMIT $4";
inline constexpr char kAuditOfOrgAfter[] = CML_AUDIT
    "WHERE seq > $1 AND at >= $2 AND at < $3 AND org = $4 ORDER BY seq LIMIT $5";
inline constexpr char kAuditOfOrgBefore[] = CML_AUDIT
    "WHERE seq < $1 AND at >= $2 AND at < $3 AND org = $4 ORDER BY seq DESC LIMIT $5";
#undef CML_AUDIT

// ---- usage
inline constexpr char kAddUsage[] =
    "INSERT INTO usage_records (id, kind, org, user_name, access_key, resource, name, labels, "
    "millicores, memory, gpus, gpu_model, storage, started, ended) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
    "ON CONFLICT (id) DO NOTHING RETURNING id";
#define CML_ADD_SUMS(TABLE, DIVISOR_CPU, DIVISOR_BYTES)                                        \
  " DO UPDATE SET "                                                                            \
  "cpu = " TABLE ".cpu + excluded.cpu + (" TABLE ".cpu_rest + excluded.cpu_rest) / " DIVISOR_CPU ", " \
  "cpu_rest = (" TABLE ".cpu_rest + excluded.cpu_rest) % " DIVISOR_CPU ", "                    \
  "memory = " TABLE ".memory + excluded.memory + "                                             \
  "(" TABLE ".memory_rest + excluded.memory_rest) / " DIVISOR_BYTES ", "                       \
  "memory_rest = (" TABLE ".memory_rest + excluded.memory_rest) % " DIVISOR_BYTES ", "         \
  "storage = " TABLE ".storage + excluded.storage + "                                          \
  "(" TABLE ".storage_rest + excluded.storage_rest) / " DIVISOR_BYTES ", "                     \
  "storage_rest = (" TABLE ".storage_rest + excluded.storage_rest) % " DIVISOR_BYTES ", "      \
  "gpu_ms = " TABLE ".gpu_ms + excluded.gpu_ms, "                                              \
  "held_ms = " TABLE ".held_ms + excluded.held_ms, "                                           \
  "records = " TABLE ".records + excluded.records"
inline constexpr char kAddUsageDay[] =
    "INSERT INTO usage_days (day, org, kind, gpu_model, user_name, cpu, cpu_rest, memory, "
    "memory_rest, storage, storage_rest, gpu_ms, held_ms, records) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
    "ON CONFLICT (day, org, kind, gpu_model, user_name)"
    CML_ADD_SUMS("usage_days", "1000", "1048576000");
inline constexpr char kAddUsageLabel[] =
    "INSERT INTO usage_labels (label_key, day, org, kind, gpu_model, label_value, cpu, cpu_rest, "
    "memory, memory_rest, storage, storage_rest, gpu_ms, held_ms, records) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
    "ON CONFLICT (label_key, day, org, kind, gpu_model, label_value)"
    CML_ADD_SUMS("usage_labels", "1000", "1048576000");
#undef CML_ADD_SUMS

#define CML_SUMS                                                                              \
  "SUM(cpu), SUM(cpu_rest), SUM(memory), SUM(memory_rest), SUM(storage), SUM(storage_rest), " \
  "SUM(gpu_ms), SUM(held_ms), SUM(records) "
inline constexpr char kUsageDays[] = "SELECT MIN(day), MAX(day) FROM usage_days";
inline constexpr char kUsageByOrg[] =
    "SELECT day, org, kind, gpu_model, '', " CML_SUMS
    "FROM usage_days WHERE day = $1 GROUP BY org, kind, gpu_model";
inline constexpr char kUsageByUser[] =
    "SELECT day, org, kind, gpu_model, user_name, " CML_SUMS
    "FROM usage_days WHERE day = $1 GROUP BY org, kind, gpu_model, user_name";
inline constexpr char kUsageByLabel[] =
    "SELECT day, org, kind, gpu_model, label_value, " CML_SUMS
    "FROM usage_labels WHERE day = $1 AND label_key = $2 "
    "GROUP BY org, kind, gpu_model, label_value";
inline constexpr char kUsageOfOrgByOrg[] =
    "SELECT day, org, kind, gpu_model, '', " CML_SUMS
    "FROM usage_days WHERE day = $1 AND org = $2 GROUP BY kind, gpu_model";
inline constexpr char kUsageOfOrgByUser[] =
    "SELECT day, org, kind, gpu_model, user_name, " CML_SUMS
    "FROM usage_days WHERE day = $1 AND org = $2 GROUP BY kind, gpu_model, user_name";
inline constexpr char kUsageOfOrgByLabel[] =
    "SELECT day, org, kind, gpu_model, label_value, " CML_SUMS
    "FROM usage_labels WHERE day = $1 AND org = $2 AND label_key = $3 "
    "GROUP BY kind, gpu_model, label_value";
#undef CML_SUMS

#define CML_USAGE                                                                            \
  "SELECT id, kind, org, user_name, access_key, resource, name, labels, millicores, memory, " \
  "gpus, gpu_model, storage, started, ended FROM usage_records "
// Ended after $1 and begun before $2; $3 is the greatest end that such a one can have.
inline constexpr char kListUsage[] = CML_USAGE
    "WHERE ended > $1 AND started < $2 AND ended < $3 AND (ended, id) > ($4, $5) "
    "ORDER BY ended, id LIMIT $6";
inline constexpr char kListUsageOfOrg[] = CML_USAGE
    "WHERE ended > $1 AND started < $2 AND ended < $3 AND (ended, id) > ($4, $5) AND org = $6 "
    "ORDER BY ended, id LIMIT $7";
inline constexpr char kListUsageOfResource[] = CML_USAGE
    "WHERE ended > $1 AND started < $2 AND ended < $3 AND (ended, id) > ($4, $5) AND resource = $6 "
    "ORDER BY ended, id LIMIT $7";
#undef CML_USAGE

}  // namespace cml::store::sql
