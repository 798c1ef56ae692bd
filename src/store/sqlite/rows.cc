#include "store/sqlite/rows.h"

#include "base/strings.h"
#include "codec/document.h"
#include "store/sql_words.h"

namespace cml::store::sqlite {
namespace {

SysTime ReadTime(Query& query) { return SysTime(SysTime::duration(query.Number())); }

}  // namespace

Result<Org> ReadOrg(Query& query) {
  Org org;
  org.id = OrgId(query.Text());
  org.name = query.Text();
  org.created = ReadTime(query);
  org.unix_uid = query.Number();
  const std::string word = query.Text();
  const auto state = ParseOrgState(word);
  if (!state) {
    return Error(Code::kDataLoss, "organisation " + org.id.str() + " has an unknown state " + Quote(word));
  }
  org.state = *state;
  org.reason = query.Text();
  org.mail = query.Text();
  org.description = query.Text();
  org.project = query.Text();
  return org;
}

Result<ApiKey> ReadKey(Query& query) {
  ApiKey key;
  key.access_key = AccessKey(query.Text());
  key.org = OrgId(query.Text());
  const std::string word = query.Text();
  const auto role = ParseKeyRole(word);
  if (!role) {
    return Error(Code::kDataLoss,
                 "key " + key.access_key.str() + " has an unknown role " + Quote(word));
  }
  key.role = *role;
  key.sealed_secret = query.Text();
  key.label = query.Text();
  key.disabled = query.Number() != 0;
  key.created = ReadTime(query);
  key.user = query.Text();
  key.expires = ReadTime(query);
  key.last_used = ReadTime(query);
  key.replaces = AccessKey(query.Text());
  return key;
}

Result<Row> ReadRow(Query& query, ResourceKind kind) {
  Row row;
  row.kind = kind;
  row.meta.id = ResourceId(query.Text());
  row.meta.org = OrgId(query.Text());
  row.meta.name = query.Text();
  row.meta.created = ReadTime(query);
  row.meta.updated = ReadTime(query);
  row.wish = query.Text();
  row.record = query.Text();
  row.state = query.Text();
  row.live = query.Number() != 0;
  row.unfinished = query.Number() != 0;
  row.revision = static_cast<Revision>(query.Number());
  CML_ASSIGN_OR_RETURN(row.reserved, ReadReservation(query));
  return row;
}

Result<QuotaGroup> ReadGroup(Query& query) {
  const std::string word = query.Text();
  for (const QuotaGroup group : kQuotaGroups) {
    if (ToString(group) == word) return group;
  }
  return Error(Code::kDataLoss, "there is an unknown quota group " + Quote(word));
}

Amounts ReadAmounts(Query& query) {
  Amounts amounts;
  amounts.millicores = query.Number();
  amounts.memory_bytes = query.Number();
  amounts.gpus = query.Number();
  amounts.count = query.Number();
  amounts.priority = query.Number();
  return amounts;
}

Query& BindAmounts(Query& query, const Amounts& amounts) {
  return query.Bind(amounts.millicores)
      .Bind(amounts.memory_bytes)
      .Bind(amounts.gpus)
      .Bind(amounts.count)
      .Bind(amounts.priority);
}

Result<Reservation> ReadReservation(Query& query) {
  Reservation reservation;
  CML_ASSIGN_OR_RETURN(reservation.group, ReadGroup(query));
  reservation.amounts = ReadAmounts(query);
  return reservation;
}

Query& BindReservation(Query& query, const Reservation& reservation) {
  return BindAmounts(query.Bind(ToString(reservation.group)), reservation.amounts);
}

Document ReadDocument(Query& query, DocumentKind kind) {
  Document document;
  document.kind = kind;
  document.org = OrgId(query.Text());
  document.key = query.Text();
  document.body = query.Text();
  document.updated = ReadTime(query);
  document.revision = static_cast<Revision>(query.Number());
  return document;
}

AuditLine ReadAuditLine(Query& query) {
  AuditLine line;
  line.seq = static_cast<std::uint64_t>(query.Number());
  line.at = ReadTime(query);
  line.org = OrgId(query.Text());
  line.text = query.Text();
  line.hash = query.Text();
  return line;
}

Result<UsageRecord> ReadUsageRecord(Query& query) {
  UsageRecord r;
  r.id = query.Text();
  r.kind = query.Text();
  r.org = OrgId(query.Text());
  r.user = query.Text();
  r.key = AccessKey(query.Text());
  r.resource = ResourceId(query.Text());
  r.name = query.Text();
  const auto labels = codec::Document::Parse(query.Text());
  if (!labels.ok()) return Error(Code::kDataLoss, "usage record " + r.id + " has labels that are no JSON");
  for (const auto& [key, value] : labels.value().Fields()) r.labels.emplace(key, value.Str());
  r.millicores = query.Number();
  r.memory_bytes = query.Number();
  r.gpus = query.Number();
  r.gpu_model = query.Text();
  r.storage_bytes = query.Number();
  r.from = ReadTime(query);
  r.to = ReadTime(query);
  return r;
}

UsageSums ReadUsageSums(Query& query) {
  UsageSums sums;
  const auto read = [&](auto& product) {
    product.whole = query.Number();
    product.rest = query.Number();
    product.Carry();
  };
  read(sums.cpu);
  read(sums.memory);
  read(sums.storage);
  sums.gpu_ms = query.Number();
  sums.held_ms = query.Number();
  sums.records = query.Number();
  return sums;
}

Query& BindUsageSums(Query& query, const UsageSums& sums) {
  return query.Bind(sums.cpu.whole)
      .Bind(sums.cpu.rest)
      .Bind(sums.memory.whole)
      .Bind(sums.memory.rest)
      .Bind(sums.storage.whole)
      .Bind(sums.storage.rest)
      .Bind(sums.gpu_ms)
      .Bind(sums.held_ms)
      .Bind(sums.records);
}

Result<Event> ReadEvent(Query& query) {
  Event event;
  event.first = ReadTime(query);
  event.last = ReadTime(query);
  event.count = query.Number();
  const std::string word = query.Text();
  const auto type = ParseEventTypeWord(word);
  if (!type) return Error(Code::kDataLoss, "an event has an unknown type " + Quote(word));
  event.type = *type;
  event.reason = query.Text();
  event.message = query.Text();
  return event;
}

}  // namespace cml::store::sqlite
