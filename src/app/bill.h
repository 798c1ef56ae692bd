// app/bill.h — the bill of a running server: usage, budgets, the storage meter, and the thread that
// looks at them from time to time.
//
// Thread-safe after Start. Owns its thread; borrows what its Deps name, which must outlive it.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "backends/backend.h"
#include "codec/webhook_json.h"
#include "objectstore/object_store.h"
#include "service/budgets.h"
#include "service/orgs.h"
#include "service/storage_meter.h"
#include "service/usage.h"

namespace cml::app {

class Bill {
 public:
  struct Deps {
    store::Store& store;
    store::TrainJobRows& jobs;
    backends::Backend& backend;
    objectstore::ObjectStore& objects;
    service::Orgs& orgs;
    const Clock& clock;
    PriceList prices;
    std::function<void(const ResourceId&)> changed;  // wakes a job's controller
    // As in service::Budgets::Deps, with the organisation's name; may be empty.
    std::function<std::function<void()>(const codec::BudgetNews&, store::Alongside&)> warned{};
  };
  explicit Bill(Deps deps);
  ~Bill() { Stop(); }

  // Looks at the budgets, so that nothing starts which may not; then starts the thread.
  Status Start();
  // Takes the last reading of the storage. Idempotent.
  void Stop();

  service::Usage& usage() { return usage_; }
  service::Budgets& budgets() { return budgets_; }

 private:
  void Run(const std::stop_token& stop);
  std::string NameOf(const OrgId& org) const;
  std::function<void()> Warned(const BudgetState& state, const BudgetNotice& notice, store::Alongside& with);

  const Deps d_;
  service::Usage usage_;
  service::Budgets budgets_;
  service::StorageMeter meter_;  // of the thread alone, and of Stop when that has ended
  std::mutex mu_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace cml::app
