#include "app/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <functional>

#include "app/price_config.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/quantity.h"
#include "core/quota_change.h"

namespace cml::app {
namespace {

using Setter = std::function<Status(const YAML::Node&)>;
using Setters = std::map<std::string, Setter>;

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

// Within a section, `key` is the section's name and a dot.
Status ApplySetters(const YAML::Node& root, const Setters& setters, const std::string& prefix) {
  if (!root.IsMap()) {
    return prefix.empty() ? Error(Code::kInvalidArgument, "keys and values are expected")
                          : Wrong(prefix.substr(0, prefix.size() - 1), "keys and values are expected");
  }
  for (const auto& entry : root) {
    const std::string key = entry.first.Scalar();
    const auto setter = setters.find(key);
    if (setter == setters.end()) {
      std::vector<std::string> names;
      for (const auto& [name, s] : setters) names.push_back(name);
      return Wrong(prefix + key, "there is no such setting; there are " + Join(names, ", "));
    }
    CML_RETURN_IF_ERROR(setter->second(entry.second));
  }
  return Ok{};
}

Setter File(std::string key, std::filesystem::path& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    if (!n.IsScalar() || n.Scalar().empty()) return Wrong(key, "a file is expected");
    into = std::filesystem::absolute(n.Scalar());
    return Ok{};
  };
}

Setter Seconds(std::string key, std::chrono::milliseconds& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    const auto number = n.IsScalar() ? ParseInt(n.Scalar()) : std::nullopt;
    if (!number || *number < 1 || *number > 86'400) return Wrong(key, "a number of seconds from 1 to 86400 is expected");
    into = std::chrono::seconds(*number);
    return Ok{};
  };
}

template <class Choice>
Setter OneOf(std::string key, Choice& into, std::vector<std::pair<std::string, Choice>> choices) {
  return [key = std::move(key), &into, choices = std::move(choices)](const YAML::Node& n) -> Status {
    std::vector<std::string> names;
    for (const auto& [name, choice] : choices) {
      if (n.IsScalar() && n.Scalar() == name) {
        into = choice;
        return Ok{};
      }
      names.push_back(name);
    }
    return Wrong(key, "one of " + Join(names, ", ") + " is expected");
  };
}

Setter TlsSection(std::optional<net::TlsOptions>& into) {
  return [&into](const YAML::Node& n) -> Status {
    using Clients = net::TlsOptions::ClientCertificates;
    using Minimum = net::TlsOptions::Minimum;
    net::TlsOptions tls;
    CML_RETURN_IF_ERROR(ApplySetters(
        n,
        {{"certificate", File("tls.certificate", tls.certificate)},
         {"key", File("tls.key", tls.key)},
         {"client_ca", File("tls.client_ca", tls.client_ca)},
         {"client_certificates", OneOf<Clients>("tls.client_certificates", tls.client_certificates,
                                                {{"none", Clients::kNone},
                                                 {"optional", Clients::kOptional},
                                                 {"required", Clients::kRequired}})},
         {"minimum", OneOf<Minimum>("tls.minimum", tls.minimum,
                                    {{"1.2", Minimum::kTls12}, {"1.3", Minimum::kTls13}})}},
        "tls."));
    CML_RETURN_IF_ERROR(net::CheckTlsOptions(tls));
    into = tls;
    return Ok{};
  };
}

Setter HttpSection(net::ServerOptions& o) {
  return [&o](const YAML::Node& n) -> Status {
    CML_RETURN_IF_ERROR(ApplySetters(
        n,
        {{"max_connections", Integer("http.max_connections", o.most_connections)},
         {"max_connections_per_address", Integer("http.max_connections_per_address", o.most_per_address)},
         {"max_head_bytes", Integer("http.max_head_bytes", o.most_head)},
         {"head_seconds", Seconds("http.head_seconds", o.head_time)},
         {"body_seconds", Seconds("http.body_seconds", o.body_progress_time)},
         {"idle_seconds", Seconds("http.idle_seconds", o.idle_time)},
         {"write_seconds", Seconds("http.write_seconds", o.write_time)},
         {"min_bytes_per_second", Integer("http.min_bytes_per_second", o.least_rate)}},
        "http."));
    if (o.most_connections < 1) return Wrong("http.max_connections", "at least 1 is expected");
    if (o.most_head < 4096 || o.most_head > 1 << 20) {
      return Wrong("http.max_head_bytes", "4096 to 1048576 is expected");
    }
    return Ok{};
  };
}

Setter Rate(std::string key, double& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    double number = -1;
    if (!n.IsScalar() || !YAML::convert<double>::decode(n, number) || !(number >= 0) || number > 1e9) {
      return Wrong(key, "a number from 0 (no limit) on is expected");
    }
    into = number;
    return Ok{};
  };
}

Setter RateLimitSection(api::FrontOptions& front) {
  return [&front](const YAML::Node& n) -> Status {
    return ApplySetters(n,
                        {{"requests_per_second", Rate("rate_limit.requests_per_second", front.per_key.per_second)},
                         {"burst", Rate("rate_limit.burst", front.per_key.burst)},
                         {"refused_per_second", Rate("rate_limit.refused_per_second", front.refused.per_second)},
                         {"refused_burst", Rate("rate_limit.refused_burst", front.refused.burst)}},
                        "rate_limit.");
  };
}

Setter TextList(std::string key, std::vector<std::string>& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    if (!n.IsSequence()) return Wrong(key, "a list is expected");
    for (const YAML::Node& entry : n) into.push_back(entry.Scalar());
    return Ok{};
  };
}

Setter WebhooksSection(std::vector<net::AddressRange>& allow) {
  return [&allow](const YAML::Node& n) -> Status {
    std::vector<std::string> texts;
    CML_RETURN_IF_ERROR(ApplySetters(n, {{"allow", TextList("webhooks.allow", texts)}}, "webhooks."));
    allow.clear();
    for (const std::string& text : texts) {
      const auto range = net::ParseAddressRange(text);
      if (!range) return Wrong("webhooks.allow", Quote(text) + ": an address or a range of them, for instance 10.1.0.0/16");
      allow.push_back(*range);
    }
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

// Fields of the quota object (cloud_ml v1, 11.1) and their values.
Setter Limits(std::string key, Quota& into) {
  return [key = std::move(key), &into](const YAML::Node& n) -> Status {
    if (!n.IsMap()) return Wrong(key, "fields of a quota and their values are expected, for instance train_gpu_quota: 8");
    for (const auto& entry : n) {
      const std::string name = entry.first.Scalar();
      const QuotaField* field = nullptr;
      std::vector<std::string> names;
      for (const QuotaField& f : AllQuotaFields()) {
        names.push_back(NameOf(f));
        if (names.back() == name) field = &f;
      }
      if (field == nullptr) return Wrong(key + "." + name, "there is no such field; there are " + Join(names, ", "));
      const auto value = ParseQuotaValue(*field, entry.second.IsScalar() ? entry.second.Scalar() : "");
      if (!value.ok()) return Error(value.error().code(), key + "." + value.error().message());
      into = Changed(into, {{*field, value.value()}});
    }
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
  const Setters setters = {
      {"listen", [&c](const YAML::Node& n) { return ParseListen(n.IsScalar() ? n.Scalar() : "", c); }},
      {"public_endpoints", TextList("public_endpoints", c.public_endpoints)},
      {"package_hosts", TextList("package_hosts", c.package_hosts)},
      {"default_cpu", Checked("default_cpu", c.default_cpu, ParseCpu)},
      {"default_memory", Checked("default_memory", c.default_memory, ParseMemory)},
      {"default_quota", Limits("default_quota", c.default_quota)},
      {"capacity_cpu", Amount("capacity_cpu", c.capacity.millicores, ParseCpu)},
      {"capacity_memory", Amount("capacity_memory", c.capacity.memory_bytes, ParseMemory)},
      {"fake_gpus", Integer("fake_gpus", c.fake_gpus)},
      {"node_name", Text("node_name", c.node_name)},
      {"node_labels", TextMap("node_labels", c.node_labels)},
      {"network", NetworkOfJobs(c.network)},
      {"environments_folder", Text("environments_folder", environments)},
      {"first_uid", Integer("first_uid", c.first_uid)},
      {"log_level", Level(c.log_level)},
      {"log_format", OneOf<LogFormat>("log_format", c.log_format, {{"text", LogFormat::kText}, {"json", LogFormat::kJson}})},
      {"log_requests", OneOf<api::LogRequests>("log_requests", c.front.log,
                                               {{"none", api::LogRequests::kNone},
                                                {"changes", api::LogRequests::kChanges},
                                                {"all", api::LogRequests::kAll}})},
      {"rate_limit", RateLimitSection(c.front)},
      {"webhooks", WebhooksSection(c.webhook_allow)},
      {"http", HttpSection(c.http)},
      {"tls", TlsSection(c.http.tls)},
      {"prices", [&c](const YAML::Node& n) { return ReadPrices(n, c.prices); }},
  };
  if (root.IsNull()) return Ok{};
  CML_RETURN_IF_ERROR(ApplySetters(root, setters, ""));
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
