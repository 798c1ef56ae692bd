#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>

#include "base/file.h"
#include "base/time.h"

namespace cml {
namespace {

std::atomic<LogLevel> g_least{LogLevel::kInfo};

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "";
}

// One event is one line, whatever the value holds.
void AppendQuoted(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void SetLogLevel(LogLevel least) { g_least = least; }

void Log(LogLevel level, std::string_view text, LogFields fields) {
  if (level < g_least.load(std::memory_order_relaxed)) return;
  std::string line = fmt::format("{} {} {}", FormatContractTime(SystemClock().Now()), Name(level), text);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    AppendQuoted(line, value);
  }
  line += '\n';
  (void)WriteAll(STDERR_FILENO, line, "stderr");  // one write: lines of threads do not mix
}

}  // namespace cml
