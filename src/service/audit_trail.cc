#include "service/audit_trail.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/log.h"

namespace cml::service {
namespace {

constexpr const char* kTheOthers = "*";

}  // namespace

Status AuditTrail::WriteAll(std::vector<AuditEntry> entries) {
  {
    const std::scoped_lock lock(mu_);
    entries.insert(entries.begin(), std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.end()));
    waiting_.clear();
  }
  if (entries.empty()) return Ok{};
  store::Alongside all;
  all.audit = entries;
  Status written = store_.Commit(all);
  if (written.ok()) return written;
  const std::scoped_lock lock(mu_);
  for (AuditEntry& entry : entries) waiting_.push_back(std::move(entry));
  std::size_t lost = 0;
  for (; waiting_.size() > kMostWaiting; ++lost) waiting_.pop_front();
  LogError("the audit cannot be written", {{"why", written.error().message()},
                                           {"waiting", waiting_.size()}, {"lost", lost}});
  return written;
}

Status AuditTrail::Write(AuditEntry entry) {
  const Status written = WriteAll({std::move(entry)});
  if (written.ok()) return written;
  return Error(Code::kUnavailable, "the audit cannot be written: " + written.error().message());
}

Status AuditTrail::Writable() {
  {
    const std::scoped_lock lock(mu_);
    if (waiting_.empty()) return Ok{};
  }
  const Status written = WriteAll({});
  if (written.ok()) return written;
  return Error(Code::kUnavailable, "no change is taken while the audit cannot be written: " + written.error().message());
}

void AuditTrail::Refused(const std::string& sender, AuditEntry entry) {
  {
    const std::scoped_lock lock(mu_);
    const bool full = sums_.size() >= kMostSenders && !sums_.contains(sender);
    auto [it, first] = sums_.try_emplace(full ? kTheOthers : sender);
    it->second.last = entry;
    if (!first) {
      ++it->second.more;
      return;
    }
    it->second.since = entry.at;
  }
  (void)Write(std::move(entry));  // it waits where it cannot be written; the request is refused anyway
}

void AuditTrail::Flush(Which which) {
  std::vector<AuditEntry> due;
  {
    const std::scoped_lock lock(mu_);
    const SysTime now = clock_.Now();
    for (auto it = sums_.begin(); it != sums_.end();) {
      Sum& sum = it->second;
      if (which == Which::kDue && now - sum.since < kAddedUp) {
        ++it;
        continue;
      }
      if (sum.more > 0) {
        sum.last.message = fmt::format("{} more since {}, the last one: {}", sum.more, FormatRfc3339(sum.since), sum.last.message);
        due.push_back(std::move(sum.last));
      }
      it = sums_.erase(it);
    }
  }
  (void)WriteAll(std::move(due));
}

std::size_t AuditTrail::waiting() const {
  const std::scoped_lock lock(mu_);
  return waiting_.size();
}

}  // namespace cml::service
