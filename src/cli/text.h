// cli/text.h — tables and times as people read them. Pure.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cli/terminal.h"

namespace cml::cli {

// Columns that `text` takes on a terminal: code points, wide ones twice, combining ones not at all,
// escape sequences of Paint not at all.
std::size_t DisplayWidth(std::string_view text);
std::string PadRight(std::string_view text, std::size_t width);
// At most `width` columns, the last of them '…' when something was cut.
std::string Clip(std::string_view text, std::size_t width);
// Foreign text made harmless for a terminal: control characters (escape sequences among them)
// become '?', a new line a blank.
std::string OneLine(std::string_view text);

struct Column {
  std::string title;
  enum class Align { kLeft, kRight } align = Align::kLeft;
  bool hide_when_empty = false;
};

// Rows under titles, two blanks between columns, no blanks at line ends. `width` 0: as wide as it
// gets; else the last column is clipped to it.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  struct Cell {
    std::string text;
    Tone tone = Tone::kPlain;
  };
  void Add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  std::string Render(Colours colours, std::size_t width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// "2026-11-24T08:04:43Z", with fraction or offset, and "2026-11-24 08:04:43.123" (UTC).
std::optional<SysTime> ParseTime(std::string_view text);
// "3m ago" for terminals, RFC 3339 for files and programs; the text as it is when it is no time.
enum class TimeStyle { kAge, kExact };
std::string ShowTime(std::string_view text, SysTime now, TimeStyle style);

// "90", "90s", "15m", "2h", "1d" → seconds.
std::optional<std::int64_t> ParseSeconds(std::string_view text);
// "8G" → bytes; also a plain number of bytes and K M G T (powers of 1024).
std::optional<std::uint64_t> ParseSize(std::string_view text);

}  // namespace cml::cli
