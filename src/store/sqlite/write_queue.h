// store/sqlite/write_queue.h — one thread that writes for everybody: what waits while the disk is
// busy with a commit becomes the next commit.
//
// Thread-safe. Owns the writing connection. Each caller's work runs in a savepoint of its own, so
// that one that fails takes back its own changes alone; a caller returns after the commit that
// holds its work is on the disk. When the commit itself fails, everybody in it gets its error and
// nothing was changed.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "store/sqlite/database.h"

namespace cml::store::sqlite {

class WriteQueue {
 public:
  // Runs on the queue's thread, inside a transaction. An error takes its changes back.
  using Work = std::function<Status(Database&)>;

  // What works keep in memory beside the database, told what becomes of the works. All on the
  // queue's thread. It must outlive the queue.
  class Companion {
   public:
    virtual ~Companion() = default;
    virtual Status StartBatch(Database& db) = 0;  // the transaction has begun
    virtual void StartWork() = 0;
    virtual void TakeBackWork() = 0;              // what this work did is not so
    virtual Status EndBatch(Database& db) = 0;    // the commit follows
    virtual void TakeBackBatch() = 0;             // nothing that any of them did is so
  };

  WriteQueue(std::unique_ptr<Database> db, Companion& companion);
  ~WriteQueue();  // what was queued is still written
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  Status Run(const Work& work);

  // Did the newest commit succeed, and is it not older than this?
  bool WroteWithin(std::chrono::milliseconds age) const;

 private:
  struct Item {
    const Work* work;
    Status result = Ok{};
  };
  struct Batch {
    std::vector<Item*> items;
    std::atomic<int> done{0};
  };

  void Loop();
  void Commit(Batch& batch);
  // The error that ended the transaction for all, or OK.
  Status RunInTransaction(Batch& batch);
  Status RunInSavepoint(Item& item);
  void CheckpointWhenDue();

  std::unique_ptr<Database> db_;  // the thread's alone
  Companion& companion_;          // the thread's alone
  int next_checkpoint_;           // the thread's alone: size of the log, in pages
  bool failing_ = false;          // the thread's alone: did the newest commit fail?

  std::atomic<std::int64_t> last_success_{-1};  // steady clock, nanoseconds; -1: none or failed

  std::mutex mutex_;  // protects what follows
  std::condition_variable wake_;
  std::shared_ptr<Batch> open_ = std::make_shared<Batch>();
  bool stopping_ = false;

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace cml::store::sqlite
