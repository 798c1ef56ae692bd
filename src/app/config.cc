#include "app/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <functional>

#include "app/price_config.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/quantity.h"

namespace cml::app {
namespace {

using Setter = std::function<Status(const YAML::Node&)>;

Error Wrong(std::string_view key, std::string_view rule) {
  return Error(Code::kInvalidArgument, fmt::format("{}: {}", key, rule));
}

Setter Text(std::string key, std::string& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    if (!n.IsScalar()) return Wrong(key, "a text is expected");
    into = n.Scalar();
    return Ok{};
  };
}

template <class Number>
Setter Integer(std::string key, Number& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    const auto number = n.IsScalar() ? ParseInt(n.Scalar()) : std::nullopt;
    if (!number || *number < 0 || *number > 2'000'000'000) return Wrong(key, "a whole number is expected");
    into = static_cast<Number>(*number);
    return Ok{};
  };
}

Setter TextList(std::string key, std::vector<std::string>& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    if (!n.IsSequence()) return Wrong(key, "a list is expected");
    for (const YAML::Node& entry : n) into.push_back(entry.Scalar());
    return Ok{};
  };
}

Setter TextMap(std::string key, std::map<std::string, std::string>& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    if (!n.IsMap()) return Wrong(key, "names and values are expected");
    for (const auto& entry : n) into[entry.first.Scalar()] = entry.second.Scalar();
    return Ok{};
  };
}

Setter Checked(std::string key, std::string& into, Result<std::int64_t> (*parse)(std::string_view, std::string_view)) {
  return [key = std::move(key), &into, parse](const YAML::Node& n) -> Status {
    CML_ASSIGN_OR_RETURN([[maybe_unused]] const auto amount, parse(key, n.IsScalar() ? n.Scalar() : ""));
    into = n.Scalar();
    return Ok{};
  };
}

Setter Amount(std::string key, std::int64_t& into, Result<std::int64_t> (*parse)(std::string_view, std::string_view)) {
  return [key = std::move(key), &into, parse](const YAML::Node& n) -> Status {
    CML_ASSIGN_OR_RETURN(into, parse(key, n.IsScalar() ? n.Scalar() : ""));
    return Ok{};
  };
}

Setter Level(LogLevel& into) {
  return [&into](const YAML::Node& n) -> Status {
    const std::pair<const char*, LogLevel> levels[] = {{"debug", LogLevel::kDebug},
                                                       {"info", LogLevel::kInfo},
                                                       {"warning", LogLevel::kWarning},
                                                       {"error", LogLevel::kError}};
    for (const auto& [name, level] : levels) {
      if (n.IsScalar() && n.Scalar() == name) {
        into = level;
        return Ok{};
      }
    }
    return Wrong("log_level", "debug, info, warning or error");
  };
}

Setter NetworkOfJobs(Config::Network& into) {
  return [&into](const YAML::Node& n) -> Status {
    const std::pair<const char*, Config::Network> choices[] = {{"auto", Config::Network::kBest},
                                                               {"organisation", Config::Network::kOrganisation},
                                                               {"host", Config::Network::kHost}};
    for (const auto& [name, choice] : choices) {
      if (n.IsScalar() && n.Scalar() == name) {
        into = choice;
        return Ok{};
      }
    }
    return Wrong("network", "auto, organisation or host");
  };
}

Status Apply(const YAML::Node& root, Config& c) {
  std::string environments;
  const std::map<std::string, Setter> setters = {
      {"listen", [&c](const YAML::Node& n) { return ParseListen(n.IsScalar() ? n.Scalar() : "", c); }},
      {"public_endpoints", TextList("public_endpoints", c.public_endpoints)},
      {"package_hosts", TextList("package_hosts", c.package_hosts)},
      {"default_cpu", Checked("default_cpu", c.default_cpu, ParseCpu)},
      {"default_memory", Checked("default_memory", c.default_memory, ParseMemory)},
      {"capacity_cpu", Amount("capacity_cpu", c.capacity.millicores, ParseCpu)},
      {"capacity_memory", Amount("capacity_memory", c.capacity.memory_bytes, ParseMemory)},
      {"fake_gpus", Integer("fake_gpus", c.fake_gpus)},
      {"node_name", Text("node_name", c.node_name)},
      {"node_labels", TextMap("node_labels", c.node_labels)},
      {"network", NetworkOfJobs(c.network)},
      {"environments_folder", Text("environments_folder", environments)},
      {"first_uid", Integer("first_uid", c.first_uid)},
      {"log_level", Level(c.log_level)},
      {"prices", [&c](const YAML::Node& n) { return ReadPrices(n, c.prices); }},
  };
  if (root.IsNull()) return Ok{};
  if (!root.IsMap()) return Error(Code::kInvalidArgument, "keys and values are expected");
  for (const auto& entry : root) {
    const std::string key = entry.first.Scalar();
    const auto setter = setters.find(key);
    if (setter == setters.end()) {
      std::vector<std::string> names;
      for (const auto& [name, s] : setters) names.push_back(name);
      return Wrong(key, "there is no such setting; there are " + Join(names, ", "));
    }
    CML_RETURN_IF_ERROR(setter->second(entry.second));
  }
  if (!environments.empty()) c.environments_folder = environments;
  return Ok{};
}

}  // namespace

Status ReadConfig(const std::filesystem::path& file, Config& into) {
  CML_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 1 << 20));
  try {
    const Status applied = Apply(YAML::Load(text), into);
    if (applied.ok()) return Ok{};
    return Error(applied.error().code(), file.string() + ": " + applied.error().message());
  } catch (const YAML::Exception& e) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{}: line {}: {}", file.string(), e.mark.line + 1, e.msg));
  }
}

Status ParseListen(const std::string& text, Config& into) {
  const auto colon = text.rfind(':');
  const auto port = colon == std::string::npos ? std::nullopt : ParseUnsigned(std::string_view(text).substr(colon + 1));
  std::string address = text.substr(0, colon == std::string::npos ? 0 : colon);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  if (!port || *port > 65535) {
    return Error(Code::kInvalidArgument, "listen " + Quote(text) + ": ADDRESS:PORT, for instance 127.0.0.1:8089; port 0 takes any free one");
  }
  into.listen_address = address.empty() ? "0.0.0.0" : address;
  into.listen_port = static_cast<std::uint16_t>(*port);
  return Ok{};
}

std::filesystem::path DefaultDataFolder() {
  if (const char* named = std::getenv("CLOUDML_DATA"); named && *named) return named;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home && *home ? home : "/") / ".cloudml";
}

}  // namespace cml::app
