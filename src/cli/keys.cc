// Access keys: listing, making, labelling, disabling, rotating, deleting.
#include "base/strings.h"
#include "cli/groups.h"
#include "cli/identity.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string KeyPath(const std::string& key, const char* rest = "") { return "/key/" + Rest::Segment(key) + rest; }

Result<Rest*> RestFor(Context& context, const Typed& typed) {
  CML_RETURN_IF_ERROR(ActForTyped(context, typed));
  return context.rest();
}

Tone ToneOf(const std::string& state) { return state == "active" ? Tone::kGood : Tone::kBad; }

std::string Time(Context& context, const Document& key, const char* field, const char* otherwise) {
  const std::string text = key.Get(field).Text();
  return text.empty() ? otherwise : ShowTime(text, context.Now(), context.OutTimes());
}

// A time that lies ahead is shown as it is.
std::string Expiry(const Document& key) {
  const std::string text = key.Get("expires").Text();
  return text.empty() ? "never" : text;
}

void Describe(Context& context, const Document& key) {
  const std::string state = key.Get("state").Text();
  context.Out(OneLine(key.Get("access_key").Text()) + "  " + Paint(state, ToneOf(state), context.OutColours()) + "\n");
  Lines lines;
  lines.Add("organisation", key.Get("org_name").Text());
  lines.Add("role", key.Get("role").Text());
  lines.Add("user", key.Get("user").Text());
  lines.Add("label", key.Get("label").Text());
  lines.Add("expires", Expiry(key));
  lines.Add("replaces", key.Get("replaces").Text());
  context.Out(lines.Render());
}

// The only time that the secret is seen.
void ShowNew(Context& context, const Typed& typed, const Document& key) {
  if (OutputFormat(typed) == Format::kJson) return context.PrintJson(key);
  Describe(context, key);
  Lines lines;
  lines.Add("access key", key.Get("access_key").Text());
  lines.Add("secret key", key.Get("secret_key").Text());
  context.Out(lines.Render());
  std::string endpoint = "URL";
  if (const auto settings = context.settings(); settings.ok()) endpoint = settings.value()->Get("xiaomi_cloudml_endpoint");
  context.Err("the secret key is shown this once; keep it now. Use the pair as a context of its own:\n"
              "  cloudml config init -k " + key.Get("org_name").Text() + " --endpoint " + endpoint +
              " --access-key " + key.Get("access_key").Text() + "\n");
}

void Show(Context& context, const Typed& typed, const Document& key) {
  if (OutputFormat(typed) == Format::kJson) return context.PrintJson(key);
  if (OutputFormat(typed) == Format::kName) return context.Out(OneLine(key.Get("access_key").Text()) + "\n");
  Describe(context, key);
}

Outcome ListKeys(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/key"));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"KEY"}, {"ORG"}, {"ROLE"}, {"STATE"}, {"USER"}, {"USED"}, {"EXPIRES"}, {"LABEL", Column::Align::kLeft, true}});
  for (const Document& key : reply.body.Get("data").Items()) {
    if (format == Format::kName) {
      context.Out(OneLine(key.Get("access_key").Text()) + "\n");
      continue;
    }
    const std::string state = key.Get("state").Text(), user = key.Get("user").Text();
    table.Add({{key.Get("access_key").Text()},
               {key.Get("org_name").Text()},
               {key.Get("role").Text()},
               {state, ToneOf(state)},
               {user.empty() ? "–" : user},
               {Time(context, key, "last_used", "never")},
               {Expiry(key)},
               {key.Get("label").Text()}});
  }
  if (format != Format::kName) context.Out(table.Render(context.OutColours(), context.OutWidth()));
  return ExitCode::kOk;
}

// "--expires 30d" or "--expires 2027-01-31T00:00:00Z".
Status TakeExpiry(const Typed& typed, Document& body) {
  const auto text = typed.Find("expires");
  if (!text) return Ok{};
  if (*text == "never") {
    body.Set("expires", "");
  } else if (text->size() > 10 && text->ends_with('Z')) {
    body.Set("expires", *text);
  } else {
    CML_ASSIGN_OR_RETURN(const std::int64_t seconds, SecondsOf("--expires", *text));
    body.Set("expires_in", Document::Integer(seconds));
  }
  return Ok{};
}

Outcome CreateKey(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  Document body = Document::Object();
  for (const char* field : {"role", "user", "label"}) {
    if (const auto value = typed.Find(field)) body.Set(field, *value);
  }
  CML_RETURN_IF_ERROR(TakeExpiry(typed, body));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Create("/key", body.Dump()));
  ShowNew(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome Change(Context& context, const Typed& typed, const std::string& key, const Document& body) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Patch(KeyPath(key), body.Dump()));
  Show(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome LabelKey(Context& context, const Typed& typed) {
  return Change(context, typed, typed.word(), Document::Object().Set("label", typed.word(1)));
}

Outcome DisableKeys(Context& context, const Typed& typed) {
  return context.ForEach(typed.words(), [&](const std::string& key) {
    return Change(context, typed, key, Document::Object().Set("disabled", Document::Boolean(true)));
  });
}

Outcome EnableKeys(Context& context, const Typed& typed) {
  return context.ForEach(typed.words(), [&](const std::string& key) {
    return Change(context, typed, key, Document::Object().Set("disabled", Document::Boolean(false)));
  });
}

Outcome RotateKey(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  Document body = Document::Object();
  if (const auto overlap = typed.Find("overlap")) {
    CML_ASSIGN_OR_RETURN(const std::int64_t seconds, SecondsOf("--overlap", *overlap));
    body.Set("overlap", Document::Integer(seconds));
  }
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Create(KeyPath(typed.word(), "/rotate"), body.Dump()));
  ShowNew(context, typed, reply.body);
  if (OutputFormat(typed) == Format::kTable) {
    CML_ASSIGN_OR_RETURN(const ApiReply old, rest->Get(KeyPath(typed.word())));
    context.Err(OneLine(typed.word()) + "  goes on until " + Expiry(old.body) + "\n");
  }
  return ExitCode::kOk;
}

Outcome DeleteKeys(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  return context.ForEach(typed.words(), [&](const std::string& key) -> Outcome {
    CML_RETURN_IF_ERROR(Confirm(context, typed, key, "key " + key));
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Delete(KeyPath(key)));
    ShowDone(context, typed, reply.body, key + "  deleted");
    return ExitCode::kOk;
  });
}

}  // namespace

std::vector<Command> KeyCommands() {
  const Arguments one{"KEY", 1, 1, ""};
  const Arguments several{"KEY…", 1, kAnyNumber, ""};
  return {
      {"key list", {}, "access keys: role, state, last use, end",
       "An administrator sees the keys of his organisation, everybody else his own. Secrets are never shown.",
       {OrgOption(), OutputOption()}, ListKeys},
      {"key create", {}, "make a key pair; its secret is shown this once",
       "  cloudml key create --user ann --role member --label laptop\n"
       "  cloudml key create --org vision --role org_admin --expires 90d",
       {{{"--role"}, Takes::kValue, "ROLE", "what it may do (member)", {"viewer", "member", "org_admin", "platform_admin"}},
        {{"--user"}, Takes::kValue, "USER", "whose it is; without: the organisation's own"},
        {{"--label"}, Takes::kValue, "TEXT", "what it is for"},
        {{"--expires"}, Takes::kValue, "TIME", "from when on it is refused: 30d, or 2027-01-31T00:00:00Z"},
        OrgOption(), OutputOption()},
       CreateKey},
      {"key label", {"KEY TEXT", 2, 2, ""}, "say what a key is for", "", {OrgOption(), OutputOption()}, LabelKey},
      {"key disable", several, "refuse a key from now on; it can be enabled again", "", {OrgOption(), OutputOption()}, DisableKeys},
      {"key enable", several, "take a disabled key again", "", {OrgOption(), OutputOption()}, EnableKeys},
      {"key rotate", one, "a new key with the same rights; the old one ends a day later",
       "Bring the new pair to where the old one is used, before that day is over.\n\n"
       "  cloudml key rotate AK0123456789abcdefgh --overlap 2h",
       {{{"--overlap"}, Takes::kValue, "TIME", "how long the old key is still taken (24h)"}, OrgOption(), OutputOption()},
       RotateKey},
      {"key delete", several, "delete a key", "", {OrgOption(), YesOption(), OutputOption()}, DeleteKeys},
  };
}

}  // namespace cml::cli
