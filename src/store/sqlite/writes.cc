#include "store/sqlite/writes.h"

#include "base/strings.h"
#include "store/sql_statements.h"
#include "store/sql_words.h"
#include "store/sqlite/rows.h"

namespace cml::store::sqlite {
namespace {

// What a write has to know of the row it changes.
struct Head {
  std::int64_t serial = 0;
  std::string org;
  std::int64_t revision = 0;
};

Error Named(Code code, ResourceKind kind, std::string_view subject, std::string_view what) {
  return {code, std::string(ToString(kind)) + " " + Quote(subject) + " " + std::string(what)};
}

Result<Head> GetHead(Database& db, ResourceKind kind, const ResourceId& id) {
  Query query(db, sql::kGetHead);
  query.Bind(id.str()).Bind(ToString(kind));
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return Named(Code::kNotFound, kind, id.str(), "does not exist");
  Head head;
  head.serial = query.Number();
  head.org = query.Text();
  head.revision = query.Number();
  return head;
}

// The row's head when it is still at the revision that the writer has seen.
Result<Head> GetHeadAt(Database& db, const Row& row) {
  CML_ASSIGN_OR_RETURN(Head head, GetHead(db, row.kind, row.meta.id));
  if (head.revision != ToNumber(row.revision)) {
    return Named(Code::kConflict, row.kind, row.meta.name,
                 "was changed by somebody else in the meantime; read it again");
  }
  return head;
}

Status AppendEvent(Database& db, const Head& head, const Event& event) {
  std::int64_t seq = 1;
  {
    Query query(db, sql::kNewestEvent);
    query.Bind(head.serial);
    CML_ASSIGN_OR_RETURN(const bool found, query.Step());
    if (found) {
      seq = query.Number() + 1;
      if (query.Text() == EventTypeWord(event.type) && query.Text() == event.reason &&
          query.Text() == event.message) {
        return Query(db, sql::kCountEvent)
            .Bind(event.count)
            .Bind(ToNumber(event.last))
            .Bind(head.serial)
            .Bind(seq - 1)
            .Run();
      }
    }
  }
  return Query(db, sql::kAddEvent)
      .Bind(head.serial)
      .Bind(seq)
      .Bind(head.org)
      .Bind(ToNumber(event.first))
      .Bind(ToNumber(event.last))
      .Bind(event.count)
      .Bind(EventTypeWord(event.type))
      .Bind(event.reason)
      .Bind(event.message)
      .Run();
}

Status AppendEvents(Database& db, const Head& head, const std::vector<Event>& events) {
  for (const Event& event : events) CML_RETURN_IF_ERROR(AppendEvent(db, head, event));
  return Ok{};
}

Error NameTaken(const Row& row) {
  return Named(Code::kAlreadyExists, row.kind, row.meta.name, "exists already");
}

// A leader that is newer than the newest seen is remembered, an older one is refused.
Status CheckLeader(Database& db, LeaderToken leader) {
  std::int64_t newest = 0;
  {
    Query query(db, sql::kGetNumber);
    query.Bind(std::string_view("leader"));
    CML_ASSIGN_OR_RETURN(const bool found, query.Step());
    if (found) newest = query.Number();
  }
  if (ToNumber(leader) == newest) return Ok{};
  if (ToNumber(leader) < newest) {
    return Error(Code::kFailedPrecondition, "another server leads now; this one must not write");
  }
  return Query(db, sql::kRaiseNumber).Bind(ToNumber(leader)).Bind(std::string_view("leader")).Run();
}

Result<std::int64_t> NextNumber(Database& db, std::string_view name) {
  Query query(db, sql::kNextNumber);
  query.Bind(name);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return Error(Code::kDataLoss, "the database lacks the number " + Quote(name));
  const std::int64_t number = query.Number();
  CML_RETURN_IF_ERROR(query.Run());
  return number;
}

Result<bool> Exists(Database& db, const char* sql, std::string_view value) {
  Query query(db, sql);
  return query.Bind(value).Step();
}

}  // namespace

Status InsertOrg(Database& db, Org& org) {
  CML_ASSIGN_OR_RETURN(const bool taken, Exists(db, sql::kGetOrgByName, org.name));
  if (taken) {
    return Error(Code::kAlreadyExists, "organisation " + Quote(org.name) + " exists already");
  }
  if (org.id.empty()) {
    CML_ASSIGN_OR_RETURN(const std::int64_t number, NextNumber(db, "org"));
    org.id = OrgId(std::to_string(number));
  } else if (const auto number = ParseInt(org.id.str()); number) {
    CML_RETURN_IF_ERROR(
        Query(db, sql::kRaiseNumber).Bind(*number).Bind(std::string_view("org")).Run());
  }
  Status inserted = Query(db, sql::kInsertOrg)
                        .Bind(org.id.str())
                        .Bind(org.name)
                        .Bind(ToNumber(org.created))
                        .Bind(org.unix_uid)
                        .Run();
  if (!inserted.ok() && inserted.error().code() == Code::kAlreadyExists) {
    return Error(Code::kAlreadyExists, "organisation id " + Quote(org.id.str()) + " is taken");
  }
  return inserted;
}

Status PutKey(Database& db, const ApiKey& key) {
  return Query(db, sql::kPutKey)
      .Bind(key.access_key.str())
      .Bind(key.org.str())
      .Bind(ToString(key.role))
      .Bind(key.sealed_secret)
      .Bind(key.label)
      .Bind(std::int64_t{key.disabled})
      .Bind(ToNumber(key.created))
      .Run();
}

Status InsertRow(Database& db, const Row& row, const Alongside& with) {
  Head head;
  head.org = row.meta.org.str();
  {
    Query query(db, sql::kInsertResource);
    query.Bind(row.meta.id.str())
        .Bind(ToString(row.kind))
        .Bind(row.meta.org.str())
        .Bind(row.meta.name)
        .Bind(ToNumber(row.meta.created))
        .Bind(ToNumber(row.meta.updated))
        .Bind(row.wish)
        .Bind(row.record)
        .Bind(row.state)
        .Bind(std::int64_t{row.live})
        .Bind(std::int64_t{row.unfinished});
    const Result<bool> inserted = query.Step();
    if (!inserted.ok()) {
      if (inserted.error().code() != Code::kAlreadyExists) return inserted.error();
      CML_ASSIGN_OR_RETURN(const bool id_taken, Exists(db, sql::kGetAnyHead, row.meta.id.str()));
      if (!id_taken) return NameTaken(row);
      return Named(Code::kConflict, row.kind, row.meta.id.str(), "is an id in use; take a new one");
    }
    head.serial = query.Number();
    CML_RETURN_IF_ERROR(query.Run());
  }
  return AppendEvents(db, head, with.events);
}

Status SaveWish(Database& db, const Row& row, const Alongside& with) {
  CML_ASSIGN_OR_RETURN(const Head head, GetHeadAt(db, row));
  Status saved = Query(db, sql::kSaveWish)
                     .Bind(row.wish)
                     .Bind(std::int64_t{row.live})
                     .Bind(std::int64_t{row.unfinished})
                     .Bind(ToNumber(row.meta.updated))
                     .Bind(head.serial)
                     .Run();
  if (!saved.ok()) {
    return saved.error().code() == Code::kAlreadyExists ? NameTaken(row) : saved.error();
  }
  return AppendEvents(db, head, with.events);
}

Status SaveRecord(Database& db, const Row& row, LeaderToken leader, const Alongside& with) {
  CML_RETURN_IF_ERROR(CheckLeader(db, leader));
  CML_ASSIGN_OR_RETURN(const Head head, GetHeadAt(db, row));
  CML_RETURN_IF_ERROR(Query(db, sql::kSaveRecord)
                          .Bind(row.record)
                          .Bind(row.state)
                          .Bind(std::int64_t{row.unfinished})
                          .Bind(ToNumber(row.meta.updated))
                          .Bind(head.serial)
                          .Run());
  return AppendEvents(db, head, with.events);
}

Status EraseRow(Database& db, const Row& row, LeaderToken leader) {
  CML_RETURN_IF_ERROR(CheckLeader(db, leader));
  CML_ASSIGN_OR_RETURN(const Head head, GetHeadAt(db, row));
  CML_RETURN_IF_ERROR(Query(db, sql::kEraseEvents).Bind(head.serial).Run());
  return Query(db, sql::kEraseResource).Bind(head.serial).Run();
}

Status AddEvent(Database& db, ResourceKind kind, const ResourceId& id, const Event& event) {
  CML_ASSIGN_OR_RETURN(const Head head, GetHead(db, kind, id));
  return AppendEvent(db, head, event);
}

Result<LeaderToken> NextLeader(Database& db) {
  CML_ASSIGN_OR_RETURN(const std::int64_t token, NextNumber(db, "leader"));
  return static_cast<LeaderToken>(token);
}

Status Touch(Database& db) {
  CML_ASSIGN_OR_RETURN(const std::int64_t ignored, NextNumber(db, "ping"));
  (void)ignored;
  return Ok{};
}

}  // namespace cml::store::sqlite
