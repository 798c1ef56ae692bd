#include "cli/config.h"

#include "base/file.h"
#include "base/strings.h"
#include "cli/yaml.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr const char* kContexts = "xiaomi_cloudml";
constexpr const char* kDefaultContext = "default_config_context";

std::string FirstEnv(const Setting& s, const Terminal& terminal, std::string& source) {
  for (const std::string& name : s.env) {
    if (const auto value = terminal.Env(name)) {
      source = "environment " + name;
      return *value;
    }
  }
  return "";
}

std::string OptionName(const std::string& key) {
  for (const Option& o : GlobalOptions()) {
    if (o.key() == key) return o.names.back();
  }
  return "--" + key;
}

}  // namespace

const std::vector<Setting>& AllSettings() {
  static const std::vector<Setting> kSettings = {
      {"xiaomi_access_key_id",
       {"XIAOMI_ACCESS_KEY_ID", "CLOUDML_ACCESS_KEY"},
       "access_key",
       "access key",
       false,
       true},
      {"xiaomi_secret_access_key",
       {"XIAOMI_SECRET_ACCESS_KEY", "CLOUDML_SECRET_KEY"},
       "secret_key",
       "secret key",
       true,
       true},
      {"xiaomi_cloudml_endpoint",
       {"XIAOMI_CLOUDML_ENDPOINT", "CLOUDML_ENDPOINT"},
       "endpoint",
       "server",
       false,
       false},
      {"xiaomi_org_mail",
       {"XIAOMI_ORG_MAIL", "CLOUDML_ORG_MAIL"},
       "org_mail",
       "organisation's mail",
       false,
       false},
      {"xiaomi_fds_endpoint",
       {"XIAOMI_FDS_ENDPOINT", "CLOUDML_FDS_ENDPOINT"},
       "fds_endpoint_url",
       "object store",
       false,
       true},
      {"cloudml_ca", {"CLOUDML_CA"}, "ca", "trusted authority", false, false},
      {"cloudml_client_certificate",
       {"CLOUDML_CLIENT_CERTIFICATE"},
       "client_certificate",
       "client certificate",
       false,
       false},
      {"cloudml_client_key", {"CLOUDML_CLIENT_KEY"}, "client_key", "its key", false, false},
      {"cloudml_default_fds_bucket",
       {"CLOUDML_DEFAULT_FDS_BUCKET"},
       "",
       "default bucket",
       false,
       false},
      {"xiaomi_hdfs_krb_account",
       {"XIAOMI_HDFS_KRB_ACCOUNT"},
       "",
       "HDFS Kerberos account",
       false,
       true},
      {"xiaomi_hdfs_krb_password",
       {"XIAOMI_HDFS_KRB_PASSWORD"},
       "",
       "HDFS Kerberos password",
       true,
       true},
      {"xiaomi_hdfs_endpoint", {"XIAOMI_HDFS_ENDPOINT"}, "", "HDFS endpoint", false, true},
  };
  return kSettings;
}

std::string Settings::Get(const std::string& key) const {
  const auto it = values.find(key);
  return it == values.end() ? "" : it->second.text;
}

std::string Settings::Source(const std::string& key) const {
  const auto it = values.find(key);
  return it == values.end() ? "" : it->second.source;
}

std::string WithScheme(std::string_view endpoint) {
  std::string url(Trim(endpoint));
  while (url.ends_with('/')) url.pop_back();
  if (!url.empty() && url.find("://") == std::string::npos) url = "https://" + url;
  return url;
}

std::string Settings::endpoint() const { return WithScheme(Get("xiaomi_cloudml_endpoint")); }

std::string Settings::fds_endpoint() const {
  const std::string named = Get("xiaomi_fds_endpoint");
  // Host and port alone, and the server's own: then the scheme is the server's, too.
  if (named.empty() || endpoint().ends_with("://" + named)) return endpoint();
  return WithScheme(named);
}

net::ClientTls Settings::tls() const {
  return {Get("cloudml_ca"), Get("cloudml_client_certificate"), Get("cloudml_client_key")};
}

std::filesystem::path ConfigFile(const Typed& flags, const Terminal& terminal) {
  if (const auto file = flags.Find("config_file")) return *file;
  if (const auto file = terminal.Env("CLOUDML_CONFIG")) return *file;
  return std::filesystem::path(terminal.Env("HOME").value_or("/")) / ".config/xiaomi/config";
}

Result<Document> ReadConfig(const std::filesystem::path& file) {
  auto text = ReadFile(file, 4U << 20);
  if (!text.ok()) {
    if (text.error().code() == Code::kNotFound) return Document::Object();
    return std::move(text).error();
  }
  if (Trim(text.value()).empty()) return Document::Object();
  auto config = ParseYaml(text.value());
  if (!config.ok()) {
    return Error(config.error().code(),
                 "configuration file " + file.string() + ": " + config.error().message());
  }
  if (!config.value().IsObject()) {
    return Error(Code::kInvalidArgument,
                 "configuration file " + file.string() + ": not a map of names to values");
  }
  return config;
}

Status WriteConfig(const std::filesystem::path& file, const Document& config) {
  if (file.has_parent_path()) CML_RETURN_IF_ERROR(MakeFolders(file.parent_path()));
  // A link (dotfiles kept elsewhere) stays a link: what it points at is replaced.
  std::error_code error;
  const auto target = std::filesystem::weakly_canonical(file, error);
  return WriteFileAtomically(error ? file : target, config.Pretty() + "\n", 0600);
}

std::vector<std::string> ContextNames(const Document& config) {
  std::vector<std::string> names;
  for (const auto& [name, value] : config.Get(kContexts).Fields()) {
    if (value.IsObject()) names.push_back(name);
  }
  return names;
}

Result<std::string> ChooseContext(const Document& config, const std::string& wanted) {
  const std::vector<std::string> names = ContextNames(config);
  std::string name = wanted;
  if (name.empty()) name = config.Get(kContexts).Get(kDefaultContext).Str();
  if (name.empty()) {
    if (names.size() == 1) return names[0];
    if (names.empty()) return std::string();
    return Error(Code::kInvalidArgument,
                 "the configuration has several contexts and no default: " + Join(names, ", ") +
                     "\nchoose one with -k NAME, or for good: cloudml config set_default NAME");
  }
  for (const std::string& n : names) {
    if (n == name) return name;
  }
  const std::string close = ClosestMatch(name, names);
  return Error(Code::kInvalidArgument, "no context " + Quote(name) + " in the configuration" +
                                           (close.empty() ? "" : "; did you mean " + close + "?") +
                                           (names.empty() ? "\nmake one: cloudml config init"
                                                          : "\nthere are: " + Join(names, ", ")));
}

Result<Settings> ResolveSettings(const Typed& flags, const Terminal& terminal) {
  Settings settings;
  settings.file = ConfigFile(flags, terminal);
  std::string wanted = flags.Get("context");
  for (const char* name : {"XIAOMI_CLOUDML_CONFIG_CONTEXT", "CLOUDML_CONTEXT"}) {
    if (wanted.empty()) wanted = terminal.Env(name).value_or("");
  }
  CML_ASSIGN_OR_RETURN(const Document config, ReadConfig(settings.file));
  CML_ASSIGN_OR_RETURN(settings.context, ChooseContext(config, wanted));
  const Document context =
      settings.context.empty() ? Document() : config.Get(kContexts).Get(settings.context);

  for (const Setting& s : AllSettings()) {
    Value value;
    if (!s.flag.empty() && flags.Has(s.flag)) {
      value = {flags.Get(s.flag), "option " + OptionName(s.flag)};
    } else if (value.text = FirstEnv(s, terminal, value.source); value.text.empty()) {
      if (const std::string text = context.Get(s.key).Text(); !text.empty()) {
        value = {text, "context " + settings.context};
      } else if (const std::string root = config.Get(s.key).Text(); !root.empty()) {
        value = {root, "file"};
      }
    }
    if (!value.text.empty()) settings.values[s.key] = std::move(value);
  }
  return settings;
}

std::string Mask(std::string_view secret) {
  if (secret.size() < 12) return secret.empty() ? "" : "****";
  return "****" + std::string(secret.substr(secret.size() - 4));
}

}  // namespace cml::cli
