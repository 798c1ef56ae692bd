#include "store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/random.h"
#include "base/strings.h"
#include "store/sql_statements.h"
#include "store/sqlite/identities.h"
#include "store/sqlite/ledger.h"
#include "store/sqlite/migrate.h"
#include "store/sqlite/name_stamps.h"
#include "store/sqlite/reader_pool.h"
#include "store/sqlite/reads.h"
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

Revision Next(Revision r) { return static_cast<Revision>(static_cast<std::uint64_t>(r) + 1); }

class Impl final : public Store {
 public:
  Impl(std::filesystem::path file, std::unique_ptr<Database> writer, const Secret& audit_key)
      : audit_key_(audit_key),
        ledger_(audit_key),
        readers_(std::move(file)),
        writes_(std::move(writer), ledger_) {}

  Result<Org> CreateOrg(const Org& org, const Alongside& with) override {
    Org made = org;
    CML_RETURN_IF_ERROR(Write(with, [&](Writer w, Prepared&) { return InsertOrg(w.db, made); }));
    return made;
  }

  Status UpdateOrg(const Org& org, const Alongside& with) override {
    return Write(with, [&](Writer w, Prepared&) { return sqlite::UpdateOrg(w.db, org); });
  }

  Status EraseOrg(const OrgId& id, const Alongside& with) override {
    return Write(with, [&](Writer w, Prepared&) { return sqlite::EraseOrg(w, id); });
  }

  Result<Org> GetOrg(const OrgId& id) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kGetOrg);
    CML_ASSIGN_OR_RETURN(const bool found, query.Bind(id.str()).Step());
    if (!found) return NoOrg(id);
    return ReadOrg(query);
  }

  Result<std::vector<Org>> ListOrgs() override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kListOrgs);
    return Collect<Org>(query, [&] { return ReadOrg(query); });
  }

  Status PutKey(const ApiKey& key, const Alongside& with) override {
    return Write(with, [&](Writer w, Prepared&) { return sqlite::PutKey(w.db, key); });
  }

  Status EraseKey(const AccessKey& key, const Alongside& with) override {
    return Write(with, [&](Writer w, Prepared&) { return sqlite::EraseKey(w.db, key); });
  }

  Status TouchKeys(const std::vector<std::pair<AccessKey, SysTime>>& used) override {
    return writes_.Run([&](Database& db) { return sqlite::TouchKeys(db, used); });
  }

  Result<ApiKey> GetKey(const AccessKey& key) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kGetKey);
    CML_ASSIGN_OR_RETURN(const bool found, query.Bind(key.str()).Step());
    if (!found) return NoKey(key);
    return ReadKey(query);
  }

  Result<std::vector<ApiKey>> ListKeys(const OrgId& org) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    Query query(*db, sql::kListKeys);
    query.Bind(org.str());
    return Collect<ApiKey>(query, [&] { return ReadKey(query); });
  }

  Result<Quota> GetQuota(const OrgId& org) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    return ReadQuota(*db, org);
  }

  Status PutQuota(const OrgId& org, const Quota& quota, const Alongside& with) override {
    return Write(with, [&](Writer w, Prepared&) { return w.ledger.PutQuota(w.db, org, quota); });
  }

  Result<QuotaUse> GetQuotaUse(const OrgId& org) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    return ReadQuotaUse(*db, org);
  }

  Status VerifyQuotaUse() override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    return sqlite::VerifyQuotaUse(*db);
  }

  std::uint64_t NameStamp(ResourceKind kind, const OrgId& org,
                          const std::string& name) const override {
    return stamps_.Of(kind, org, name);
  }

  Result<Revision> Insert(const Row& row, const Alongside& with) override {
    const NameStamps::Write write(stamps_, row);
    CML_RETURN_IF_ERROR(WriteRow(with, [&](Writer w, Prepared& all) { return InsertRow(w, row, all); }));
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
    query.Bind(LimitOf(wanted.most));
    return Collect<Row>(query, [&] { return ReadRow(query, kind); });
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
        WriteRow(with, [&](Writer w, Prepared& all) { return sqlite::SaveWish(w, row, all); }));
    return Next(row.revision);
  }

  Result<Revision> SaveRecord(const Row& row, LeaderToken leader,
                              const Alongside& with) override {
    const NameStamps::Write write(stamps_, row);
    CML_RETURN_IF_ERROR(WriteRow(
        with, [&](Writer w, Prepared& all) { return sqlite::SaveRecord(w, row, leader, all); }));
    return Next(row.revision);
  }

  Status Erase(const Row& row, LeaderToken leader, const Alongside& with) override {
    const NameStamps::Write write(stamps_, row);
    return WriteRow(with, [&](Writer w, Prepared& all) { return EraseRow(w, row, leader, all); });
  }

  Status AddEvent(ResourceKind kind, const ResourceId& id, const Event& event) override {
    return writes_.Run([&](Database& db) { return sqlite::AddEvent(db, kind, id, event); });
  }

  Result<std::vector<Event>> Events(ResourceKind kind, const ResourceId& id) override {
    return InSnapshot([&](Database& db) { return EventsInSnapshot(db, kind, id); });
  }

  Result<LeaderToken> BecomeLeader() override {
    LeaderToken token{};
    CML_RETURN_IF_ERROR(writes_.Run([&](Database& db) -> Status {
      CML_ASSIGN_OR_RETURN(token, NextLeader(db));
      return Ok{};
    }));
    return token;
  }

  Status Commit(const Alongside& all) override {
    return Write(all, [](Writer, Prepared&) { return Status(Ok{}); });
  }

  Result<Document> GetDocument(DocumentKind kind, const OrgId& org, const std::string& key) override {
    Document wanted;
    wanted.kind = kind;
    wanted.org = org;
    wanted.key = key;
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    return sqlite::GetDocument(*db, wanted);
  }

  Result<std::vector<Document>> ListDocuments(const DocumentQuery& query) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    return sqlite::ListDocuments(*db, query);
  }

  Result<std::vector<AuditLine>> ReadAudit(const AuditQuery& query) override {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    return sqlite::ReadAudit(*db, query);
  }

  Result<AuditVerdict> VerifyAudit() override {
    return InSnapshot([&](Database& db) { return sqlite::VerifyAudit(db, audit_key_); });
  }

  Result<std::vector<UsageRow>> ReadUsage(const UsageQuery& query) override {
    return InSnapshot([&](Database& db) { return sqlite::ReadUsage(db, query); });
  }

  Result<std::vector<UsageRecord>> ListUsage(const UsageListQuery& query) override {
    return InSnapshot([&](Database& db) { return sqlite::ListUsage(db, query); });
  }

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

  // Runs `change` and writes what goes with a row, after it or as part of it.
  template <class Change>
  Status WriteRow(const Alongside& with, const Change& change) {
    CML_ASSIGN_OR_RETURN(Prepared prepared, Prepare(with));
    return writes_.Run([&](Database& db) { return change(Writer{db, ledger_}, prepared); });
  }
  template <class Change>
  Status Write(const Alongside& with, const Change& change) {
    return WriteRow(with, [&](Writer w, Prepared& prepared) -> Status {
      CML_RETURN_IF_ERROR(change(w, prepared));
      return WriteAlongside(w, prepared);
    });
  }

  // Several reads of one state of the database.
  template <class Read>
  auto InSnapshot(const Read& read) -> decltype(read(std::declval<Database&>())) {
    CML_ASSIGN_OR_RETURN(const auto db, readers_.Take());
    CML_RETURN_IF_ERROR(db->Execute("BEGIN"));
    auto result = read(*db);
    (void)db->Execute("COMMIT").ok();
    return result;
  }

  static Result<std::optional<Row>> FindBy(Database& db, const char* sql, const Name& wanted) {
    Query query(db, sql);
    query.Bind(wanted.org.str()).Bind(ToString(wanted.kind)).Bind(wanted.name);
    CML_ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return std::optional<Row>();
    CML_ASSIGN_OR_RETURN(Row row, ReadRow(query, wanted.kind));
    return std::optional<Row>(std::move(row));
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

  const Secret audit_key_;
  Ledger ledger_;  // the writing thread's
  NameStamps stamps_;
  ReaderPool readers_;
  WriteQueue writes_;  // its thread ends first
};

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<Store>> SqliteStore::Open(const std::filesystem::path& file,
                                                 const Secret& audit_key) {
  CML_ASSIGN_OR_RETURN(auto writer, sqlite::Database::Open(file, sqlite::Access::kWrite));
  CML_RETURN_IF_ERROR(sqlite::Migrate(*writer, Migrations(), [&](int version) -> Status {
    return version == kAuditMigration ? sqlite::SignEmptyAudit(*writer, audit_key) : Ok{};
  }));
  CML_RETURN_IF_ERROR(SyncFolder(std::filesystem::absolute(file).parent_path()));
  return std::unique_ptr<Store>(new sqlite::Impl(file, std::move(writer), audit_key));
}

}  // namespace cml::store
