#include "store/sqlite/rows.h"

#include "base/strings.h"
#include "store/sql_words.h"

namespace cml::store::sqlite {
namespace {

SysTime ReadTime(Query& query) { return SysTime(SysTime::duration(query.Number())); }

}  // namespace

Org ReadOrg(Query& query) {
  Org org;
  org.id = OrgId(query.Text());
  org.name = query.Text();
  org.created = ReadTime(query);
  org.unix_uid = query.Number();
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
  return key;
}

Row ReadRow(Query& query, ResourceKind kind) {
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
  return row;
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
