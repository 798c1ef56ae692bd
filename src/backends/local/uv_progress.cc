#include "backends/local/uv_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/strings.h"

namespace cml::backends::local {
namespace {

constexpr std::size_t kMostError = 400;

std::optional<std::string_view> After(std::string_view line, std::string_view start) {
  if (!line.starts_with(start)) return std::nullopt;
  return Trim(line.substr(start.size()));
}

// "197.6MiB" → bytes, "197.6 MiB"; uv writes one decimal at most.
std::uint64_t BytesOf(std::string_view size) {
  const auto unit_at = size.find_first_not_of("0123456789.");
  if (unit_at == std::string_view::npos) return 0;
  const auto parts = Split(size.substr(0, unit_at), '.');
  std::uint64_t tenths = ParseUnsigned(parts[0]).value_or(0) * 10;
  if (parts.size() > 1) tenths += ParseUnsigned(parts[1].substr(0, 1)).value_or(0);
  const std::string_view unit = size.substr(unit_at);
  const std::uint64_t scale = unit == "GiB" ? 1ULL << 30 : unit == "MiB" ? 1ULL << 20
                              : unit == "KiB" ? 1ULL << 10 : 1;
  return tenths * scale / 10;
}

std::string Spaced(std::string_view size) {
  const auto unit_at = size.find_first_not_of("0123456789.");
  if (unit_at == std::string_view::npos || unit_at == 0) return std::string(size);
  return fmt::format("{} {}", size.substr(0, unit_at), size.substr(unit_at));
}

// Drops the tree that uv draws in front of causes, and the words that say it is one.
std::string_view Plain(std::string_view line) {
  static constexpr std::string_view kMarks[] = {"×", "├─▶", "╰─▶", "│", "error:", "cause:",
                                                "Caused by:"};
  line = Trim(line);
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view mark : kMarks) {
      if (line.starts_with(mark)) {
        line = Trim(line.substr(mark.size()));
        again = true;
      }
    }
  }
  return line;
}

bool StartsError(std::string_view line) {
  line = Trim(line);
  return line.starts_with("error:") || line.starts_with("×");
}

bool IsCause(std::string_view line) {
  line = Trim(line);
  return line.starts_with("cause:") || line.starts_with("Caused by:") ||
         line.starts_with("├─▶") || line.starts_with("╰─▶");
}

bool IsHint(std::string_view line) { return Trim(line).starts_with("hint:"); }

}  // namespace

void UvProgress::Line(std::string_view raw) {
  const std::string_view line = Trim(raw);
  if (const auto rest = After(line, "Downloading ")) {
    const auto open = rest->find(" (");
    if (open == std::string_view::npos || !rest->ends_with(')')) return;
    const std::string_view size = rest->substr(open + 2, rest->size() - open - 3);
    if (downloading_.emplace(rest->substr(0, open), Download{BytesOf(size), Spaced(size)}).second) {
      ++announced_;
    }
    step_ = Step::kFetch;
  } else if (const auto done = After(line, "Downloaded ")) {
    if (const auto found = downloading_.find(*done); found != downloading_.end()) {
      downloading_.erase(found);
      ++downloaded_;
    }
  } else if (const auto building = After(line, "Building ")) {
    building_ = std::string(building->substr(0, building->find_first_of("= @")));
    step_ = Step::kFetch;
  } else if (line.starts_with("Built ")) {
    building_.clear();
  } else if (line.starts_with("Resolved ")) {
    step_ = Step::kFetch;
  } else if (const auto prepared = After(line, "Prepared ")) {
    prepared_ = static_cast<std::size_t>(
        ParseUnsigned(prepared->substr(0, prepared->find(' '))).value_or(0));
    step_ = Step::kLink;
  } else if (line.starts_with("Installed ")) {
    step_ = Step::kCompile;
  } else if (line.starts_with("Bytecode compiled ")) {
    step_ = Step::kDone;
  }
}

std::string UvProgress::Sentence() const {
  switch (step_) {
    case Step::kStart: return fmt::format("looking at {} packages", total_);
    case Step::kFetch: {
      if (!downloading_.empty()) {
        const auto largest = std::ranges::max_element(
            downloading_, {}, [](const auto& entry) { return entry.second.bytes; });
        return fmt::format("downloading {} {} ({} of {} downloads done)", largest->first,
                           largest->second.size, downloaded_, announced_);
      }
      if (!building_.empty()) return "building " + building_;
      return fmt::format("fetching {} packages", total_);
    }
    case Step::kLink: return fmt::format("installing {} packages, {} of them new", total_, prepared_);
    case Step::kCompile: return fmt::format("compiling {} packages", total_);
    case Step::kDone: return fmt::format("{} packages installed", total_);
  }
  return {};
}

std::string WithoutCredentials(std::string_view text) {
  std::string out;
  while (true) {
    const auto scheme = text.find("://");
    if (scheme == std::string_view::npos) return out.append(text);
    out.append(text.substr(0, scheme + 3));
    text.remove_prefix(scheme + 3);
    const auto end = std::min(text.find_first_of("/ \t\n'\"`)>"), text.size());
    if (const auto at = text.substr(0, end).rfind('@'); at != std::string_view::npos) {
      out += "***";
      text.remove_prefix(at);
    }
  }
}

std::string UvError(std::string_view output) {
  std::string first, last;
  bool inside = false;
  for (const std::string_view line : Split(output, '\n')) {
    if (StartsError(line) && first.empty()) {
      first = std::string(Plain(line));
      inside = true;
    } else if (inside && IsHint(line)) {
      inside = false;
    } else if (inside && IsCause(line)) {
      last = std::string(Plain(line));
    }
  }
  while (first.ends_with(':')) first.pop_back();
  std::string text = last.empty() || last == first ? first : first + ": " + last;
  text = WithoutCredentials(text);
  if (text.size() > kMostError) text = text.substr(0, kMostError) + "…";
  return text;
}

}  // namespace cml::backends::local
