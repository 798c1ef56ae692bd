// api/objects/context.h — what the object store's HTTP interfaces need from the rest of the
// program, and who is calling. Values and references; the store and the clock outlive them.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "objectstore/object_store.h"
#include "service/caller.h"

namespace cml::api::objects {

enum class Access { kRead, kReadWrite };

struct Caller {
  OrgId org;
  Secret secret;
  Access access = Access::kReadWrite;
  service::Caller who{};
  std::string why_read_only{};           // for the one who wants to write; empty: his role
  std::function<void()> signature_good{};  // called once a request of his was verified
};

inline std::string ReadOnlyMessage(const Caller& caller) {
  return caller.why_read_only.empty() ? "this key may read only" : caller.why_read_only;
}

// Whose key it is. Called on worker threads, from several at once. kUnauthenticated or kNotFound:
// unknown or disabled; kUnavailable: it cannot be found out now.
using Authenticate = std::function<Result<Caller>(const AccessKey&)>;

// Asked once for each request whose signature is right: may it go on? May be empty.
using Admit = std::function<Status(const service::Caller&)>;

struct Context {
  objectstore::ObjectStore& store;
  Authenticate authenticate;
  const Clock& clock;
  Admit admit;  // of one request
};

// "/bucket/a%20b?x" → "bucket", "a b". Slashes inside a key stay as they are.
struct ObjectPath {
  std::string bucket, key;
};
ObjectPath SplitTarget(std::string_view target);

}  // namespace cml::api::objects
