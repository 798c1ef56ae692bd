#include "backends/local/package_sources.h"

#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

std::string ValueOf(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(text) + ' ') {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  return words;
}

// "default-timeout", "DEFAULT_TIMEOUT" → the same.
std::string NameOf(std::string_view name) {
  std::string out = ToLower(Trim(name));
  std::ranges::replace(out, '_', '-');
  return out;
}

void ReadInto(const fs::path& path, Variables& settings) {
  const auto text = ReadFile(path, 1 << 20);
  if (!text.ok()) return;
  for (auto& [name, value] : ParsePipConfig(text.value())) settings[name] = value;
}

Variables PipSettings(const Variables& environment) {
  Variables settings;
  const fs::path home = ValueOf(environment, "HOME");
  const std::string own = ValueOf(environment, "PIP_CONFIG_FILE");
  if (own != "/dev/null") {
    ReadInto("/etc/pip.conf", settings);
    ReadInto("/etc/xdg/pip/pip.conf", settings);
    if (!home.empty()) {
      const std::string xdg = ValueOf(environment, "XDG_CONFIG_HOME");
      ReadInto(home / ".pip/pip.conf", settings);
      ReadInto((xdg.empty() ? home / ".config" : fs::path(xdg)) / "pip/pip.conf", settings);
    }
    if (!own.empty()) ReadInto(own, settings);
  }
  for (const auto& [name, value] : environment) {
    if (name.starts_with("PIP_")) settings[NameOf(std::string_view(name).substr(4))] = value;
  }
  return settings;
}

bool IsAddress(std::string_view text) { return text.find("://") != std::string_view::npos; }

bool HasCredentials(std::string_view text) {
  const auto start = text.find("://");
  if (start == std::string_view::npos) return false;
  const std::string_view rest = text.substr(start + 3);
  return rest.substr(0, rest.find('/')).find('@') != std::string_view::npos;
}

bool IsEverywhere(const fs::path& path) {  // part of what every sandbox shows
  const std::string text = path.string();
  return text.starts_with("/usr/") || text.starts_with("/etc/");
}

std::string Keep(const std::vector<std::string>& words, std::string_view between,
                 bool (*drop)(std::string_view)) {
  std::vector<std::string> kept;
  for (const std::string& word : words) {
    if (!drop(word)) kept.push_back(word);
  }
  return Join(kept, between);
}

// uv stops at a folder that is not there, pip does not.
bool IsMissingFolder(std::string_view link) {
  std::error_code error;
  if (link.starts_with("file://")) link.remove_prefix(7);
  return !IsAddress(link) && !fs::exists(fs::path(link), error);
}

}  // namespace

Variables ParsePipConfig(std::string_view text) {
  Variables global, install;
  Variables* section = nullptr;
  std::string* value = nullptr;
  for (const std::string_view raw : Split(text, '\n')) {
    const std::string_view line = Trim(raw);
    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[')) {
      section = line == "[global]" ? &global : line == "[install]" ? &install : nullptr;
      value = nullptr;
      continue;
    }
    const bool continued = raw.starts_with(' ') || raw.starts_with('\t');
    if (continued && value != nullptr) {
      *value += (value->empty() ? "" : " ") + std::string(line);
      continue;
    }
    const auto equals = line.find_first_of("=:");
    if (section == nullptr || equals == std::string_view::npos) continue;
    value = &(*section)[NameOf(line.substr(0, equals))];
    *value = std::string(Trim(line.substr(equals + 1)));
  }
  for (auto& [name, setting] : install) global[name] = setting;
  return global;
}

PackageSources FindPackageSources(const Variables& environment) {
  PackageSources sources;
  for (const auto& [name, value] : environment) {
    const std::string lower = ToLower(name);
    if (name.starts_with("UV_") || name.starts_with("SSL_") || lower.ends_with("_proxy")) {
      sources.env[name] = value;
    }
  }
  const Variables pip = PipSettings(environment);
  const auto translate = [&](const char* setting, const char* variable) {
    const std::string value = ValueOf(pip, setting);
    if (!value.empty()) sources.env.emplace(variable, value);
  };
  if (!sources.env.contains("UV_INDEX_URL")) translate("index-url", "UV_DEFAULT_INDEX");
  translate("trusted-host", "UV_INSECURE_HOST");
  translate("cert", "SSL_CERT_FILE");
  translate("client-cert", "SSL_CLIENT_CERT");
  translate("proxy", "ALL_PROXY");
  translate("timeout", "UV_HTTP_TIMEOUT");
  translate("default-timeout", "UV_HTTP_TIMEOUT");
  if (const auto more = ValueOf(pip, "extra-index-url");
      !more.empty() && !sources.env.contains("UV_EXTRA_INDEX_URL")) {
    sources.env.emplace("UV_INDEX", Join(WordsOf(more), " "));
    // pip takes the best version of all indexes; the hashes of the locks hold in any case.
    sources.env.emplace("UV_INDEX_STRATEGY", "unsafe-best-match");
  }
  const auto links = Keep(WordsOf(ValueOf(pip, "find-links")), ",", IsMissingFolder);
  if (!links.empty()) sources.env.emplace("UV_FIND_LINKS", links);
  const std::string no_index = ToLower(ValueOf(pip, "no-index"));
  if (no_index == "1" || no_index == "true" || no_index == "yes" || no_index == "on") {
    sources.arguments.emplace_back("--no-index");
  }
  for (const char* name : {"SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"}) {
    const fs::path path = ValueOf(sources.env, name);
    std::error_code error;
    if (!path.empty() && !IsEverywhere(path) && fs::exists(path, error)) {
      sources.mounts.push_back(path);
    }
  }
  const std::string all_links = ValueOf(sources.env, "UV_FIND_LINKS");
  for (const std::string_view link : Split(all_links, ',')) {
    if (link.starts_with('/') && !IsEverywhere(link)) sources.mounts.emplace_back(link);
  }
  return sources;
}

PackageSources ForJobs(const PackageSources& sources) {
  PackageSources out;
  out.arguments = sources.arguments;
  // What a job needs to fetch a package, and no more: tokens and passwords are variables as well.
  static constexpr std::string_view kKnown[] = {
      "UV_DEFAULT_INDEX", "UV_INDEX_URL",  "UV_INDEX",         "UV_EXTRA_INDEX_URL",
      "UV_FIND_LINKS",    "UV_NO_INDEX",   "UV_INDEX_STRATEGY", "UV_INSECURE_HOST",
      "UV_HTTP_TIMEOUT",  "SSL_CERT_FILE", "SSL_CERT_DIR",     "UV_NATIVE_TLS",
      "UV_SYSTEM_CERTS"};
  for (const auto& [name, value] : sources.env) {
    const bool proxy = ToLower(name).ends_with("_proxy");
    if (!proxy && std::ranges::find(kKnown, name) == std::end(kKnown)) continue;
    const bool commas = name == "UV_FIND_LINKS";
    std::string words = value;
    if (commas) std::ranges::replace(words, ',', ' ');
    const std::string kept = Keep(WordsOf(words), commas ? "," : " ", HasCredentials);
    if (!kept.empty()) out.env[name] = kept;
  }
  const std::string client_cert = ValueOf(sources.env, "SSL_CLIENT_CERT");
  for (const fs::path& path : sources.mounts) {
    if (path != client_cert) out.mounts.push_back(path);
  }
  return out;
}

}  // namespace cml::backends::local
