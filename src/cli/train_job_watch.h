// cli/train_job_watch.h — waiting for train jobs and following their logs, through restarts of the
// server: nothing shown twice, nothing lost.
//
// Blocks for as long as the job lives. A server that cannot be reached is tried again for
// `patience`; then kUnavailable. kNotFound: the job is gone.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/context.h"
#include "codec/document.h"

namespace cml::cli {

inline constexpr std::chrono::minutes kPatience{10};

// Reads a log from a place onwards, as often as needed.
//
// The place is a byte offset. Servers that say X-Log-Offset in their answers take it back as the
// query `offset`; for others the whole log is asked for again and what was shown is skipped.
class LogReader {
 public:
  // Of one replica, or (empty) of all of them.
  LogReader(Rest& rest, std::string job, const std::string& replica = "");

  // What is there by now, or its last `lines` lines. Read goes on behind it.
  Result<std::string> Begin(std::optional<std::uint64_t> lines);
  bool begun() const { return offsets_ != Offsets::kUnknown; }

  enum class End { kComplete, kMoreLater };
  // Hands on what comes within a slice of time. kComplete: the server says that is all there will
  // be. kMoreLater: the slice is over, or the connection was cut (then `cut` tells why).
  Result<End> Read(const std::function<void(std::string_view)>& on_bytes);
  const std::optional<Error>& cut() const { return cut_; }

 private:
  Rest& rest_;
  std::string path_;
  std::string of_;  // the query's part that names a replica; empty: none
  std::uint64_t offset_ = 0;
  enum class Offsets { kUnknown, kServer, kSkip } offsets_ = Offsets::kUnknown;
  std::optional<Error> cut_;
};

// The last `lines` lines of `text`; a final new line ends a line and begins none.
std::string_view LastLines(std::string_view text, std::uint64_t lines);

enum class ShowLog { kNo, kYes };

struct Restart {
  // Since when it was in its last end state. As long as the server shows that one, it has not taken
  // the start up yet, and we wait for it.
  std::string stale_since = {};
  LogReader* log = nullptr;  // stands at the end of the log as it was before the start
};

// Shows changes of state on standard error (and the log on standard output) until the job ends;
// the train object as it was then.
//
// After a restart of the job, `restart` says what belongs to its life before.
Result<codec::Document> WatchJob(Context& context, const std::string& job, ShowLog log,
                                 const Restart& restart = {});

// Says how it ended, with the end of its log when `log` was not shown: kOk or kJobFailed.
ExitCode ReportEnd(Context& context, const codec::Document& job, ShowLog log);

// `jobs logs -f`: the log alone, until the job has ended.
Status FollowLog(Context& context, const std::string& job, std::optional<std::uint64_t> lines,
                 const std::string& replica);

}  // namespace cml::cli
