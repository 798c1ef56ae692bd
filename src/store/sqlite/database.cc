#include "store/sqlite/database.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>

#include "base/file.h"

namespace cml::store::sqlite {
namespace {

// No mmap_size: mapped pages of a big file would count as our memory, and a read error there is a
// SIGBUS instead of a result. The page cache of the kernel does the caching; our own stays small.
constexpr char kForAll[] =
    "PRAGMA busy_timeout = 5000;"
    "PRAGMA mmap_size = 0;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;";
// FULL syncs the log at each commit: what was acknowledged survives a power loss. Checkpoints are
// ours (write_queue.cc), outside of a caller's wait.
constexpr char kForWriting[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA cache_size = -4096;"
    "PRAGMA wal_autocheckpoint = 0;"
    "PRAGMA journal_size_limit = 33554432;";
constexpr char kForReading[] =
    "PRAGMA cache_size = -2048;"
    "PRAGMA query_only = ON;";

int OnCommit(void* pages, sqlite3*, const char*, int now) {
  *static_cast<int*>(pages) = now;
  return SQLITE_OK;
}

bool IsNoSpace(int error_number) {
  return error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
}

Error Translate(sqlite3* db, int error_number, const std::filesystem::path& file) {
  const int extended = sqlite3_extended_errcode(db);
  const std::string where = file.filename().string();
  const std::string detail = std::string(sqlite3_errmsg(db)) + " (SQLite " +
                             std::to_string(extended) + ", errno " + std::to_string(error_number) +
                             ") on " + file.string();
  const auto make = [&](Code code, const std::string& text) {
    return Error(code, text).While(detail);
  };
  if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY) {
    return make(Code::kAlreadyExists, "there is such a row already");
  }
  switch (extended & 0xff) {
    case SQLITE_FULL:
      return make(Code::kUnavailable,
                  "no space left for the database " + where + "; free some and try again");
    case SQLITE_IOERR:
      if (IsNoSpace(error_number) || extended == SQLITE_IOERR_SHMSIZE) {
        return make(Code::kUnavailable,
                    "no space left for the database " + where + "; free some and try again");
      }
      return make(Code::kUnavailable, "the disk of the database " + where + " reports an error");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
      return make(Code::kUnavailable, "the database " + where + " cannot be written now");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(Code::kUnavailable, "the database " + where + " is in use by another program");
    case SQLITE_CORRUPT:
      return make(Code::kDataLoss,
                  "the database " + where + " is damaged; restore it from a backup");
    case SQLITE_NOTADB:
      return make(Code::kDataLoss, "the file " + where +
                                       " is not a database of ours, or is damaged; move it away or "
                                       "restore it from a backup");
    case SQLITE_TOOBIG:
      return make(Code::kInvalidArgument, "a value is too long to be stored");
    default:
      return make(Code::kInternal, "the database " + where + " refused a statement");
  }
}

}  // namespace

Database::Database(sqlite3* db, std::filesystem::path file) : db_(db), file_(std::move(file)) {}

Database::~Database() {
  for (const auto& [text, statement] : prepared_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Result<std::unique_ptr<Database>> Database::Open(const std::filesystem::path& file, Access access) {
  if (access == Access::kWrite) {
    // Only where there is none: closing a descriptor of a database in use would drop its locks.
    auto made = OpenFile(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!made.ok() && made.error().code() != Code::kAlreadyExists) return std::move(made).error();
  }
  sqlite3* raw = nullptr;
  const int rc =
      sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (raw == nullptr) return Error(Code::kUnavailable, "no memory to open the database");
  std::unique_ptr<Database> db(new Database(raw, file));
  if (rc != SQLITE_OK) return db->LastError();
  sqlite3_extended_result_codes(raw, 1);
  CML_RETURN_IF_ERROR(db->Configure(access));
  return db;
}

Status Database::Configure(Access access) {
  CML_RETURN_IF_ERROR(Execute(kForAll));
  CML_RETURN_IF_ERROR(Execute(access == Access::kWrite ? kForWriting : kForReading));
  sqlite3_wal_hook(db_, OnCommit, &wal_pages_);
  return Ok{};
}

Status Database::Execute(const char* sql) {
  errno = 0;
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return LastError();
  return Ok{};
}

bool Database::InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

void Database::RunCheckpoint(Checkpoint how) {
  const int mode =
      how == Checkpoint::kPassive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
  // A failure costs nothing: the log keeps the pages and the next round tries again.
  sqlite3_wal_checkpoint_v2(db_, nullptr, mode, nullptr, nullptr);
}

Status Database::CopyTo(const std::filesystem::path& target) {
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(target.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (raw == nullptr) return Error(Code::kUnavailable, "no memory for the backup");
  const std::unique_ptr<Database> copy(new Database(raw, target));
  if (opened != SQLITE_OK) return copy->LastError();
  sqlite3_extended_result_codes(raw, 1);
  // The caller syncs the whole file at its end, and throws it away when something fails.
  CML_RETURN_IF_ERROR(copy->Execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"));
  sqlite3_backup* backup = sqlite3_backup_init(raw, "main", db_, "main");
  if (backup == nullptr) return copy->LastError();
  sqlite3_backup_step(backup, -1);  // in one step: one snapshot, and no writer waits
  if (sqlite3_backup_finish(backup) != SQLITE_OK) return copy->LastError();
  return Ok{};
}

// SQLite keeps the errno of a failed write to itself where that is not ENOSPC: a quota or a size
// limit shows in errno alone, which each call starts at 0.
Error Database::LastError() const { return Translate(db_, errno, file_); }

sqlite3_stmt* Database::Prepared(const char* sql) {
  auto [at, is_new] = prepared_.try_emplace(sql, nullptr);
  if (at->second == nullptr) {
    sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &at->second, nullptr);
  }
  return at->second;
}

Query::Query(Database& db, const char* sql) : db_(db), statement_(db.Prepared(sql)) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::Bind(std::string_view text) {
  if (statement_ == nullptr) return *this;
  const int rc = sqlite3_bind_text64(statement_, ++bound_, text.empty() ? "" : text.data(),
                                     text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (rc != SQLITE_OK) bind_error_ = rc;
  return *this;
}

Query& Query::Bind(std::int64_t number) {
  if (statement_ == nullptr) return *this;
  const int rc = sqlite3_bind_int64(statement_, ++bound_, number);
  if (rc != SQLITE_OK) bind_error_ = rc;
  return *this;
}

Query& Query::BindOrNull(std::optional<std::int64_t> number) {
  if (number) return Bind(*number);
  if (statement_ != nullptr) ++bound_;  // what is not bound is NULL
  return *this;
}

Result<bool> Query::Step() {
  if (statement_ == nullptr || bind_error_ != 0) return db_.LastError();
  column_ = 0;
  errno = 0;
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return db_.LastError();
  }
}

Status Query::Run() {
  for (;;) {
    CML_ASSIGN_OR_RETURN(const bool more, Step());
    if (!more) return Ok{};
  }
}

std::string Query::Text() {
  const int column = column_++;
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::optional<std::int64_t> Query::NumberOrNull() {
  if (sqlite3_column_type(statement_, column_) == SQLITE_NULL) {
    ++column_;
    return std::nullopt;
  }
  return Number();
}

std::int64_t Query::Number() { return sqlite3_column_int64(statement_, column_++); }

}  // namespace cml::store::sqlite
