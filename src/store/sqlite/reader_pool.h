// store/sqlite/reader_pool.h — connections for reading, made when needed and kept.
//
// Thread-safe; owns the connections. The one used last is lent first, so that an idle server keeps
// one warm cache and not many. Take() waits where all of them are lent; it fails as
// Database::Open() does.
#pragma once
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "store/sqlite/database.h"

namespace cml::store::sqlite {

class ReaderPool {
 public:
  explicit ReaderPool(std::filesystem::path file) : file_(std::move(file)) {}

  // A connection that goes back to the pool with this value. Must not outlive the pool.
  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<Database> db) : pool_(&pool), db_(std::move(db)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (db_ != nullptr) pool_->Return(std::move(db_));
    }
    Database& operator*() const { return *db_; }
    Database* operator->() const { return db_.get(); }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Database> db_;
  };

  Result<Lease> Take() {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !idle_.empty() || open_ < kMost; });
      if (!idle_.empty()) {
        std::unique_ptr<Database> db = std::move(idle_.back());
        idle_.pop_back();
        return Lease(*this, std::move(db));
      }
      ++open_;
    }
    auto opened = Database::Open(file_, Access::kRead);
    if (opened.ok()) return Lease(*this, std::move(opened).value());
    {
      const std::lock_guard lock(mutex_);
      --open_;
    }
    wake_.notify_one();
    return std::move(opened).error();
  }

 private:
  static constexpr int kMost = 8;

  void Return(std::unique_ptr<Database> db) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(db));
    }
    wake_.notify_one();
  }

  const std::filesystem::path file_;
  std::mutex mutex_;  // protects what follows
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Database>> idle_;
  int open_ = 0;
};

}  // namespace cml::store::sqlite
