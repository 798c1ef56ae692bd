#include "store/sqlite/write_queue.h"

#include "base/log.h"

namespace cml::store::sqlite {
namespace {

constexpr int kCheckpointPages = 2000;  // 8 MiB of log
constexpr int kTooManyPages = 8 * kCheckpointPages;

std::int64_t SteadyNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

WriteQueue::WriteQueue(std::unique_ptr<Database> db, Companion& companion)
    : db_(std::move(db)), companion_(companion), next_checkpoint_(kCheckpointPages), thread_([this] { Loop(); }) {}

WriteQueue::~WriteQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Status WriteQueue::Run(const Work& work) {
  Item item{&work};
  std::shared_ptr<Batch> batch;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Error(Code::kUnavailable, "the store is being closed");
    batch = open_;
    first = batch->items.empty();
    batch->items.push_back(&item);
  }
  if (first) wake_.notify_one();
  batch->done.wait(0);
  return std::move(item.result);
}

bool WriteQueue::WroteWithin(std::chrono::milliseconds age) const {
  const std::int64_t last = last_success_.load();
  return last >= 0 && SteadyNow() - last <= std::chrono::nanoseconds(age).count();
}

void WriteQueue::Loop() {
  for (;;) {
    std::shared_ptr<Batch> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !open_->items.empty(); });
      if (open_->items.empty()) return;
      batch = std::exchange(open_, std::make_shared<Batch>());
    }
    Commit(*batch);
    batch->done.store(1);
    batch->done.notify_all();  // the batch is shared: whoever leaves first does not end it
    CheckpointWhenDue();
  }
}

void WriteQueue::Commit(Batch& batch) {
  Status committed = RunInTransaction(batch);
  const bool failed_before = std::exchange(failing_, !committed.ok());
  if (committed.ok()) {
    last_success_.store(SteadyNow());
    if (failed_before) LogInfo("store: writes work again");
    return;
  }
  last_success_.store(-1);
  if (db_->InTransaction()) (void)db_->Execute("ROLLBACK").ok();
  companion_.TakeBackBatch();
  if (!failed_before) {  // once, not for each write that a full disk refuses
    LogError("store: writes fail",
             {{"error", committed.error().message()}, {"detail", committed.error().detail()}});
  }
  for (Item* item : batch.items) {
    if (item->result.ok()) item->result = committed.error();
  }
}

Status WriteQueue::RunInTransaction(Batch& batch) {
  CML_RETURN_IF_ERROR(db_->Execute("BEGIN IMMEDIATE"));
  CML_RETURN_IF_ERROR(companion_.StartBatch(*db_));
  for (Item* item : batch.items) CML_RETURN_IF_ERROR(RunInSavepoint(*item));
  CML_RETURN_IF_ERROR(companion_.EndBatch(*db_));
  return Query(*db_, "COMMIT").Run();
}

Status WriteQueue::RunInSavepoint(Item& item) {
  CML_RETURN_IF_ERROR(Query(*db_, "SAVEPOINT w").Run());
  companion_.StartWork();
  item.result = (*item.work)(*db_);
  // A full disk or a read error makes SQLite take back the whole transaction.
  if (!db_->InTransaction()) {
    return item.result.ok() ? Error(Code::kInternal, "a write ended the transaction of others")
                            : item.result.error();
  }
  if (!item.result.ok()) {
    companion_.TakeBackWork();
    CML_RETURN_IF_ERROR(Query(*db_, "ROLLBACK TO w").Run());
  }
  return Query(*db_, "RELEASE w").Run();
}

// After the callers were answered. A checkpoint that readers kept from finishing is tried again
// when the log has grown further; a log that has grown far too big makes readers wait once.
void WriteQueue::CheckpointWhenDue() {
  const int pages = db_->wal_pages();
  if (pages < kCheckpointPages) next_checkpoint_ = kCheckpointPages;
  if (pages < next_checkpoint_) return;
  db_->RunCheckpoint(pages < kTooManyPages ? Database::Checkpoint::kPassive
                                           : Database::Checkpoint::kWaitForReaders);
  next_checkpoint_ = pages + kCheckpointPages;
}

}  // namespace cml::store::sqlite
