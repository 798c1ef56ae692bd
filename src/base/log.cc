#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>

#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"

namespace cml {
namespace {

std::atomic<LogLevel> g_least{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kText};

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

void AppendJson(std::string& out, std::string_view value) {
  const bool utf8 = IsValidUtf8(value);
  out += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !utf8)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string JsonLine(std::string_view time, LogLevel level, std::string_view text, LogFields fields) {
  std::string line = "{\"time\":";
  AppendJson(line, time);
  line += ",\"level\":";
  AppendJson(line, Name(level));
  line += ",\"text\":";
  AppendJson(line, text);
  for (const auto& [key, value] : fields) {
    line += ',';
    AppendJson(line, key);
    line += ':';
    if (value.number) {
      line += value.text;
    } else {
      AppendJson(line, value.text);
    }
  }
  line += '}';
  return line;
}

}  // namespace

void SetLogLevel(LogLevel least) { g_least = least; }
void SetLogFormat(LogFormat format) { g_format = format; }

std::string FormatLogLine(LogFormat format, std::string_view time, LogLevel level, std::string_view text,
                          LogFields fields) {
  if (format == LogFormat::kJson) return JsonLine(time, level, text, fields);
  std::string line = fmt::format("{} {} {}", time, Name(level), text);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    if (value.number) {
      line += value.text;
    } else {
      AppendQuoted(line, value.text);
    }
  }
  return line;
}

void Log(LogLevel level, std::string_view text, LogFields fields) {
  if (level < g_least.load(std::memory_order_relaxed)) return;
  const LogFormat format = g_format.load(std::memory_order_relaxed);
  const SysTime now = SystemClock().Now();
  std::string line = FormatLogLine(
      format, format == LogFormat::kJson ? FormatRfc3339(now) : FormatContractTime(now), level, text, fields);
  line += '\n';
  (void)WriteAll(STDERR_FILENO, line, "stderr");  // one write: lines of threads do not mix
}

}  // namespace cml
