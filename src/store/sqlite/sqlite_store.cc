#include "store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/random.h"
#include "base/strings.h"
#include "store/sql_statements.h"
#include "store/sqlite/migrate.h"
#include "store/sqlite/name_stamps.h"
#include "store/sqlite/reader_pool.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/write_queue.h"
#include "store/sqlite/writes.h"

namespace cml::store {
namespace sqlite {
namespace {

constexpr std::chrono::milliseconds kFreshWrite{1000};

Error NoResource(ResourceKind kind, std::string_view subject) {
  return {Code::kNotFound, std::string(ToString(kind)) + " " + Quote(subject) + " does not exist"};
}

Error NotYet() { return {Code::kInternal, "this store does not keep that yet"}; }

Revision Next(Revision r) { return static_cast<Revision>(static_cast<std::uint64_t>(r) + 1); }

class Impl final : public Store {
 public:
  Impl(std::filesystem::path file, std::unique_ptr<Database> writer)
      : readers_(std::move(file)), writes_(std::move(writer)) {}

  Result<Org> CreateOrg(const Org& org, const Alongside&) override {
    Org made = org;
    CML_RETURN_IF_ERROR(writes_.Run([&](Database& db) {
      made = org;
      return InsertOrg(db, made);
    }));
    return made;
  }

  Result<Org> GetOrg(const OrgId& id) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kGetOrg);
    CML_ASSIGN_OR_RETURN(const bool found, query.Bind(id.str()).Step());
    if (!found) {
      return Error(Code::kNotFound, "organisation " + Quote(id.str()) + " does not exist");
    }
    return ReadOrg(query);
  }

  Result<std::vector<Org>> ListOrgs() override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kListOrgs);
    return Collect<Org>(query, [&] { return Result<Org>(ReadOrg(query)); });
  }

  Status PutKey(const ApiKey& key, const Alongside&) override {
    return writes_.Run([&](Database& db) { return sqlite::PutKey(db, key); });
  }

  Result<ApiKey> GetKey(const AccessKey& key) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kGetKey);
    CML_ASSIGN_OR_RETURN(const bool found, query.Bind(key.str()).Step());
    if (!found) return Error(Code::kNotFound, "key " + Quote(key.str()) + " does not exist");
    return ReadKey(query);
  }

  Result<std::vector<ApiKey>> ListKeys(const OrgId& org) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kListKeys);
    query.Bind(org.str());
    return Collect<ApiKey>(query, [&] { return ReadKey(query); });
  }

  std::uint64_t NameStamp(ResourceKind kind, const OrgId& org,
                          const std::string& name) const override {
    return stamps_.Of(kind, org, name);
  }

  Result<Revision> Insert(const Row& row, const Alongside& with) override {
    const NameStamps::Write write(stamps_, row);
    CML_RETURN_IF_ERROR(writes_.Run([&](Database& db) { return InsertRow(db, row, with); }));
    return Next(Revision{0});
  }

  Result<Row> Find(ResourceKind kind, const OrgId& org, const std::string& name) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    CML_ASSIGN_OR_RETURN(auto live, FindBy(*db, sql::kFindLive, {kind, org, name}));
    if (live) return std::move(*live);
    // Rare: look again, at both in one snapshot.
    CML_RETURN_IF_ERROR(db->Execute("BEGIN"));
    auto found = FindInSnapshot(*db, {kind, org, name});
    (void)db->Execute("COMMIT").ok();
    return found;
  }

  Result<Row> Get(ResourceKind kind, const ResourceId& id) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kGetResource);
    CML_ASSIGN_OR_RETURN(const bool found, query.Bind(id.str()).Bind(ToString(kind)).Step());
    if (!found) return NoResource(kind, id.str());
    return ReadRow(query, kind);
  }

  Result<std::vector<Row>> List(ResourceKind kind, const ListQuery& wanted) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    const bool from_start = wanted.after_id.empty();
    Query query(*db, wanted.org ? (from_start ? sql::kListOrg : sql::kListOrgAfter)
                                : (from_start ? sql::kListAll : sql::kListAllAfter));
    if (wanted.org) query.Bind(wanted.org->str());
    query.Bind(ToString(kind));
    if (!from_start) query.Bind(ToNumber(wanted.after_created)).Bind(wanted.after_id.str());
    constexpr std::size_t kMost = 1U << 20;  // no caller shows more at once
    query.Bind(static_cast<std::int64_t>(std::min(wanted.most, kMost)));
    return Collect<Row>(query, [&] { return Result<Row>(ReadRow(query, kind)); });
  }

  Result<std::vector<ResourceId>> ListUnfinished(ResourceKind kind) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kListUnfinished);
    query.Bind(ToString(kind));
    return Collect<ResourceId>(query, [&] { return Result<ResourceId>(ResourceId(query.Text())); });
  }

  Result<std::uint64_t> CountUnfinished(ResourceKind kind) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kCountUnfinished);
    CML_ASSIGN_OR_RETURN(const bool found, query.Bind(ToString(kind)).Step());
    return found ? static_cast<std::uint64_t>(query.Number()) : 0;
  }

  Result<Revision> SaveWish(const Row& row, const Alongside& with) override {
    const NameStamps::Write write(stamps_, row);
    CML_RETURN_IF_ERROR(
        writes_.Run([&](Database& db) { return sqlite::SaveWish(db, row, with); }));
    return Next(row.revision);
  }

  Result<Revision> SaveRecord(const Row& row, LeaderToken leader,
                              const Alongside& with) override {
    const NameStamps::Write write(stamps_, row);
    CML_RETURN_IF_ERROR(
        writes_.Run([&](Database& db) { return sqlite::SaveRecord(db, row, leader, with); }));
    return Next(row.revision);
  }

  Status Erase(const Row& row, LeaderToken leader, const Alongside&) override {
    const NameStamps::Write write(stamps_, row);
    return writes_.Run([&](Database& db) { return EraseRow(db, row, leader); });
  }

  Status AddEvent(ResourceKind kind, const ResourceId& id, const Event& event) override {
    return writes_.Run([&](Database& db) { return sqlite::AddEvent(db, kind, id, event); });
  }

  Result<std::vector<Event>> Events(ResourceKind kind, const ResourceId& id) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    CML_RETURN_IF_ERROR(db->Execute("BEGIN"));  // head and events are of one snapshot
    auto events = EventsInSnapshot(*db, kind, id);
    (void)db->Execute("COMMIT").ok();
    return events;
  }

  Result<LeaderToken> BecomeLeader() override {
    LeaderToken token{};
    CML_RETURN_IF_ERROR(writes_.Run([&](Database& db) -> Status {
      CML_ASSIGN_OR_RETURN(token, NextLeader(db));
      return Ok{};
    }));
    return token;
  }


  Status UpdateOrg(const Org&, const Alongside&) override { return NotYet(); }
  Status EraseOrg(const OrgId&, const Alongside&) override { return NotYet(); }
  Status EraseKey(const AccessKey&, const Alongside&) override { return NotYet(); }
  Status TouchKeys(const std::vector<std::pair<AccessKey, SysTime>>&) override { return NotYet(); }
  Result<Quota> GetQuota(const OrgId&) override { return NotYet(); }
  Status PutQuota(const OrgId&, const Quota&, const Alongside&) override { return NotYet(); }
  Result<QuotaUse> GetQuotaUse(const OrgId&) override { return NotYet(); }
  Status Commit(const Alongside&) override { return NotYet(); }
  Result<Document> GetDocument(DocumentKind, const OrgId&, const std::string&) override { return NotYet(); }
  Result<std::vector<Document>> ListDocuments(const DocumentQuery&) override { return NotYet(); }
  Result<std::vector<AuditLine>> ReadAudit(const AuditQuery&) override { return NotYet(); }
  Result<AuditVerdict> VerifyAudit() override { return NotYet(); }
  Status VerifyQuotaUse() override { return NotYet(); }
  Result<std::vector<UsageRow>> ReadUsage(const UsageQuery&) override { return NotYet(); }
  Result<std::vector<UsageRecord>> ListUsage(const UsageListQuery&) override { return NotYet(); }

  Status Ping() override {
    if (writes_.WroteWithin(kFreshWrite)) return Ok{};
    return writes_.Run(Touch);
  }

  Status Backup(const std::filesystem::path& file) override {
    std::filesystem::path part = file;
    part += ".part-" + RandomToken(8);
    Status done = WriteBackup(part);
    if (done.ok() && ::rename(part.c_str(), file.c_str()) != 0) {
      done = ErrnoError(errno, "rename", file);
    }
    if (!done.ok()) {
      ::unlink(part.c_str());
      return done;
    }
    return SyncFolder(std::filesystem::absolute(file).parent_path());
  }

 private:
  struct Name {
    ResourceKind kind;
    const OrgId& org;
    const std::string& name;
  };

  template <class T, class Read>
  static Result<std::vector<T>> Collect(Query& query, Read read) {
    std::vector<T> all;
    for (;;) {
      CML_ASSIGN_OR_RETURN(const bool more, query.Step());
      if (!more) return all;
      CML_ASSIGN_OR_RETURN(T one, read());
      all.push_back(std::move(one));
    }
  }

  static Result<std::optional<Row>> FindBy(Database& db, const char* sql, const Name& wanted) {
    Query query(db, sql);
    query.Bind(wanted.org.str()).Bind(ToString(wanted.kind)).Bind(wanted.name);
    CML_ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return std::optional<Row>();
    return std::optional<Row>(ReadRow(query, wanted.kind));
  }

  static Result<Row> FindInSnapshot(Database& db, const Name& wanted) {
    for (const char* sql : {sql::kFindLive, sql::kFindLeaving}) {
      CML_ASSIGN_OR_RETURN(auto row, FindBy(db, sql, wanted));
      if (row) return std::move(*row);
    }
    return NoResource(wanted.kind, wanted.name);
  }

  static Result<std::vector<Event>> EventsInSnapshot(Database& db, ResourceKind kind,
                                                     const ResourceId& id) {
    std::int64_t serial = 0;
    {
      Query query(db, sql::kGetHead);
      CML_ASSIGN_OR_RETURN(const bool found, query.Bind(id.str()).Bind(ToString(kind)).Step());
      if (!found) return NoResource(kind, id.str());
      serial = query.Number();
    }
    Query query(db, sql::kListEvents);
    query.Bind(serial);
    return Collect<Event>(query, [&] { return ReadEvent(query); });
  }

  Status WriteBackup(const std::filesystem::path& part) {
    {  // as private as the database itself
      auto made = OpenFile(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (!made.ok()) return std::move(made).error();
    }
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    CML_RETURN_IF_ERROR(db->CopyTo(part));
    CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(part, O_RDWR | O_CLOEXEC));
    if (::fsync(fd.get()) != 0) return ErrnoError(errno, "sync", part);
    return Ok{};
  }

  NameStamps stamps_;
  ReaderPool readers_;
  WriteQueue writes_;  // its thread ends first
};

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<Store>> SqliteStore::Open(const std::filesystem::path& file) {
  CML_ASSIGN_OR_RETURN(auto writer, sqlite::Database::Open(file, sqlite::Access::kWrite));
  CML_RETURN_IF_ERROR(sqlite::Migrate(*writer, Migrations()));
  CML_RETURN_IF_ERROR(SyncFolder(std::filesystem::absolute(file).parent_path()));
  return std::unique_ptr<Store>(new sqlite::Impl(file, std::move(writer)));
}

}  // namespace cml::store
