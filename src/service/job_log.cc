#include "service/job_log.h"

#include <fmt/format.h>

#include <algorithm>

namespace cml::service {

namespace {

std::uint64_t CountLines(const std::string& text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n')) +
         (text.empty() || text.back() == '\n' ? 0 : 1);
}

}  // namespace

std::string JobLog::Separator(std::uint64_t incarnation) const {
  return incarnation <= 1 ? "" : fmt::format("==== run {} of this job ====\n", incarnation);
}

Result<std::string> JobLog::All(std::uint64_t incarnations) const {
  std::string text;
  for (std::uint64_t i = 1; i <= incarnations; ++i) {
    CML_ASSIGN_OR_RETURN(const std::string one, logs::ReadLog(path_of_({job_, i})));
    text += Separator(i) + one;
  }
  return text;
}

Result<std::uint64_t> JobLog::Size(std::uint64_t incarnations) const {
  std::uint64_t size = 0;
  for (std::uint64_t i = 1; i <= incarnations; ++i) {
    std::error_code ec;
    const auto one = std::filesystem::file_size(path_of_({job_, i}), ec);
    size += Separator(i).size() + (ec ? 0 : one);
  }
  return size;
}

Result<std::string> JobLog::LastLines(std::uint64_t incarnations, std::uint64_t n) const {
  std::string text;
  for (std::uint64_t i = incarnations; i >= 1; --i) {
    CML_ASSIGN_OR_RETURN(const std::string one, logs::ReadLastLines(path_of_({job_, i}), n));
    const std::uint64_t lines = CountLines(one);
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

Result<std::uint64_t> JobLog::OffsetOfLastLines(std::uint64_t incarnations, std::uint64_t n) const {
  for (std::uint64_t i = incarnations; i >= 1; --i) {
    CML_ASSIGN_OR_RETURN(const std::uint64_t before, Size(i - 1));
    CML_ASSIGN_OR_RETURN(const std::uint64_t inside, logs::OffsetOfLastLines(path_of_({job_, i}), n));
    if (inside > 0) return before + Separator(i).size() + inside;
    CML_ASSIGN_OR_RETURN(const std::string one, logs::ReadLastLines(path_of_({job_, i}), n));
    n -= std::min(n, CountLines(one));
    if (n == 0) return before + Separator(i).size();
    if (!Separator(i).empty() && --n == 0) return before;
  }
  return 0;
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
