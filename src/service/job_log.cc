#include "service/job_log.h"

#include <fmt/format.h>

#include <algorithm>

namespace cml::service {

std::string JobLog::Separator(std::uint64_t incarnation) const {
  return incarnation <= 1 ? "" : fmt::format("==== run {} of this job ====\n", incarnation);
}

Result<std::string> JobLog::All(std::uint64_t incarnations) const {
  std::string text;
  for (std::uint64_t i = 1; i <= incarnations; ++i) {
    CML_ASSIGN_OR_RETURN(const std::string one, logs::ReadLog(path_of_({job_, i})));
    if (one.empty() && i < incarnations) continue;
    text += Separator(i) + one;
  }
  return text;
}

Result<std::string> JobLog::LastLines(std::uint64_t incarnations, std::uint64_t n) const {
  std::string text;
  for (std::uint64_t i = incarnations; i >= 1; --i) {
    CML_ASSIGN_OR_RETURN(const std::string one, logs::ReadLastLines(path_of_({job_, i}), n));
    const auto lines = static_cast<std::uint64_t>(std::count(one.begin(), one.end(), '\n')) +
                       (one.empty() || one.back() == '\n' ? 0 : 1);
    text = one + text;
    if (lines >= n) break;
    n -= lines;
    if (i > 1 && n > 0) {
      text = Separator(i) + text;
      if (--n == 0) break;
    }
  }
  return text;
}

Result<std::string> JobLog::Read(std::uint64_t incarnations) {
  while (at_ < incarnations || follower_) {
    if (!follower_) {
      ++at_;
      follower_.emplace(path_of_({job_, at_}));
      if (const std::string separator = Separator(at_); !separator.empty()) return separator;
    }
    CML_ASSIGN_OR_RETURN(std::string bytes, follower_->Next());
    if (!bytes.empty() || at_ >= incarnations) return bytes;
    follower_.reset();  // that run is over: on to the next one
  }
  return std::string();
}

Result<std::string> JobLog::Next(std::uint64_t incarnations) {
  while (true) {
    CML_ASSIGN_OR_RETURN(std::string bytes, Read(incarnations));
    if (bytes.empty()) return bytes;
    offset_ += bytes.size();
    const std::uint64_t cut = std::min<std::uint64_t>(skip_, bytes.size());
    skip_ -= cut;
    if (cut < bytes.size()) return bytes.substr(cut);
  }
}

}  // namespace cml::service
