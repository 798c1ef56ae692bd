// base/log.h — the program's own log: one line per event on standard error, with UTC time, level,
// text and fields; as text for people (key="value") or as JSON. Thread-safe. Never pass a Secret: it
// does not format.
#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace cml {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

enum class LogFormat { kText, kJson };

// A text, or a number, which stands without quotes.
struct LogValue {
  template <std::convertible_to<std::string> T>
    requires(!std::integral<T>)
  LogValue(T value) : text(std::move(value)) {}            // NOLINT: implicit by design
  LogValue(std::string_view value) : text(value) {}        // NOLINT: implicit by design
  LogValue(std::integral auto value) : text(std::to_string(value)), number(true) {}  // NOLINT
  std::string text;
  bool number = false;
};
using LogFields = std::initializer_list<std::pair<std::string_view, LogValue>>;

void SetLogLevel(LogLevel least);
void SetLogFormat(LogFormat format);
void Log(LogLevel level, std::string_view text, LogFields fields = {});

// The line without its end, as Log writes it. `time` as it shall stand there. Pure.
std::string FormatLogLine(LogFormat format, std::string_view time, LogLevel level, std::string_view text,
                          LogFields fields);

inline void LogInfo(std::string_view text, LogFields f = {}) { Log(LogLevel::kInfo, text, f); }
inline void LogWarning(std::string_view text, LogFields f = {}) { Log(LogLevel::kWarning, text, f); }
inline void LogError(std::string_view text, LogFields f = {}) { Log(LogLevel::kError, text, f); }

}  // namespace cml
