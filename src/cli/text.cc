#include "cli/text.h"

#include <algorithm>
#include <cmath>

#include "base/strings.h"

namespace cml::cli {
namespace {

// One code point from the front; a byte that is not UTF-8 counts as one.
char32_t TakeCodePoint(std::string_view& s) {
  const auto lead = static_cast<unsigned char>(s[0]);
  std::size_t more = lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  char32_t c = more == 0 ? lead : lead & (0x3FU >> more);
  if (s.size() <= more) more = 0;
  for (std::size_t i = 1; i <= more; ++i) {
    c = (c << 6) | (static_cast<unsigned char>(s[i]) & 0x3FU);
  }
  s.remove_prefix(more + 1);
  return c;
}

std::size_t WidthOf(char32_t c) {
  if (c == 0x200D || (c >= 0x0300 && c <= 0x036F) || (c >= 0xFE00 && c <= 0xFE0F)) return 0;
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                    (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                    (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) ||
                    (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

// Digits of a fixed count at the front.
std::optional<int> TakeDigits(std::string_view& s, std::size_t count) {
  if (s.size() < count) return std::nullopt;
  int n = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (s[i] < '0' || s[i] > '9') return std::nullopt;
    n = n * 10 + (s[i] - '0');
  }
  s.remove_prefix(count);
  return n;
}

bool TakeChar(std::string_view& s, std::string_view any_of) {
  if (s.empty() || any_of.find(s[0]) == std::string_view::npos) return false;
  s.remove_prefix(1);
  return true;
}

// Number and unit of "1.5G"; nullopt for anything else.
std::optional<std::pair<double, std::string>> NumberAndUnit(std::string_view text) {
  const std::size_t end = text.find_first_not_of("0123456789.");
  const std::string_view digits = text.substr(0, end);
  if (digits.empty() || std::ranges::count(digits, '.') > 1 || digits == ".") return std::nullopt;
  double n = 0, place = 0;
  for (const char c : digits) {
    if (c == '.') {
      place = 1;
    } else if (place > 0) {
      place /= 10;
      n += (c - '0') * place;
    } else {
      n = n * 10 + (c - '0');
    }
  }
  return std::pair(n, end == std::string_view::npos ? std::string() : ToLower(text.substr(end)));
}

}  // namespace

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    if (text.starts_with("\033[")) {
      const std::size_t end = text.find('m');
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      continue;
    }
    width += WidthOf(TakeCodePoint(text));
  }
  return width;
}

std::string PadRight(std::string_view text, std::size_t width) {
  const std::size_t have = DisplayWidth(text);
  return std::string(text) + std::string(width > have ? width - have : 0, ' ');
}

std::string Clip(std::string_view text, std::size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::size_t used = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view after = rest;
    const std::size_t w = WidthOf(TakeCodePoint(after));
    if (used + w + 1 > width) break;
    used += w;
    rest = after;
  }
  return std::string(text.substr(0, text.size() - rest.size())) + "…";
}

std::string OneLine(std::string_view text) {
  std::string out;
  for (const char c : Trim(text)) {
    if (c == '\n' || c == '\t' || c == '\r') {
      if (!out.ends_with(' ')) out += ' ';
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

void Table::Add(std::vector<Cell> row) {
  row.resize(columns_.size());
  for (Cell& cell : row) cell.text = OneLine(cell.text);
  rows_.push_back(std::move(row));
}

std::string Table::Render(Colours colours, std::size_t width) const {
  std::vector<std::size_t> widths, shown;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t most = 0;
    for (const auto& row : rows_) most = std::max(most, DisplayWidth(row[i].text));
    widths.push_back(std::max(most, DisplayWidth(columns_[i].title)));
    if (most > 0 || !columns_[i].hide_when_empty) shown.push_back(i);
  }
  std::string out;
  const auto print_row = [&](const auto& cell_of) {
    std::string line;
    std::size_t used = 0;
    for (const std::size_t i : shown) {
      Cell cell = cell_of(i);
      const bool last = i == shown.back();
      if (last && width > used + 10) cell.text = Clip(cell.text, width - used);
      const std::size_t have = DisplayWidth(cell.text);
      const std::string gap(widths[i] > have ? widths[i] - have : 0, ' ');
      const std::string text = cell.text.empty() ? "" : Paint(cell.text, cell.tone, colours);
      line += columns_[i].align == Column::Align::kRight ? gap + text : text + gap;
      used += widths[i] + 2;
      if (!last) line += "  ";
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  };
  print_row([&](std::size_t i) { return Cell{columns_[i].title, Tone::kBold}; });
  for (const auto& row : rows_) {
    print_row([&](std::size_t i) { return row[i]; });
  }
  return out;
}

std::optional<SysTime> ParseTime(std::string_view s) {
  const auto year = TakeDigits(s, 4);
  if (!year || !TakeChar(s, "-")) return std::nullopt;
  const auto month = TakeDigits(s, 2);
  if (!month || !TakeChar(s, "-")) return std::nullopt;
  const auto day = TakeDigits(s, 2);
  if (!day || !TakeChar(s, "T ")) return std::nullopt;
  const auto hour = TakeDigits(s, 2);
  if (!hour || !TakeChar(s, ":")) return std::nullopt;
  const auto minute = TakeDigits(s, 2);
  if (!minute || !TakeChar(s, ":")) return std::nullopt;
  const auto second = TakeDigits(s, 2);
  if (!second) return std::nullopt;
  int millis = 0;
  if (TakeChar(s, ".")) {
    int place = 100;
    while (!s.empty() && s[0] >= '0' && s[0] <= '9') {
      millis += (s[0] - '0') * place;
      place /= 10;
      s.remove_prefix(1);
    }
  }
  std::chrono::minutes offset{0};
  if (!s.empty() && (s[0] == '+' || s[0] == '-')) {
    const int sign = s[0] == '-' ? -1 : 1;
    s.remove_prefix(1);
    const auto hours = TakeDigits(s, 2);
    TakeChar(s, ":");
    const auto minutes = TakeDigits(s, 2);
    if (!hours || !minutes) return std::nullopt;
    offset = std::chrono::minutes(sign * (*hours * 60 + *minutes));
  } else {
    TakeChar(s, "Zz");
  }
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!s.empty() || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return SysTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) +
         std::chrono::minutes(*minute) + std::chrono::seconds(*second) +
         std::chrono::milliseconds(millis) - offset;
}

std::string ShowTime(std::string_view text, SysTime now, TimeStyle style) {
  const auto time = ParseTime(text);
  if (!time) return std::string(text);
  return style == TimeStyle::kAge ? FormatAge(now - *time) : FormatRfc3339(*time);
}

std::optional<std::int64_t> ParseSeconds(std::string_view text) {
  const auto parsed = NumberAndUnit(text);
  if (!parsed) return std::nullopt;
  const auto& [n, unit] = *parsed;
  double factor = 0;
  if (unit.empty() || unit == "s") factor = 1;
  if (unit == "m") factor = 60;
  if (unit == "h") factor = 3600;
  if (unit == "d") factor = 86400;
  if (factor == 0 || n * factor > 1e12) return std::nullopt;
  return static_cast<std::int64_t>(std::llround(n * factor));
}

std::optional<std::uint64_t> ParseSize(std::string_view text) {
  const auto parsed = NumberAndUnit(text);
  if (!parsed) return std::nullopt;
  const auto& [n, unit] = *parsed;
  static constexpr std::string_view kUnits = "kmgt";
  double factor = unit.empty() || unit == "b" ? 1 : 0;
  if (const std::size_t at = unit.empty() ? std::string::npos : kUnits.find(unit[0]);
      at != std::string::npos && (unit.size() == 1 || unit.substr(1) == "i" ||
                                  unit.substr(1) == "ib" || unit.substr(1) == "b")) {
    factor = std::pow(1024.0, static_cast<double>(at + 1));
  }
  if (factor == 0 || n * factor > 1e18) return std::nullopt;
  return static_cast<std::uint64_t>(n * factor);
}

}  // namespace cml::cli
