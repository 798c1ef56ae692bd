#include "core/train_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "core/quantity.h"

namespace cml {
namespace {

constexpr std::array kStates = {
    std::pair{TrainJobState::kInitial, std::string_view("initial")},
    std::pair{TrainJobState::kEnqueued, std::string_view("enqueued")},
    std::pair{TrainJobState::kCreating, std::string_view("creating")},
    std::pair{TrainJobState::kRunning, std::string_view("running")},
    std::pair{TrainJobState::kCompleted, std::string_view("completed")},
    std::pair{TrainJobState::kFailed, std::string_view("failed")},
    std::pair{TrainJobState::kDeleting, std::string_view("deleting")},
};

constexpr std::array kClasses = {
    std::pair{PriorityClass::kBestEffort, std::string_view("best-effort")},
    std::pair{PriorityClass::kPreferred, std::string_view("preferred")},
    std::pair{PriorityClass::kGuaranteed, std::string_view("guaranteed")},
};

template <class Table, class Value>
std::string_view NameIn(const Table& table, Value value) {
  for (const auto& [v, name] : table) {
    if (v == value) return name;
  }
  return "";
}

template <class Table>
auto ValueIn(const Table& table, std::string_view text)
    -> std::optional<typename Table::value_type::first_type> {
  for (const auto& [v, name] : table) {
    if (name == text) return v;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ToString(TrainJobState s) { return NameIn(kStates, s); }
std::optional<TrainJobState> ParseTrainJobState(std::string_view s) { return ValueIn(kStates, s); }
std::string_view ToString(PriorityClass c) { return NameIn(kClasses, c); }
std::optional<PriorityClass> ParsePriorityClass(std::string_view s) { return ValueIn(kClasses, s); }

bool CanMove(TrainJobState from, TrainJobState to) noexcept {
  using S = TrainJobState;
  if (to == S::kDeleting) return from != S::kDeleting;
  switch (from) {
    case S::kInitial:
    case S::kCompleted:
    case S::kFailed: return to == S::kEnqueued;
    case S::kEnqueued: return to == S::kCreating || to == S::kFailed || to == S::kInitial;
    case S::kCreating: return to == S::kRunning || to == S::kCompleted || to == S::kFailed || to == S::kEnqueued;
    case S::kRunning: return to == S::kCompleted || to == S::kFailed || to == S::kEnqueued;
    case S::kDeleting: return false;
  }
  return false;
}

std::optional<std::vector<std::string>> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else if (c == '\\' && quote == '"' && i + 1 < line.size() &&
                 (line[i + 1] == '"' || line[i + 1] == '\\')) {
        word += line[++i];
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return std::nullopt;
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::optional<ObjectUri> ParseObjectUri(std::string_view uri) {
  constexpr std::string_view kScheme = "fds://";
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  const auto slash = uri.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == uri.size()) return std::nullopt;
  return ObjectUri{std::string(uri.substr(0, slash)), std::string(uri.substr(slash + 1))};
}

std::vector<std::string> PackageUris(const TrainJobSpec& spec) {
  std::vector<std::string> uris;
  for (const std::string_view part : Split(spec.trainer_uri, ',')) {
    if (!Trim(part).empty()) uris.emplace_back(Trim(part));
  }
  return uris;
}

Reservation ReservationOf(const TrainJob& job) {
  const bool waits = !job.wish.deleted && job.wish.starts != job.record.starts;
  Reservation r{QuotaGroup::kTrain, {}};
  if (IsFinal(job.record.state) && !waits) return r;
  const Limits limits = LimitsOf(job.wish.spec);
  r.amounts = {limits.millicores, limits.memory_bytes, limits.gpus, 1, job.wish.spec.enable_rank != 0 ? 1 : 0};
  return r;
}

}  // namespace cml
