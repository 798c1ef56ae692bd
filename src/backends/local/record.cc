#include "backends/local/record.h"

#include "base/strings.h"

namespace cml::backends::local {
namespace {

constexpr std::string_view kEnd = "end";

void AppendEscaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
}

std::string Unescaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    ++i;
    out += text[i] == 'n' ? '\n' : text[i];
  }
  return out;
}

}  // namespace

void Record::Add(std::string_view key, std::string_view value) { lines_.emplace_back(key, value); }
void Record::Add(std::string_view key, std::int64_t value) { Add(key, std::to_string(value)); }

std::string Record::Format() const {
  std::string out;
  for (const auto& [key, value] : lines_) {
    out += key;
    out += '=';
    AppendEscaped(out, value);
    out += '\n';
  }
  out += kEnd;
  out += '\n';
  return out;
}

std::optional<Record> Record::Parse(std::string_view text) {
  Record record;
  while (true) {
    const auto newline = text.find('\n');
    if (newline == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (line == kEnd) return record;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    record.lines_.emplace_back(line.substr(0, equals), Unescaped(line.substr(equals + 1)));
  }
}

std::string Record::Text(std::string_view key) const {
  for (const auto& [k, v] : lines_) {
    if (k == key) return v;
  }
  return {};
}

std::int64_t Record::Number(std::string_view key) const { return ParseInt(Text(key)).value_or(0); }

bool Record::Has(std::string_view key) const {
  for (const auto& line : lines_) {
    if (line.first == key) return true;
  }
  return false;
}

std::vector<std::string> Record::All(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [k, v] : lines_) {
    if (k == key) values.push_back(v);
  }
  return values;
}

}  // namespace cml::backends::local
