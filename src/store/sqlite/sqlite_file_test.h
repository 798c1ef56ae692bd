// store/sqlite/sqlite_file_test.h — what the tests of a SQLite file have in common. For them alone.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_store.h"
#include "store/testing/contract_fixture.h"

namespace cml::store::testing {

inline std::unique_ptr<Store> OpenStore(const std::filesystem::path& file) {
  auto store = SqliteStore::Open(file);
  if (store.ok()) return std::move(store).value();
  ADD_FAILURE() << store.error().message() << " / " << store.error().detail();
  return nullptr;
}

inline std::int64_t Number(sqlite::Database& db, const char* sql) {
  sqlite::Query query(db, sql);
  return query.Step().ok() ? query.Number() : -1;
}

class SqliteFileTest : public ::testing::Test {
 protected:
  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "store.db";
};

}  // namespace cml::store::testing
