// store/sqlite/database.h — one connection to an SQLite file and its prepared statements.
//
// A connection belongs to one thread at a time. Errors: kUnavailable (no space, busy, disk error),
// kDataLoss (the file is damaged or no database), kAlreadyExists (a unique index refused a row),
// kInvalidArgument (a value too long), kInternal (a bug).
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace cml::store::sqlite {

enum class Access { kWrite, kRead };

class Database {
 public:
  // Makes the file (mode 0600) when it is opened for writing and is not there.
  static Result<std::unique_ptr<Database>> Open(const std::filesystem::path& file, Access access);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Status Execute(const char* sql);  // any number of statements, no parameters, no rows wanted
  bool InTransaction() const;

  // Moves pages from the write-ahead log into the file; what readers still need stays for later.
  enum class Checkpoint { kPassive, kWaitForReaders };
  void RunCheckpoint(Checkpoint how);
  int wal_pages() const { return wal_pages_; }  // after the last commit of this connection

  // A consistent copy of what is committed now into the new file `target`, not yet synced.
  Status CopyTo(const std::filesystem::path& target);

  // The error of the last call, in our words.
  Error LastError() const;
  const std::filesystem::path& file() const { return file_; }

 private:
  friend class Query;
  Database(sqlite3* db, std::filesystem::path file);
  Status Configure(Access access);
  sqlite3_stmt* Prepared(const char* sql);  // nullptr: see LastError()

  sqlite3* db_;
  std::filesystem::path file_;
  std::unordered_map<const void*, sqlite3_stmt*> prepared_;  // by the address of the text
  int wal_pages_ = 0;
};

// One execution of a statement of sql_statements.h: bind the parameters in order, step, read the
// columns in order. Bound text must outlive the query. Gives the statement back when it dies.
class Query {
 public:
  Query(Database& db, const char* sql);
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& Bind(std::string_view text);
  Query& Bind(std::int64_t number);
  Query& BindOrNull(std::optional<std::int64_t> number);
  Query& Bind(std::string&&) = delete;  // would dangle

  Result<bool> Step();  // true: there is a row
  Status Run();         // to the end, rows are dropped

  std::string Text();  // of the next column
  std::int64_t Number();
  std::optional<std::int64_t> NumberOrNull();

 private:
  Database& db_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
  int column_ = 0;
  int bind_error_ = 0;
};

}  // namespace cml::store::sqlite
