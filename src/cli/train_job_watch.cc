#include "cli/train_job_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "cli/train_job_screen.h"

namespace cml::cli {
namespace {

using codec::Document;
using std::chrono::milliseconds;

// With offsets a stream costs nothing to take up again, so it is cut into slices, between which
// the job's state is looked at. Without them each slice would bring the whole log again.
constexpr milliseconds kSlice{4'000};
constexpr milliseconds kLongSlice{600'000};
constexpr milliseconds kPoll{1'000};
constexpr milliseconds kBetweenLines{5'000};  // of the same state, where nobody can see them change
constexpr milliseconds kSettle{300};
constexpr milliseconds kTakenUp{30'000};  // a start is taken up by then

// Waits longer after each failure in a row, and knows when to give up.
class Patience {
 public:
  explicit Patience(Context& context) : context_(context) {}

  // After a failure: says so once, waits. Its error when patience is at its end, or when the
  // failure is of another kind.
  Status Wait(const Error& error) {
    if (error.code() != Code::kUnavailable && error.code() != Code::kDeadlineExceeded) return error;
    if (!since_) {
      since_ = context_.Now();
      context_.Err("connection to the server lost; trying again for " + FormatDuration(kPatience) +
                   " (the job is not affected)\n");
    }
    if (context_.Now() - *since_ > kPatience) return error;
    context_.terminal().Pause(wait_);
    wait_ = std::min(wait_ * 2, milliseconds(5'000));
    return Ok{};
  }

  void Success() {
    if (since_) context_.Err("connected again\n");
    since_.reset();
    wait_ = kFirst;
  }

 private:
  static constexpr milliseconds kFirst{250};
  Context& context_;
  std::optional<SysTime> since_;
  milliseconds wait_ = kFirst;
};

// The state lines of one wait. On a terminal a change within a state replaces the line before.
class StateLines {
 public:
  explicit StateLines(Context& context) : context_(context) {}

  void Show(const Document& job, std::string_view note) {
    const std::string plain = StateLine(job, context_.ErrColours());
    if (plain == last_) return;
    std::string line = plain;
    if (!note.empty()) {
      constexpr std::size_t kBeforeNote = 2 + 9;  // blanks and state
      const std::size_t name = DisplayWidth(OneLine(job.Get("job_name").Text()));
      line = PadRight(line, name + kBeforeNote) + "  " + std::string(note);
    }
    const std::string state = job.Get("state").Text();
    const bool same_state = state == state_;
    const bool terminal = context_.terminal().ErrIsTerminal();
    if (same_state && !terminal && context_.Now() - shown_ < kBetweenLines) return;
    if (terminal) {
      const std::string clipped =
          DisplayWidth(line) > context_.terminal().Width() ? StateLineClipped(job) : line;
      context_.Err((same_state && on_top_ ? "\033[1A\033[K" : "") + BreakLine() + clipped + "\n");
    } else {
      context_.Err(BreakLine() + line + "\n");
    }
    last_ = plain;
    state_ = state;
    shown_ = context_.Now();
    on_top_ = true;
  }

  // The log was printed to; `ends_line`: its last byte was a new line.
  void LogShown(std::string_view bytes) {
    if (bytes.empty()) return;
    on_top_ = false;
    mid_line_ = context_.terminal().OutIsTerminal() && bytes.back() != '\n';
  }

  std::string BreakLine() { return std::exchange(mid_line_, false) ? "\n" : ""; }

 private:
  std::string StateLineClipped(const Document& job) const {
    return Clip(StateLine(job, Colours::kOff), context_.terminal().Width());
  }

  Context& context_;
  std::string last_, state_;
  SysTime shown_{};
  bool on_top_ = false;    // the last thing printed is our line
  bool mid_line_ = false;  // the last thing printed is part of a line of the log
};

std::string JobPath(const std::string& job) { return "/train/" + Rest::Segment(job); }

bool MayHaveLog(std::string_view state) {
  return state == "running" || state == "processing" || IsEnded(state);
}

std::optional<std::uint64_t> OffsetOf(const net::Headers& headers) {
  return ParseUnsigned(headers.Get("X-Log-Offset"));
}

}  // namespace

LogReader::LogReader(Rest& rest, std::string job, const std::string& replica)
    : rest_(rest),
      path_(JobPath(job) + "/logs"),
      of_(replica.empty() ? replica : "replica=" + net::PercentEncode(replica)) {}

Result<std::string> LogReader::Begin(std::optional<std::uint64_t> lines) {
  if (lines) {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest_.Get(path_, fmt::format("lines={}{}{}", *lines, of_.empty() ? "" : "&", of_)));
    if (const auto offset = OffsetOf(reply.headers)) {
      offsets_ = Offsets::kServer;
      offset_ = *offset;
      return reply.body.Get("logs").Str();
    }
  }
  // Where the end is can only be learnt with all of it.
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest_.Get(path_, of_));
  std::string text = reply.body.Get("logs").Str();
  const auto offset = OffsetOf(reply.headers);
  offsets_ = offset ? Offsets::kServer : Offsets::kSkip;
  offset_ = offset.value_or(text.size());
  return lines ? std::string(LastLines(text, *lines)) : text;
}

std::string_view LastLines(std::string_view text, std::uint64_t lines) {
  if (lines == 0) return "";
  std::size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  for (std::uint64_t seen = 0; at > 0; --at) {
    if (text[at - 1] == '\n' && ++seen == lines) break;
  }
  return text.substr(at);
}

Result<LogReader::End> LogReader::Read(const std::function<void(std::string_view)>& on_bytes) {
  cut_.reset();
  std::uint64_t skip = 0;
  std::string query = "follow=True";
  if (!of_.empty()) query += "&" + of_;
  if (offsets_ == Offsets::kServer) {
    query += fmt::format("&offset={}", offset_);
  } else {
    skip = offset_;
  }
  const milliseconds slice = offsets_ == Offsets::kServer ? kSlice : kLongSlice;
  const Status status = rest_.Stream(path_, query, slice, [&](std::string_view bytes) {
    const std::size_t drop = static_cast<std::size_t>(std::min<std::uint64_t>(skip, bytes.size()));
    skip -= drop;
    bytes.remove_prefix(drop);
    if (bytes.empty()) return;
    offset_ += bytes.size();
    on_bytes(bytes);
  });
  if (status.ok()) return End::kComplete;
  if (status.error().code() == Code::kDeadlineExceeded) return End::kMoreLater;
  if (status.error().code() == Code::kUnavailable) {
    cut_ = status.error();
    return End::kMoreLater;
  }
  return status.error();
}

Result<Document> WatchJob(Context& context, const std::string& job, ShowLog log,
                          const Restart& restart) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const InterruptNotice notice(
      job + " goes on without us; take it up again: cloudml jobs logs -f " + job);
  LogReader from_start(*rest, job);
  LogReader& reader = restart.log != nullptr ? *restart.log : from_start;
  bool announced = false;
  StateLines lines(context);
  Patience patience(context);
  const SysTime began = context.Now();
  const auto show_log = [&](std::string_view bytes) {
    context.Out(bytes);
    lines.LogShown(bytes);
  };
  while (true) {
    auto got = rest->Get(JobPath(job));
    if (!got.ok()) {
      CML_RETURN_IF_ERROR(patience.Wait(got.error()));
      continue;
    }
    patience.Success();
    const Document object = got.value().body;
    const std::string state = object.Get("state").Text();
    const bool ended = IsEnded(state);
    if ((ended || state == "initial") && !restart.stale_since.empty() &&
        object.Get("state_since").Str() == restart.stale_since &&
        context.Now() - began < kTakenUp) {
      context.terminal().Pause(kSettle);
      continue;
    }
    if (!ended) {
      const bool first_log = log == ShowLog::kYes && state == "running" && !announced;
      announced = announced || first_log;
      lines.Show(object, first_log ? "(log follows; Ctrl-C leaves the job running)" : "");
    }
    if (state == "initial") return object;
    if (log == ShowLog::kNo || !MayHaveLog(state)) {
      if (ended) return object;
      context.terminal().Pause(kPoll);
      continue;
    }
    if (!reader.begun()) {
      const auto first = reader.Begin(std::nullopt);
      if (!first.ok()) {
        CML_RETURN_IF_ERROR(patience.Wait(first.error()));
        continue;
      }
      show_log(first.value());
    }
    const auto read = reader.Read(show_log);
    if (!read.ok()) {
      CML_RETURN_IF_ERROR(patience.Wait(read.error()));
    } else if (reader.cut()) {
      CML_RETURN_IF_ERROR(patience.Wait(*reader.cut()));
    } else if (read.value() == LogReader::End::kComplete) {
      if (ended) {
        if (const std::string end = lines.BreakLine(); !end.empty()) context.Out(end);
        return object;
      }
      context.terminal().Pause(kSettle);  // the state is written after the last line of the log
    }
  }
}

ExitCode ReportEnd(Context& context, const Document& job, ShowLog log) {
  constexpr std::uint64_t kLastLines = 5;
  const std::string name = job.Get("job_name").Text();
  const std::string state = job.Get("state").Text();
  std::string text = StateLine(job, context.ErrColours());
  const auto started = ParseTime(job.Get("started_at").Str());
  const auto ended = ParseTime(job.Get("ended_at").Str());
  if (IsSuccess(state) && started && ended) text += "  in " + FormatDuration(*ended - *started);
  text += "\n";
  const std::string indent = std::string(DisplayWidth(name) + 13, ' ');
  if (state == "initial") {
    context.Err(text + indent + "saved, not started; start it: cloudml jobs start " + name + "\n");
    return ExitCode::kOk;
  }
  if (IsSuccess(state)) {
    context.Err(text);
    return ExitCode::kOk;
  }
  if (const std::string remedy = Remedy(job); !remedy.empty()) text += indent + remedy + "\n";
  const auto rest = context.rest();
  if (log == ShowLog::kNo && rest.ok()) {
    const auto reply =
        rest.value()->Get(JobPath(name) + "/logs", fmt::format("lines={}", kLastLines));
    const std::string tail = reply.ok() ? reply.value().body.Get("logs").Str() : "";
    if (!tail.empty()) {
      text += indent + "last lines of the log:\n";
      std::string_view logged = tail;
      if (logged.ends_with('\n')) logged.remove_suffix(1);
      for (const std::string_view line : Split(logged, '\n')) {
        text += indent + "  " + OneLine(line) + "\n";
      }
    }
  }
  text += indent + "log: cloudml jobs logs " + name;
  if (const std::string reason = job.Get("reason").Text(); !reason.empty()) {
    text += "      reason: " + reason;
  }
  context.Err(text + "\n");
  return ExitCode::kJobFailed;
}

Status FollowLog(Context& context, const std::string& job, std::optional<std::uint64_t> lines,
                 const std::string& replica) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  LogReader reader(*rest, job, replica);
  Patience patience(context);
  CML_ASSIGN_OR_RETURN(const std::string first, reader.Begin(lines));
  context.Out(first);
  const auto show = [&](std::string_view bytes) { context.Out(bytes); };
  while (true) {
    const auto read = reader.Read(show);
    if (!read.ok()) {
      CML_RETURN_IF_ERROR(patience.Wait(read.error()));
    } else if (reader.cut()) {
      CML_RETURN_IF_ERROR(patience.Wait(*reader.cut()));
    } else {
      patience.Success();
      if (read.value() == LogReader::End::kComplete) return Ok{};
    }
  }
}

}  // namespace cml::cli
