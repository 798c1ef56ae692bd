// service/job_log.h — the log of a job: those of its runs, one after the other, as one text with
// one offset. A line tells where a later try begins.
//
// Not thread-safe; make one per reader. Reads files that a run may still write to; fails as
// logs/run_log.h says.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "core/train_job.h"
#include "logs/run_log.h"

namespace cml::service {

class JobLog {
 public:
  using PathOf = std::function<std::filesystem::path(const RunKey&)>;
  JobLog(ResourceId job, PathOf path_of) : job_(std::move(job)), path_of_(std::move(path_of)) {}

  // The text of the runs 1…`incarnations`, at most its last 64 MiB.
  Result<std::string> All(std::uint64_t incarnations) const;
  // How long the whole text is, and so where a follower goes on.
  Result<std::uint64_t> Size(std::uint64_t incarnations) const;
  Result<std::string> LastLines(std::uint64_t incarnations, std::uint64_t n) const;
  // Where a follower that starts with the last n lines begins.
  Result<std::uint64_t> OffsetOfLastLines(std::uint64_t incarnations, std::uint64_t n) const;

  // Follows from `offset` in the text of All. Each call gives what came since; empty: nothing yet.
  // Goes on to the next run when `incarnations` says that there is one.
  Result<std::string> Next(std::uint64_t incarnations);
  void SeekTo(std::uint64_t offset) { skip_ = offset; }
  std::uint64_t offset() const { return offset_; }

 private:
  std::string Separator(std::uint64_t incarnation) const;
  Result<std::string> Read(std::uint64_t incarnations);

  ResourceId job_;
  PathOf path_of_;
  std::uint64_t at_ = 0;       // incarnation being read; 0: none yet
  std::optional<logs::LogFollower> follower_;
  std::uint64_t skip_ = 0;     // bytes still to be passed over
  std::uint64_t offset_ = 0;   // of what was given out
};

}  // namespace cml::service
