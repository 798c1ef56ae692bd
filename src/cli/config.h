// cli/config.h — which server, with which keys: flags, then the environment, then a context of the
// configuration file, then the file's root (cloud_ml v1, section 3).
//
// Plain values; the file is read when asked for and written whole (mode 0600). Its other keys stay
// as they are. Codes: kInvalidArgument (not readable as YAML or JSON, no such context), those of
// base/file.h.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "codec/document.h"
#include "net/http_client.h"

namespace cml::cli {

// One thing that can be set, and its names.
struct Setting {
  std::string key;               // in the file, "xiaomi_access_key_id"
  std::vector<std::string> env;  // the first that is set counts
  std::string flag;              // key of a global option; empty: none
  std::string label;             // for people
  bool secret = false;
  bool at_root = false;  // lives at the file's root (shared with the object store's tools)
};
const std::vector<Setting>& AllSettings();

struct Value {
  std::string text;
  std::string source;  // "flag --endpoint", "environment XIAOMI_ORG_MAIL", "context prod"
};

class Settings {
 public:
  // Empty when it is set nowhere.
  std::string Get(const std::string& key) const;
  std::string Source(const std::string& key) const;

  std::string endpoint() const;      // with its scheme, without a final '/'; empty: not configured
  std::string fds_endpoint() const;  // likewise; that of the server when there is none
  std::string access_key() const { return Get("xiaomi_access_key_id"); }
  Secret secret_key() const { return Secret(Get("xiaomi_secret_access_key")); }
  net::ClientTls tls() const;
  std::string default_bucket() const { return Get("cloudml_default_fds_bucket"); }

  std::filesystem::path file;
  std::string context;  // chosen; empty: the file's root alone
  std::map<std::string, Value> values;
};

std::filesystem::path ConfigFile(const Typed& flags, const Terminal& terminal);
// An empty object when there is no file.
Result<codec::Document> ReadConfig(const std::filesystem::path& file);
Status WriteConfig(const std::filesystem::path& file, const codec::Document& config);
std::vector<std::string> ContextNames(const codec::Document& config);
// The context that counts: `wanted`, else the file's default, else the only one; empty: none.
Result<std::string> ChooseContext(const codec::Document& config, const std::string& wanted);
Result<Settings> ResolveSettings(const Typed& flags, const Terminal& terminal);

// "AKIA…9QX2": enough to recognise it.
std::string Mask(std::string_view secret);
std::string WithScheme(std::string_view endpoint);

}  // namespace cml::cli
