// base/strings.h — small text helpers that the standard library does not have.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cml {

std::string_view Trim(std::string_view s);  // ASCII white space at both ends
std::vector<std::string_view> Split(std::string_view s, char by);  // "a,,b" → "a", "", "b"
std::string Join(const std::vector<std::string>& parts, std::string_view between);
std::string ToLower(std::string_view s);  // ASCII only
bool EqualsIgnoreCase(std::string_view a, std::string_view b);  // ASCII only

// The whole text as a decimal number: digits only (one leading '-' for the signed form), no sign,
// space or Unicode digit around it; nullopt otherwise or when it does not fit.
std::optional<std::int64_t> ParseInt(std::string_view s);
std::optional<std::uint64_t> ParseUnsigned(std::string_view s);

bool IsValidUtf8(std::string_view s);

// 1536 → "1.5 KiB". Two significant decimals at most.
std::string FormatBytes(std::uint64_t bytes);

// For messages: the text between double quotes, control and non-ASCII bytes as \xNN, cut to `most`
// bytes with an ellipsis.
std::string Quote(std::string_view s, std::size_t most = 60);

// One word for a POSIX shell: single-quoted.
std::string ShellQuote(std::string_view s);

}  // namespace cml
