// backends/local/record.h — the text form of the small files that server and shim exchange: one
// `key=value` a line, keys may repeat, the last line is "end" so that a cut file is recognised.
//
// In a value '\' is written "\\" and a line feed "\n". Not thread-safe; plain value.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cml::backends::local {

class Record {
 public:
  void Add(std::string_view key, std::string_view value);
  void Add(std::string_view key, std::int64_t value);

  std::string Format() const;
  static std::optional<Record> Parse(std::string_view text);  // nullopt: cut short or not a record

  // The first value under the key; "" or 0 where there is none.
  std::string Text(std::string_view key) const;
  std::int64_t Number(std::string_view key) const;
  bool Has(std::string_view key) const;
  std::vector<std::string> All(std::string_view key) const;

  const std::vector<std::pair<std::string, std::string>>& lines() const { return lines_; }

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace cml::backends::local
