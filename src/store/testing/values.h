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

template <class T>
::testing::AssertionResult Fails(const Result<T>& result, Code code) {
  if (result.ok()) return ::testing::AssertionFailure() << "succeeded";
  if (result.error().code() == code) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "code " << static_cast<int>(result.error().code()) << ": " << result.error().message();
}

}  // namespace cml::store::testing
