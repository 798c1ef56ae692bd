// base/archive_rules.h — what the name and the target of an archive's entry may look like
// (base/archive.h, rules 1, 3 and 4). Pure; shared by reading and packing, private to them.
#pragma once
#include <locale.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cml::archive {

// "./a//b/" → "a/b"; empty for the archive's own root. kInvalidArgument: rule 1.
Result<std::string> CleanName(std::string_view raw);

// Whether a symbolic link called `name` (clean) may point to `target`: rule 3.
//
// ".." only at the beginning, and never more of them than the folders above the link: those are
// real folders, as no entry may lie below a link. So following any number of links stays inside.
Status CheckLink(std::string_view name, std::string_view target);

// While it lives, libarchive reads and writes names as UTF-8 in this thread, whatever the locale of
// the program: in the C locale it drops names that are not ASCII.
class Utf8Names {
 public:
  Utf8Names();
  ~Utf8Names();
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t ours_;
  locale_t before_;
};

// The names seen so far.
class NameTable {
 public:
  enum class Kind { kFile, kFolder, kLink };

  // Adds `name` and the folders above it. kInvalidArgument: rule 4.
  Status Add(const std::string& name, Kind kind);
  bool IsFile(const std::string& name) const;
  const std::set<std::string>& top_names() const { return top_names_; }
  std::uint64_t size() const { return kinds_.size(); }

 private:
  std::map<std::string, Kind, std::less<>> kinds_;
  std::set<std::string> top_names_;
};

}  // namespace cml::archive
