// store/sqlite/sqlite_store.h — the store on one SQLite file (SQLite 3.40, write-ahead log).
//
// Every write is synced before it returns; concurrent writes share a commit (write_queue.h). Reads
// go by connections of their own and never wait for a writer. Beside FILE lie FILE-wal and
// FILE-shm while it is open; only a backup() may be copied elsewhere.
// Ping() is content with a commit of the last second; otherwise it makes a small one.
#pragma once
#include <filesystem>
#include <memory>

#include "base/secret.h"
#include "store/store.h"

namespace cml::store {

class SqliteStore {
 public:
  // Makes the file (mode 0600; its folder must be there) or brings it to the newest schema.
  // kFailedPrecondition: a newer version wrote it; kDataLoss: damaged, or no database of ours;
  // kUnavailable: no space, or in use by another program.
  // `audit_key` signs the end of the audit, from the first opening on; empty: it is not signed.
  static Result<std::unique_ptr<Store>> Open(const std::filesystem::path& file,
                                             const Secret& audit_key = Secret());
};

}  // namespace cml::store
