// The configuration file: who we are, and for which server.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "cli/config.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "cli/s3.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr const char* kContexts = "xiaomi_cloudml";
constexpr const char* kDefaultContext = "default_config_context";

Outcome ShowConfig(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  CML_ASSIGN_OR_RETURN(const Document file, ReadConfig(settings->file));
  const std::vector<std::string> names = ContextNames(file);
  const auto shown = [&](const Setting& s) {
    const std::string text = settings->Get(s.key);
    return s.secret ? Mask(text) : text;
  };
  if (OutputFormat(typed) == Format::kJson) {
    Document out =
        Document::Object().Set("file", settings->file.string()).Set("context", settings->context);
    Document contexts = Document::Array(), values = Document::Object();
    for (const std::string& n : names) contexts.Append(Document::String(n));
    for (const Setting& s : AllSettings()) {
      if (settings->Get(s.key).empty()) continue;
      values.Set(s.key,
                 Document::Object().Set("value", shown(s)).Set("from", settings->Source(s.key)));
    }
    context.PrintJson(out.Set("contexts", contexts).Set("settings", values));
    return ExitCode::kOk;
  }
  std::string text = "file      " + settings->file.string() + "\n";
  if (!names.empty()) {
    text += "contexts  ";
    for (const std::string& n : names) text += n + (n == settings->context ? "* " : " ");
    text += "(* is used; another one: -k NAME)\n";
  }
  Table table({{"SETTING"}, {"VALUE"}, {"FROM"}});
  for (const Setting& s : AllSettings()) {
    if (!settings->Get(s.key).empty())
      table.Add({{s.label}, {shown(s)}, {settings->Source(s.key)}});
  }
  context.Out(text);
  if (table.empty()) {
    context.Err("nothing is configured yet: cloudml config init\n");
  } else {
    context.Out("\n" + table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

// ---- init

struct Answers {
  std::string context, endpoint, access_key, secret_key, org_mail, fds_endpoint, bucket;
  std::string ca, client_certificate, client_key;  // files; never asked for
};

class Questions {
 public:
  explicit Questions(Context& context) : context_(context) {}

  // An empty answer takes `preset`; without one it is asked again.
  enum class Need { kMust, kMay };
  Status Ask(const std::string& question, std::string& value, Need need, Echo echo = Echo::kShown) {
    while (true) {
      std::string prompt = question;
      if (!value.empty()) prompt += " [" + (echo == Echo::kHidden ? Mask(value) : value) + "]";
      const auto line = context_.terminal().ReadLine(prompt + ": ", echo);
      if (!line)
        return Error(Code::kInvalidArgument,
                     "the input ended before all questions were answered\n"
                     "without questions: cloudml config init --endpoint URL --access-key KEY "
                     "--secret-key KEY");
      const std::string answer(Trim(*line));
      if (!answer.empty()) value = answer;
      if (!value.empty() || need == Need::kMay) return Ok{};
      context_.Err("an answer is needed here\n");
    }
  }

 private:
  Context& context_;
};

Status AskAll(Context& context, Answers& a) {
  Questions q(context);
  using Need = Questions::Need;
  CML_RETURN_IF_ERROR(q.Ask("name of this context", a.context, Need::kMust));
  CML_RETURN_IF_ERROR(q.Ask("server, for instance http://127.0.0.1:8089", a.endpoint, Need::kMust));
  CML_RETURN_IF_ERROR(q.Ask("access key", a.access_key, Need::kMust));
  CML_RETURN_IF_ERROR(q.Ask("secret key (not shown)", a.secret_key, Need::kMust, Echo::kHidden));
  CML_RETURN_IF_ERROR(
      q.Ask("mail address of the organisation (may be empty)", a.org_mail, Need::kMay));
  CML_RETURN_IF_ERROR(
      q.Ask("object store (empty: that of the server)", a.fds_endpoint, Need::kMay));
  return q.Ask("default bucket (empty: default)", a.bucket, Need::kMay);
}

// The file is named where it is typed, and read from anywhere.
std::string AbsoluteFile(const Typed& flags, const char* key) {
  const std::string typed = flags.Get(key);
  return typed.empty() ? "" : std::filesystem::absolute(typed).lexically_normal().string();
}

Answers FromFlags(const Context& context, const Typed& typed, const Document& file) {
  const Typed& flags = context.flags();
  Answers a{flags.Get("context"),
            flags.Get("endpoint"),
            flags.Get("access_key"),
            flags.Get("secret_key"),
            flags.Get("org_mail"),
            flags.Get("fds_endpoint_url"),
            typed.Get("bucket"),
            AbsoluteFile(flags, "ca"),
            AbsoluteFile(flags, "client_certificate"),
            AbsoluteFile(flags, "client_key")};
  if (a.context.empty()) {
    const auto chosen = ChooseContext(file, "");
    a.context = chosen.ok() && !chosen.value().empty() ? chosen.value() : "default";
  }
  // What is there already is what an empty answer keeps.
  const Document old = file.Get(kContexts).Get(a.context);
  const auto preset = [&](std::string& value, const char* key) {
    if (value.empty()) value = old.Get(key).Text();
  };
  preset(a.endpoint, "xiaomi_cloudml_endpoint");
  preset(a.access_key, "xiaomi_access_key_id");
  preset(a.secret_key, "xiaomi_secret_access_key");
  preset(a.org_mail, "xiaomi_org_mail");
  preset(a.bucket, "cloudml_default_fds_bucket");
  preset(a.ca, "cloudml_ca");
  preset(a.client_certificate, "cloudml_client_certificate");
  preset(a.client_key, "cloudml_client_key");
  if (a.fds_endpoint.empty()) a.fds_endpoint = file.Get("xiaomi_fds_endpoint").Text();
  return a;
}

Document Merged(const Document& file, const Answers& a) {
  Document config = file;
  Document contexts = config.Get(kContexts);
  Document one = contexts.Get(a.context);
  const auto set = [](Document& into, const char* key, const std::string& value) {
    value.empty() ? into.Remove(key) : into.Set(key, value);
  };
  one.Set("xiaomi_cloudml_endpoint", a.endpoint);
  one.Set("xiaomi_access_key_id", a.access_key);
  one.Set("xiaomi_secret_access_key", a.secret_key);
  set(one, "xiaomi_org_mail", a.org_mail);
  set(one, "cloudml_default_fds_bucket", a.bucket);
  set(one, "cloudml_ca", a.ca);
  set(one, "cloudml_client_certificate", a.client_certificate);
  set(one, "cloudml_client_key", a.client_key);
  contexts.Set(a.context, one);
  if (contexts.Get(kDefaultContext).Str().empty()) contexts.Set(kDefaultContext, a.context);
  config.Set(kContexts, contexts);
  // The object store's own tools read these at the root; what they have is not ours to change.
  if (config.Get("xiaomi_access_key_id").Text().empty()) {
    config.Set("xiaomi_access_key_id", a.access_key);
    config.Set("xiaomi_secret_access_key", a.secret_key);
  }
  if (!a.fds_endpoint.empty()) config.Set("xiaomi_fds_endpoint", a.fds_endpoint);
  return config;
}

// Do these keys open that server? (cloud_ml v1, section 3)
Status TryOut(Context& context, const Answers& a) {
  Settings settings;
  settings.values["xiaomi_cloudml_endpoint"] = {a.endpoint, "what you gave"};
  settings.values["xiaomi_access_key_id"] = {a.access_key, "what you gave"};
  settings.values["xiaomi_secret_access_key"] = {a.secret_key, "what you gave"};
  settings.values["cloudml_ca"] = {a.ca, "what you gave"};
  settings.values["cloudml_client_certificate"] = {a.client_certificate, "what you gave"};
  settings.values["cloudml_client_key"] = {a.client_key, "what you gave"};
  Rest rest(settings, "", context.terminal().clock());
  CML_RETURN_IF_ERROR(rest.Get("/quota"));
  return Ok{};
}

Outcome InitConfig(Context& context, const Typed& typed) {
  const std::filesystem::path path = ConfigFile(context.flags(), context.terminal());
  CML_ASSIGN_OR_RETURN(const Document file, ReadConfig(path));
  Answers a = FromFlags(context, typed, file);
  const bool from_flags = context.flags().Has("endpoint") && context.flags().Has("access_key") &&
                          context.flags().Has("secret_key");
  if (!from_flags) CML_RETURN_IF_ERROR(AskAll(context, a));
  if (a.context == kDefaultContext) {
    return Error(Code::kInvalidArgument,
                 "a context cannot be called default_config_context; try \"default\"");
  }
  for (const char c : {'/', '+'}) {
    if (a.access_key.find(c) == std::string::npos && a.secret_key.find(c) == std::string::npos)
      continue;
    context.Err(fmt::format(
        "warning: a key contains '{}', which breaks addresses like fds://KEY:SECRET@host/bucket\n",
        c));
  }
  if (!typed.Has("no_test")) {
    if (const Status good = TryOut(context, a); !good.ok()) {
      return Error(
          good.error().code(),
          good.error().message() + "\nnothing was written; to write it all the same: --no-test");
    }
    context.Err("the server accepts these keys\n");
  }
  CML_RETURN_IF_ERROR(WriteConfig(path, Merged(file, a)));
  context.Err("context " + a.context + " written to " + path.string() + "\n");
  return ExitCode::kOk;
}

// ---- set_default, delete

Outcome SetDefault(Context& context, const Typed& typed) {
  const std::filesystem::path path = ConfigFile(context.flags(), context.terminal());
  CML_ASSIGN_OR_RETURN(Document config, ReadConfig(path));
  CML_ASSIGN_OR_RETURN(const std::string name, ChooseContext(config, typed.word()));
  config.Set(kContexts, config.Get(kContexts).Set(kDefaultContext, name));
  CML_RETURN_IF_ERROR(WriteConfig(path, config));
  context.Err("context " + name + " is the default now\n");
  return ExitCode::kOk;
}

Outcome DeleteContexts(Context& context, const Typed& typed) {
  const std::filesystem::path path = ConfigFile(context.flags(), context.terminal());
  CML_ASSIGN_OR_RETURN(Document config, ReadConfig(path));
  Document contexts = config.Get(kContexts);
  for (const std::string& word : typed.words()) {
    const auto chosen = ChooseContext(config, word);
    if (!chosen.ok()) return Error(Code::kNotFound, chosen.error().message());
    contexts.Remove(word);
    if (contexts.Get(kDefaultContext).Str() == word) contexts.Remove(kDefaultContext);
  }
  config.Set(kContexts, contexts);
  CML_RETURN_IF_ERROR(WriteConfig(path, config));
  for (const std::string& word : typed.words()) context.Err("context " + word + " deleted\n");
  if (ContextNames(config).size() > 1 && contexts.Get(kDefaultContext).Str().empty()) {
    context.Err("choose a new default: cloudml config set_default NAME\n");
  }
  return ExitCode::kOk;
}

Outcome OldInit(Context& context, const Typed&) {
  context.Out("cloudml init is now: cloudml config init\n");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> ConfigCommands() {
  return {
      {"config init",
       {},
       "make or change a context: which server, which keys",
       "Asks for what is needed; an empty answer keeps what is there. With --endpoint, "
       "--access-key\n"
       "and --secret-key it asks nothing. The keys are tried out before they are written.\n\n"
       "  cloudml config init\n"
       "  cloudml -k prod config init --endpoint https://cloudml.example --access-key AK "
       "--secret-key SK",
       {{{"--bucket"}, Takes::kValue, "BUCKET", "default bucket, for packages"},
        {{"--no-test"}, Takes::kNothing, "", "write without asking the server"}},
       InitConfig},
      {"config show",
       {},
       "what is used, and where it comes from; secrets are masked",
       "Options win over the environment, the environment over the context, the context over the "
       "file's root.",
       {OutputOption()},
       ShowConfig},
      {"config set_default",
       {"CONTEXT", 1, 1, "context"},
       "use this context from now on",
       "",
       {},
       SetDefault},
      {"config delete",
       {"CONTEXT…", 1, kAnyNumber, "context"},
       "delete contexts",
       "",
       {},
       DeleteContexts},
      {"init", {}, "replaced by config init", "", {}, OldInit},
  };
}

}  // namespace cml::cli
