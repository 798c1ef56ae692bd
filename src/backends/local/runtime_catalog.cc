#include "backends/local/runtime_catalog.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>

#include "base/strings.h"

namespace cml::backends::local {
namespace {

constexpr std::string_view kBuildConstraints = "build-constraints.txt";

std::string_view ContentsOf(std::span<const EmbeddedFile> files, std::string_view path) {
  for (const EmbeddedFile& file : files) {
    if (file.path == path) return file.contents;
  }
  return {};
}

std::vector<std::string> Words(const YAML::Node& node) {
  return node ? node.as<std::vector<std::string>>() : std::vector<std::string>{};
}

// May throw YAML::Exception; ReadCatalog catches it.
Result<RuntimeDefinition> ReadDefinition(std::span<const EmbeddedFile> files,
                                         const EmbeddedFile& file, const std::string& folder) {
  const auto fault = [&](const std::string& what) {
    return Error(Code::kInvalidArgument, std::string(file.path) + ": " + what);
  };
  const YAML::Node yaml = YAML::Load(std::string(file.contents));
  for (const auto& entry : yaml) {
    static const std::vector<std::string> known{"name",    "version", "python",   "variants", "aliases",
                                                "default", "packages", "description"};
    const auto key = entry.first.as<std::string>();
    if (std::ranges::find(known, key) == known.end()) return fault("what is " + Quote(key) + "?");
  }
  RuntimeDefinition d;
  d.ref = {yaml["name"].as<std::string>(), yaml["version"].as<std::string>()};
  d.python = yaml["python"].as<std::string>();
  d.aliases = Words(yaml["aliases"]);
  d.packages = Words(yaml["packages"]);
  d.description = yaml["description"].as<std::string>();
  d.is_default = yaml["default"] && yaml["default"].as<bool>();
  if (folder != d.ref.name + "-" + d.ref.version) {
    return fault("the folder must be called " + d.ref.name + "-" + d.ref.version);
  }
  for (const std::string& name : Words(yaml["variants"])) {
    if (name != "cpu" && name != "gpu") return fault("variant " + Quote(name) + ": cpu or gpu");
    const std::string lock = folder + "/requirements-" + name + ".lock";
    const std::string_view contents = ContentsOf(files, lock);
    if (contents.empty()) return fault(lock + " is missing");
    d.locks[name == "cpu" ? Variant::kCpu : Variant::kGpu] = std::string(contents);
  }
  if (!d.Has(Variant::kCpu)) return fault("every runtime has a cpu variant");
  d.finish = std::string(ContentsOf(files, folder + "/finish.py"));
  d.smoke = std::string(ContentsOf(files, folder + "/smoke.py"));
  if (d.smoke.empty()) return fault("smoke.py is missing");
  d.build_constraints = std::string(ContentsOf(files, kBuildConstraints));
  return d;
}

// The number that starts a part of a version: 15 of "15rc1".
std::uint64_t NumberOf(std::string_view part) {
  const auto end = std::ranges::find_if(part, [](unsigned char c) { return !std::isdigit(c); });
  const auto digits = part.substr(0, static_cast<std::size_t>(end - part.begin()));
  return ParseUnsigned(digits).value_or(0);
}

bool IsCalled(const RuntimeDefinition& d, std::string_view name) {
  return EqualsIgnoreCase(d.ref.name, name) ||
         std::ranges::any_of(d.aliases,
                             [&](const std::string& a) { return EqualsIgnoreCase(a, name); });
}

}  // namespace

std::string_view ToString(Variant variant) {
  switch (variant) {
    case Variant::kCpu: return "cpu";
    case Variant::kGpu: return "gpu";
  }
  return "?";
}

bool IsOlderVersion(std::string_view a, std::string_view b) {
  const auto as = Split(a, '.');
  const auto bs = Split(b, '.');
  for (std::size_t i = 0; i < std::max(as.size(), bs.size()); ++i) {
    const auto x = i < as.size() ? NumberOf(as[i]) : 0;
    const auto y = i < bs.size() ? NumberOf(bs[i]) : 0;
    if (x != y) return x < y;
  }
  return false;
}

Result<Catalog> ReadCatalog(std::span<const EmbeddedFile> files) {
  Catalog catalog;
  for (const EmbeddedFile& file : files) {
    const auto slash = file.path.find('/');
    if (slash == std::string_view::npos || file.path.substr(slash) != "/runtime.yaml") continue;
    try {
      CML_ASSIGN_OR_RETURN(
          RuntimeDefinition d,
          ReadDefinition(files, file, std::string(file.path.substr(0, slash))));
      catalog.push_back(std::move(d));
    } catch (const YAML::Exception& e) {
      return Error(Code::kInvalidArgument, std::string(file.path) + ": " + e.what());
    }
  }
  std::ranges::sort(catalog, [](const RuntimeDefinition& a, const RuntimeDefinition& b) {
    if (a.ref.name != b.ref.name) return a.ref.name < b.ref.name;
    return IsOlderVersion(b.ref.version, a.ref.version);
  });
  return catalog;
}

Result<RuntimeRef> ResolveRuntime(const Catalog& catalog, std::string_view name,
                                  std::string_view version) {
  const RuntimeDefinition* best = nullptr;
  std::vector<std::string> versions;
  for (const RuntimeDefinition& d : catalog) {  // newest first
    if (!IsCalled(d, name)) continue;
    versions.push_back(d.ref.version);
    if (!version.empty()) {
      if (d.ref.version == version) return d.ref;
      continue;
    }
    if (best == nullptr || (d.is_default && !best->is_default)) best = &d;
  }
  if (best != nullptr) return best->ref;
  if (versions.empty()) {
    return Error(Code::kNotFound, "framework " + Quote(name) + " is not one of: " +
                                      DescribeCatalog(catalog));
  }
  return Error(Code::kNotFound, std::string(name) + " has no version " + Quote(version) +
                                    " here; there is " + Join(versions, ", "));
}

const RuntimeDefinition* FindRuntime(const Catalog& catalog, const RuntimeRef& ref) {
  const auto found = std::ranges::find(catalog, ref, &RuntimeDefinition::ref);
  return found == catalog.end() ? nullptr : &*found;
}

std::string DescribeCatalog(const Catalog& catalog) {
  std::string text, last;
  for (const RuntimeDefinition& d : catalog) {
    if (d.ref.name == last) {
      text += ", ";
    } else {
      text += (text.empty() ? "" : "; ") + d.ref.name + " ";
    }
    last = d.ref.name;
    text += d.ref.version + (d.is_default ? " (default)" : "");
  }
  return text;
}

std::map<std::string, std::string> PinsOf(std::string_view lock) {
  std::map<std::string, std::string> pins;
  for (std::string_view line : Split(lock, '\n')) {
    const auto equals = line.find("==");
    if (equals == std::string_view::npos || line.starts_with(' ') || line.starts_with('#')) continue;
    std::string_view name = line.substr(0, equals);
    name = name.substr(0, name.find('['));
    std::string_view version = line.substr(equals + 2);
    version = version.substr(0, version.find_first_of(" ;\\"));
    pins.emplace(name, version);
  }
  return pins;
}

std::string PinOf(const std::map<std::string, std::string>& pins, const std::string& package) {
  for (const std::string& name : {package, package + "-cpu", package + "-gpu"}) {
    if (const auto found = pins.find(name); found != pins.end()) return found->second;
  }
  return {};
}

}  // namespace cml::backends::local
