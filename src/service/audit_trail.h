// service/audit_trail.h — the audit as the front and the routes see it: lines for what no use case
// has committed itself, refusals added up, and reading.
//
// Thread-safe; blocks as long as the store does. Where the store cannot write, a line waits in
// memory (a bounded number of them) and is written with the next one, at the latest by Flush;
// Writable says kUnavailable until then, so that the front refuses changes that would leave no line.
//
// Refusals that cost their sender nothing (a wrong signature, too many requests) are added up: the
// first of a sender within a minute has a line at once, the others one line together when the
// minute is over, with their number. Of at most kMostSenders at a time; those beyond share one.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/audit.h"
#include "store/store.h"

namespace cml::service {

class AuditTrail {
 public:
  static constexpr std::size_t kMostWaiting = 10'000;
  static constexpr std::size_t kMostSenders = 256;
  static constexpr std::chrono::seconds kAddedUp{60};

  AuditTrail(store::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // kUnavailable: it waits in memory.
  Status Write(AuditEntry entry);
  // May a change be made that is audited afterwards? Tries to write what waits.
  Status Writable();
  // `sender`: by what refusals are added up.
  void Refused(const std::string& sender, AuditEntry entry);
  // Writes what waits, and the sums of the minutes that are over. Every few seconds; `kAll`, at the
  // end of the program: of those that are not over, too.
  enum class Which { kDue, kAll };
  void Flush(Which which = Which::kDue);

  std::size_t waiting() const;

  // ---- reading. A text ending in '*' is the beginning of what is looked for.
  struct Filter {
    std::optional<OrgId> org;  // nullopt: of all organisations
    std::map<std::string, std::string> fields{};  // user, key, action, target, status of the line
    SysTime from{}, until{};
  };
  struct Page {
    std::vector<AuditLine> lines;
    std::uint64_t next = 0;  // where to go on; 0: that was all
  };
  // Newest first, lines before that number (0: the newest). Looks at kMostRead lines at most, so a
  // page may hold fewer than `most` and still not be the last one.
  static constexpr std::size_t kMostRead = 100'000;
  Result<Page> Newest(const Filter& filter, std::uint64_t before, std::size_t most);
  // Oldest first, lines after that number; `next` is the last one that was looked at.
  Result<Page> After(const Filter& filter, std::uint64_t after, std::size_t most);
  Result<store::AuditVerdict> Verify() { return store_.VerifyAudit(); }

 private:
  struct Sum {
    SysTime since{};
    std::uint64_t more = 0;  // besides the first
    AuditEntry last;
  };
  Status WriteAll(std::vector<AuditEntry> entries);

  store::Store& store_;
  const Clock& clock_;
  mutable std::mutex mu_;
  std::deque<AuditEntry> waiting_;    // guarded by mu_
  std::map<std::string, Sum> sums_;   // guarded by mu_
};

}  // namespace cml::service
