#include "service/audit_trail.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/log.h"
#include "codec/document.h"

namespace cml::service {
namespace {

constexpr const char* kTheOthers = "*";
constexpr std::size_t kBatch = 1000;  // lines that one read of the store brings

bool Passes(const AuditTrail::Filter& filter, const AuditLine& line) {
  if (filter.fields.empty()) return true;
  const auto parsed = codec::Document::Parse(line.text);
  if (!parsed.ok()) return true;  // an altered line is not hidden
  for (const auto& [name, wanted] : filter.fields) {
    const std::string text = parsed.value().Get(name).Text();
    const bool beginning = wanted.ends_with('*');
    if (beginning ? !text.starts_with(wanted.substr(0, wanted.size() - 1)) : text != wanted) return false;
  }
  return true;
}

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

Result<AuditTrail::Page> AuditTrail::Newest(const Filter& filter, std::uint64_t before, std::size_t most) {
  store::AuditQuery query;
  query.org = filter.org;
  query.from = filter.from;
  query.until = filter.until;
  query.before = before == 0 ? std::numeric_limits<std::int64_t>::max() : before;
  query.most = filter.fields.empty() ? std::min(most, kBatch) : kBatch;
  Page page;
  for (std::size_t read = 0; read < kMostRead;) {
    CML_ASSIGN_OR_RETURN(auto lines, store_.ReadAudit(query));
    read += lines.size();
    const bool last = lines.size() < query.most;
    for (AuditLine& line : lines) {
      query.before = line.seq;
      if (!Passes(filter, line)) continue;
      page.lines.push_back(std::move(line));
      if (page.lines.size() == most) {
        page.next = query.before;
        return page;
      }
    }
    if (last) return page;
  }
  page.next = query.before;
  return page;
}

Result<AuditTrail::Page> AuditTrail::After(const Filter& filter, std::uint64_t after, std::size_t most) {
  store::AuditQuery query;
  query.org = filter.org;
  query.from = filter.from;
  query.until = filter.until;
  query.after = after;
  query.most = std::min(most, kBatch);
  CML_ASSIGN_OR_RETURN(auto lines, store_.ReadAudit(query));
  Page page;
  page.next = lines.empty() ? after : lines.back().seq;
  for (AuditLine& line : lines) {
    if (Passes(filter, line)) page.lines.push_back(std::move(line));
  }
  return page;
}

std::size_t AuditTrail::waiting() const {
  const std::scoped_lock lock(mu_);
  return waiting_.size();
}

}  // namespace cml::service
