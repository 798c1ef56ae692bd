// store/testing/values.h — rows, events and an expectation for the tests of whoever uses a store.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "store/store.h"

namespace cml::store::testing {

inline SysTime At(std::int64_t ms) { return SysTime(std::chrono::milliseconds(ms)); }

inline Row MakeRow(const std::string& id, const std::string& name, const std::string& org = "1",
                   std::int64_t created = 1000) {
  Row row;
  row.meta = {ResourceId(id), OrgId(org), name, At(created), At(created)};
  row.wish = R"({"module":"trainer.task"})";
  row.record = "{}";
  row.state = "enqueued";
  return row;
}

inline Event MakeEvent(std::int64_t when, const std::string& reason,
                       const std::string& message = "It happened.") {
  return {At(when), At(when), 1, EventType::kNormal, reason, message};
}

// A job of so many GPUs, each with one core and one GiB.
inline Reservation Holds(std::int64_t gpus, QuotaGroup group = QuotaGroup::kTrain) {
  return {group, {1000 * gpus, gpus << 30, gpus, gpus > 0 ? 1 : 0, 0}};
}
inline Quota GpuQuota(std::int64_t gpus) {
  Quota quota;
  quota.of(QuotaGroup::kTrain).gpus = gpus;
  return quota;
}

inline AuditEntry MakeEntry(const std::string& action, const std::string& org = "1", std::int64_t at = 1000) {
  AuditEntry entry;
  entry.at = At(at);
  entry.org = entry.actor_org = OrgId(org);
  entry.action = action;
  return entry;
}
inline Alongside Audited(const std::string& action, const std::string& org = "1") {
  Alongside with;
  with.audit.push_back(MakeEntry(action, org));
  return with;
}

inline DocumentWrite MakeWrite(DocumentWrite::Act act, const std::string& key,
                               const std::string& body = "{}", const std::string& org = "1") {
  DocumentWrite write;
  write.act = act;
  write.document = {DocumentKind::kUser, OrgId(org), key, body, At(7), Revision{}};
  return write;
}
inline Alongside With(const DocumentWrite& write) {
  Alongside with;
  with.documents.push_back(write);
  return with;
}

template <class T>
::testing::AssertionResult Fails(const Result<T>& result, Code code) {
  if (result.ok()) return ::testing::AssertionFailure() << "succeeded";
  if (result.error().code() == code) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "code " << static_cast<int>(result.error().code()) << ": " << result.error().message();
}

}  // namespace cml::store::testing
