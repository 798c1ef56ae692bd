// objectstore/testing/values.h — whole objects in one call, for the tests of whoever uses a store.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "objectstore/object_store.h"

namespace cml::objectstore::testing {

struct ObjectName {
  OrgId org;
  std::string bucket;
  std::string key;
};

inline Result<ObjectInfo> PutObject(ObjectStore& store, const ObjectName& name,
                                    const std::string& bytes, PutOptions options = {}) {
  CML_ASSIGN_OR_RETURN(const auto writer,
                       store.Put(name.org, name.bucket, name.key, std::move(options)));
  const std::size_t half = bytes.size() / 2;
  CML_RETURN_IF_ERROR(writer->Write(std::string_view(bytes).substr(0, half)));
  CML_RETURN_IF_ERROR(writer->Write(std::string_view(bytes).substr(half)));
  return writer->Commit();
}

inline Result<std::string> GetObject(ObjectStore& store, const ObjectName& name) {
  CML_ASSIGN_OR_RETURN(const auto reader, store.Open(name.org, name.bucket, name.key));
  std::string all;
  for (;;) {
    CML_ASSIGN_OR_RETURN(const std::string piece, reader->Read(all.size(), 1 << 20));
    if (piece.empty()) return all;
    all += piece;
  }
}

// Keys and common prefixes together, in their order.
inline std::vector<std::string> Names(const ListPage& page) {
  std::vector<std::string> names = page.common_prefixes;
  for (const ObjectInfo& object : page.objects) names.push_back(object.key);
  std::ranges::sort(names);
  return names;
}

template <class T>
::testing::AssertionResult Fails(const Result<T>& result, Code code) {
  if (result.ok()) return ::testing::AssertionFailure() << "succeeded";
  if (result.error().code() == code) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "code " << static_cast<int>(result.error().code()) << ": " << result.error().message()
         << " / " << result.error().detail();
}

}  // namespace cml::objectstore::testing
