// service/idempotency.h — a create that is sent twice with the same Idempotency-Key is done once.
//
// The key is kept with what it has created, in the transaction of the create, for 24 hours: a
// repetition after kill -9 finds the resource. Keys are those of an organisation and of the access
// key that sent them. Thread-safe, keeps nothing in memory; blocks as long as the store does.
//
// A use case that creates something:
//   return Once<Thing>(d_.store, caller, d_.clock.Now(),
//       [&](const std::string& ref) { return Read(caller, ref); },           // done before: give it
//       [&](const KeepOnce& keep) -> Result<Thing> {                         // do it
//         store::Alongside with;
//         keep(thing.id.str(), with);       // `ref`: by what the first function finds it again
//         …the write, with `with`…
//       });
// `make` must write nothing when its write is refused. Codes besides those of the two functions:
// kKeyReused (the key stands for another request), kFailedPrecondition (what it created is gone).
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "service/caller.h"
#include "store/store.h"

namespace cml::service {

inline constexpr std::chrono::hours kIdempotencyKept{24};

// Adds the key to what is committed; nothing where the request has none.
using KeepOnce = std::function<void(const std::string& ref, store::Alongside& with)>;

struct KnownOnce {
  std::optional<std::string> ref;   // what an earlier request has created; nullopt: none
  store::Revision expired{};        // of a document that is too old, and is to be replaced
};
// kKeyReused. For a request without a key: nothing known.
Result<KnownOnce> FindOnce(store::Store& store, const Caller& caller, SysTime now);
void KeepOnceIn(store::Alongside& with, const Caller& caller, SysTime now, const KnownOnce& known,
                const std::string& ref);
Error GoneSince(const Caller& caller);

// Removes keys that are too old; every few minutes. At most some thousand at a time.
Status SweepIdempotency(store::Store& store, SysTime now);

template <class R, class Again, class Make>
Result<R> Once(store::Store& store, const Caller& caller, SysTime now, Again again, Make make) {
  const auto replay = [&](const std::string& ref) -> Result<R> {
    Result<R> earlier = again(ref);
    if (!earlier.ok() && earlier.error().code() == Code::kNotFound) return GoneSince(caller);
    if (earlier.ok()) caller.request->replayed = true;
    return earlier;
  };
  CML_ASSIGN_OR_RETURN(const KnownOnce known, FindOnce(store, caller, now));
  if (known.ref) return replay(*known.ref);
  Result<R> made = make(KeepOnce([&](const std::string& ref, store::Alongside& with) {
    KeepOnceIn(with, caller, now, known, ref);
  }));
  if (made.ok()) return made;
  if (made.error().code() != Code::kAlreadyExists && made.error().code() != Code::kConflict) return made;
  // Perhaps the same request came in twice at once, and the other one was faster.
  CML_ASSIGN_OR_RETURN(const KnownOnce other, FindOnce(store, caller, now));
  return other.ref ? replay(*other.ref) : made;
}

}  // namespace cml::service
