// base/log.h — the program's own log: one line per event on standard error, UTC time, level, text
// and key=value fields. Thread-safe. Never pass a Secret: it does not format.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace cml {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

void SetLogLevel(LogLevel least);
void Log(LogLevel level, std::string_view text, LogFields fields = {});

inline void LogInfo(std::string_view text, LogFields f = {}) { Log(LogLevel::kInfo, text, f); }
inline void LogWarning(std::string_view text, LogFields f = {}) { Log(LogLevel::kWarning, text, f); }
inline void LogError(std::string_view text, LogFields f = {}) { Log(LogLevel::kError, text, f); }

}  // namespace cml
