#include "base/archive_rules.h"

#include <algorithm>

#include "base/strings.h"

namespace cml::archive {
namespace {

constexpr std::size_t kMostName = 1024;
constexpr std::size_t kMostPart = 255;  // what Linux file systems take
constexpr std::size_t kMostDepth = 64;

Error Refused(std::string_view name, std::string_view rule) {
  return Error(Code::kInvalidArgument, "package entry " + Quote(name) + ": " + std::string(rule));
}

bool HasControl(std::string_view s) {
  return std::any_of(s.begin(), s.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

Result<std::string> CleanName(std::string_view raw) {
  if (raw.empty()) return Refused(raw, "an entry must have a name");
  if (raw.size() > kMostName) return Refused(raw, "names have at most 1024 bytes");
  if (HasControl(raw)) return Refused(raw, "names must not contain control characters");
  if (!IsValidUtf8(raw)) return Refused(raw, "names must be UTF-8");
  if (raw.starts_with('/')) return Refused(raw, "absolute paths are refused");
  if (raw.find('\\') != std::string_view::npos) {
    return Refused(raw, "names must not contain a backslash; use '/' between folders");
  }
  std::string clean;
  std::size_t depth = 0;
  for (const std::string_view part : Split(raw, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return Refused(raw, "\"..\" in a path is refused");
    if (part.size() > kMostPart) return Refused(raw, "a name has at most 255 bytes per folder");
    if (++depth > kMostDepth) return Refused(raw, "folders are nested at most 64 deep");
    if (!clean.empty()) clean.push_back('/');
    clean.append(part);
  }
  return clean;
}

Status CheckLink(std::string_view name, std::string_view target) {
  if (target.empty() || target.size() > kMostName || HasControl(target)) {
    return Refused(name, "the target of a link must be a path of at most 1024 bytes");
  }
  if (target.starts_with('/')) {
    return Refused(name, "links to absolute paths are refused, it points to " + Quote(target));
  }
  auto up_left = std::count(name.begin(), name.end(), '/');
  bool named = false;
  for (const std::string_view part : Split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      named = true;
    } else if (named) {
      return Refused(name,
                     "a link may have \"..\" only at its beginning, it points to " + Quote(target));
    } else if (up_left-- == 0) {
      return Refused(name, "links out of the package are refused, it points to " + Quote(target));
    }
  }
  return Ok{};
}

// A null locale leaves things as they are: names outside ASCII are then refused, not mistaken.
Utf8Names::Utf8Names()
    : ours_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(::uselocale(ours_)) {}

Utf8Names::~Utf8Names() {
  ::uselocale(before_);
  if (ours_ != nullptr) ::freelocale(ours_);
}

Status NameTable::Add(const std::string& name, Kind kind) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    const auto [at, added] = kinds_.emplace(name.substr(0, slash), Kind::kFolder);
    if (at->second != Kind::kFolder) {
      return Refused(name,
                     "it lies below " + Quote(at->first) + ", which is no folder in this package");
    }
  }
  const auto [at, added] = kinds_.emplace(name, kind);
  if (!added && (at->second != Kind::kFolder || kind != Kind::kFolder)) {
    return Refused(name, "the same name comes twice");
  }
  top_names_.insert(name.substr(0, name.find('/')));
  return Ok{};
}

bool NameTable::IsFile(const std::string& name) const {
  const auto at = kinds_.find(name);
  return at != kinds_.end() && at->second == Kind::kFile;
}

}  // namespace cml::archive
