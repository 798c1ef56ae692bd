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
  Reservation reserved;
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
  CML_ASSIGN_OR_RETURN(head.reserved, ReadReservation(query));
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

// What follows the change of a row.
Status Finish(Writer w, const Head& head, Prepared& with) {
  for (const Event& event : with.with->events) CML_RETURN_IF_ERROR(AppendEvent(w.db, head, event));
  return WriteAlongside(w, with);
}

// The row holds `to` from now on.
Status Hold(Writer w, const Head& head, const Reservation& to, Ledger::Check check) {
  if (head.reserved == to) return Ok{};
  CML_RETURN_IF_ERROR(w.ledger.Reserve(w.db, OrgId(head.org), {head.reserved, to, check}));
  Query query(w.db, sql::kSaveHeld);
  return BindReservation(query, to).Bind(head.serial).Run();
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

Result<bool> Exists(Database& db, const char* sql, std::string_view value) {
  Query query(db, sql);
  return query.Bind(value).Step();
}

}  // namespace

Status InsertRow(Writer w, const Row& row, Prepared& with) {
  Head head;
  head.org = row.meta.org.str();
  {
    Query query(w.db, sql::kInsertResource);
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
    const Result<bool> inserted = BindReservation(query, row.reserved).Step();
    if (!inserted.ok()) {
      if (inserted.error().code() != Code::kAlreadyExists) return inserted.error();
      CML_ASSIGN_OR_RETURN(const bool id_taken, Exists(w.db, sql::kGetAnyHead, row.meta.id.str()));
      if (!id_taken) return NameTaken(row);
      return Named(Code::kConflict, row.kind, row.meta.id.str(), "is an id in use; take a new one");
    }
    head.serial = query.Number();
    CML_RETURN_IF_ERROR(query.Run());
  }
  CML_RETURN_IF_ERROR(
      w.ledger.Reserve(w.db, row.meta.org, {head.reserved, row.reserved, Ledger::Check::kQuota}));
  return Finish(w, head, with);
}

Status SaveWish(Writer w, const Row& row, Prepared& with) {
  CML_ASSIGN_OR_RETURN(const Head head, GetHeadAt(w.db, row));
  Status saved = Query(w.db, sql::kSaveWish)
                     .Bind(row.wish)
                     .Bind(std::int64_t{row.live})
                     .Bind(std::int64_t{row.unfinished})
                     .Bind(ToNumber(row.meta.updated))
                     .Bind(head.serial)
                     .Run();
  if (!saved.ok()) {
    return saved.error().code() == Code::kAlreadyExists ? NameTaken(row) : saved.error();
  }
  CML_RETURN_IF_ERROR(Hold(w, head, row.reserved, Ledger::Check::kQuota));
  return Finish(w, head, with);
}

Status SaveRecord(Writer w, const Row& row, LeaderToken leader, Prepared& with) {
  CML_RETURN_IF_ERROR(CheckLeader(w.db, leader));
  CML_ASSIGN_OR_RETURN(const Head head, GetHeadAt(w.db, row));
  CML_RETURN_IF_ERROR(Query(w.db, sql::kSaveRecord)
                          .Bind(row.record)
                          .Bind(row.state)
                          .Bind(std::int64_t{row.unfinished})
                          .Bind(ToNumber(row.meta.updated))
                          .Bind(head.serial)
                          .Run());
  CML_RETURN_IF_ERROR(Hold(w, head, row.reserved, Ledger::Check::kNothing));
  return Finish(w, head, with);
}

Status EraseRow(Writer w, const Row& row, LeaderToken leader, Prepared& with) {
  CML_RETURN_IF_ERROR(CheckLeader(w.db, leader));
  CML_ASSIGN_OR_RETURN(const Head head, GetHeadAt(w.db, row));
  const Reservation nothing{head.reserved.group, {}};
  CML_RETURN_IF_ERROR(
      w.ledger.Reserve(w.db, OrgId(head.org), {head.reserved, nothing, Ledger::Check::kNothing}));
  CML_RETURN_IF_ERROR(Query(w.db, sql::kEraseEvents).Bind(head.serial).Run());
  CML_RETURN_IF_ERROR(Query(w.db, sql::kEraseResource).Bind(head.serial).Run());
  return WriteAlongside(w, with);
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
