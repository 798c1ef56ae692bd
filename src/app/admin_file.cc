#include "app/admin_file.h"

#include "base/file.h"
#include "base/log.h"
#include "codec/document.h"

namespace cml::app {
namespace {

using codec::Document;

constexpr std::string_view kContext = "default";
constexpr std::string_view kEndpoint = "xiaomi_cloudml_endpoint";
constexpr std::string_view kStoreEndpoint = "xiaomi_fds_endpoint";

Status Write(const std::filesystem::path& file, const Document& document) {
  return WriteFileAtomically(file, document.Pretty() + "\n", 0600);
}

Document NewFile(const service::Orgs::NewKey& key) {
  Document context = Document::Object();
  context.Set("xiaomi_access_key_id", key.access_key.str());
  context.Set("xiaomi_secret_access_key", key.secret.Reveal());
  context.Set("xiaomi_org_mail", "admin@localhost");
  context.Set("cloudml_default_fds_bucket", "default");
  Document contexts = Document::Object();
  contexts.Set("default_config_context", kContext);
  contexts.Set(kContext, context);
  Document root = Document::Object();
  root.Set("xiaomi_access_key_id", key.access_key.str());
  root.Set("xiaomi_secret_access_key", key.secret.Reveal());
  root.Set("xiaomi_cloudml", contexts);
  return root;
}

std::string WithoutScheme(const std::string& url) {
  const auto at = url.find("://");
  return at == std::string::npos ? url : url.substr(at + 3);
}

}  // namespace

Status EnsureAdminFile(const std::filesystem::path& file, const std::string& endpoint,
                       const OrgId& org, service::Orgs& orgs) {
  Document root;
  auto text = ReadFile(file, 1 << 20);
  if (text.ok()) {
    auto parsed = Document::Parse(text.value());
    if (!parsed.ok()) {
      return Error(Code::kInvalidArgument, file.string() + ": " + parsed.error().message() +
                                               "; repair it, or remove it and get a new key");
    }
    root = std::move(parsed).value();
    if (root.Get(kEndpoint).Str() == endpoint) return Ok{};
  } else if (text.error().code() == Code::kNotFound) {
    CML_ASSIGN_OR_RETURN(const auto made, orgs.MakeAdministratorKey(org));
    for (const AccessKey& old : made.disabled) {
      LogWarning("the administrator's key of a lost admin.json is disabled", {{"access_key", old.str()}});
    }
    LogInfo("a new administrator's key is in admin.json", {{"access_key", made.key.access_key.str()}});
    root = NewFile(made.key);
  } else {
    return std::move(text).error();
  }
  Document contexts = root.Get("xiaomi_cloudml");
  Document context = contexts.Get(kContext);
  context.Set(kEndpoint, endpoint);
  contexts.Set(kContext, context);
  root.Set("xiaomi_cloudml", contexts);
  root.Set(kEndpoint, endpoint);
  root.Set(kStoreEndpoint, WithoutScheme(endpoint));
  return Write(file, root);
}

}  // namespace cml::app
