// store/testing/contract_fixture.h — what the suites of the store's contract share.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "store/store.h"
#include "store/testing/values.h"

namespace cml::store::testing {

using MakeStore = std::function<std::unique_ptr<Store>()>;

class StoreContract : public ::testing::TestWithParam<MakeStore> {
 protected:
  static constexpr ResourceKind kKind = ResourceKind::kTrainJob;

  // Puts the row in and returns it as it is stored.
  Row Put(Row row, const std::vector<Event>& events = {}) {
    const auto revision = store_->Insert(row, {events});
    EXPECT_TRUE(revision.ok()) << revision.error().message();
    if (revision.ok()) row.revision = revision.value();
    return row;
  }
  std::vector<std::string> Ids(const ListQuery& query) {
    std::vector<std::string> ids;
    const auto rows = store_->List(kKind, query);
    EXPECT_TRUE(rows.ok());
    if (rows.ok()) {
      for (const Row& row : rows.value()) ids.push_back(row.meta.id.str());
    }
    return ids;
  }

  // ---- quotas, documents, audit

  Row MakeHolder(const std::string& id, const Reservation& reserved, const std::string& org = "1") {
    Row row = MakeRow(id, "n" + id, org);
    row.reserved = reserved;
    return row;
  }
  Amounts Used(const std::string& org = "1", QuotaGroup group = QuotaGroup::kTrain) {
    const auto use = store_->GetQuotaUse(OrgId(org));
    EXPECT_TRUE(use.ok());
    return use.ok() ? use.value().of(group) : Amounts{};
  }
  std::vector<std::string> Keys(const DocumentQuery& query) {
    std::vector<std::string> keys;
    const auto documents = store_->ListDocuments(query);
    EXPECT_TRUE(documents.ok());
    if (documents.ok()) {
      for (const Document& d : documents.value()) keys.push_back(d.org.str() + "/" + d.key);
    }
    return keys;
  }
  std::vector<std::uint64_t> Lines(const AuditQuery& query) {
    std::vector<std::uint64_t> numbers;
    const auto lines = store_->ReadAudit(query);
    EXPECT_TRUE(lines.ok());
    if (lines.ok()) {
      for (const AuditLine& line : lines.value()) numbers.push_back(line.seq);
    }
    return numbers;
  }
  Result<Document> User(const std::string& key, const std::string& org = "1") {
    return store_->GetDocument(DocumentKind::kUser, OrgId(org), key);
  }

  std::unique_ptr<Store> store_ = GetParam()();
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreContract);

}  // namespace cml::store::testing
