// Organisations: listing, describing, making, renaming, suspending, deleting.
#include "base/strings.h"
#include "cli/groups.h"
#include "cli/identity.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string OrgPath(const std::string& org, const char* rest = "") { return "/org/" + Rest::Segment(org) + rest; }

Tone ToneOf(const std::string& state) {
  return state == "active" ? Tone::kGood : state == "suspended" ? Tone::kWaiting : Tone::kBad;
}

void Show(Context& context, const Typed& typed, const Document& org) {
  if (OutputFormat(typed) == Format::kJson) return context.PrintJson(org);
  if (OutputFormat(typed) == Format::kName) return context.Out(OneLine(org.Get("org_name").Text()) + "\n");
  const std::string state = org.Get("state").Text();
  const std::string reason = org.Get("reason").Text();
  context.Out(OneLine(org.Get("org_name").Text()) + "  " + Paint(state, ToneOf(state), context.OutColours()) +
              (reason.empty() ? "" : ": " + OneLine(reason)) + "\n");
  Lines lines;
  lines.Add("id", org.Get("org_id").Text());
  lines.Add("mail", org.Get("org_mail").Text());
  lines.Add("description", org.Get("description").Text());
  lines.Add("project", org.Get("project").Text());
  lines.Add("uid of its jobs", org.Get("unix_uid").Text());
  lines.Add("created", ShowTime(org.Get("create_time").Text(), context.Now(), context.OutTimes()));
  context.Out(lines.Render());
}

Outcome ListOrgs(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/org"));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"ORG"}, {"ID", Column::Align::kRight}, {"STATE"}, {"CREATED"}, {"MAIL"},
               {"PROJECT", Column::Align::kLeft, true}, {"WHY / WHAT", Column::Align::kLeft, true}});
  for (const Document& org : reply.body.Get("data").Items()) {
    if (format == Format::kName) {
      context.Out(OneLine(org.Get("org_name").Text()) + "\n");
      continue;
    }
    const std::string state = org.Get("state").Text(), reason = org.Get("reason").Text();
    table.Add({{org.Get("org_name").Text()},
               {org.Get("org_id").Text()},
               {state, ToneOf(state)},
               {ShowTime(org.Get("create_time").Text(), context.Now(), context.OutTimes())},
               {org.Get("org_mail").Text().empty() ? "–" : org.Get("org_mail").Text()},
               {org.Get("project").Text()},
               {reason.empty() ? org.Get("description").Text() : reason}});
  }
  if (format != Format::kName) context.Out(table.Render(context.OutColours(), context.OutWidth()));
  return ExitCode::kOk;
}

// Without a name: one's own.
Outcome DescribeOrgs(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  std::vector<std::string> names = typed.words();
  if (names.empty()) {
    CML_ASSIGN_OR_RETURN(const ApiReply own, rest->Get("/org_ids"));
    names.push_back(own.body.Get("org_id").Text());
  }
  return context.ForEach(names, [&](const std::string& name) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(OrgPath(name)));
    Show(context, typed, reply.body);
    return ExitCode::kOk;
  });
}

Document FieldsOf(const Typed& typed) {
  Document body = Document::Object();
  const std::pair<const char*, const char*> fields[] = {{"mail", "org_mail"}, {"description", "description"}, {"project", "project"}};
  for (const auto& [option, field] : fields) {
    if (const auto value = typed.Find(option)) body.Set(field, *value);
  }
  return body;
}

Outcome CreateOrg(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  Document body = FieldsOf(typed);
  body.Set("org_name", typed.word());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Create("/org", body.Dump()));
  Show(context, typed, reply.body);
  if (OutputFormat(typed) == Format::kTable) {
    context.Err("next: cloudml key create --org " + typed.word() + " --role org_admin\n");
  }
  return ExitCode::kOk;
}

Outcome UpdateOrg(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const Document body = FieldsOf(typed);
  if (body.size() == 0) {
    return Error(Code::kInvalidArgument, "nothing to change: name --mail, --description or --project");
  }
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Patch(OrgPath(typed.word()), body.Dump()));
  Show(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome RenameOrg(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const Document body = Document::Object().Set("org_name", typed.word(1));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Patch(OrgPath(typed.word()), body.Dump()));
  Show(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome SuspendOrg(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  if (!typed.Has("reason")) {
    return Error(Code::kInvalidArgument, "--reason: missing; say why, its users will read it");
  }
  const Document body = Document::Object().Set("reason", typed.Get("reason"));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Post(OrgPath(typed.word(), "/suspend"), body.Dump()));
  Show(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome ResumeOrg(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Post(OrgPath(typed.word(), "/resume"), ""));
  Show(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome DeleteOrg(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const std::string& name = typed.word();
  CML_RETURN_IF_ERROR(Confirm(context, typed, name, "organisation " + name + " with its jobs, buckets, users and keys"));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Delete(OrgPath(name)));
  ShowDone(context, typed, reply.body, name + "  is being deleted");
  return ExitCode::kOk;
}

std::vector<Option> WithFields(std::vector<Option> more) {
  std::vector<Option> all = {{{"--mail"}, Takes::kValue, "ADDRESS", "mail address of its owner"},
                             {{"--description"}, Takes::kValue, "TEXT", "what it is for"},
                             {{"--project"}, Takes::kValue, "NAME", "the project it belongs to"}};
  for (Option& option : more) all.push_back(std::move(option));
  return all;
}

}  // namespace

std::vector<Command> OrgCommands() {
  const Arguments one{"ORG", 1, 1, ""};
  return {
      {"org list", {}, "organisations: state, since when, and why",
       "A platform administrator sees all of them, everybody else his own.", {OutputOption()}, ListOrgs},
      {"org describe", {"[ORG…]", 0, kAnyNumber, ""}, "all about an organisation; without a name: your own",
       "ORG is its name or its number.", {OutputOption()}, DescribeOrgs},
      {"org create", {"NAME", 1, 1, ""}, "make an organisation, with a bucket called default",
       "  cloudml org create vision --mail ann@example.com\n"
       "  cloudml key create --org vision --role org_admin",
       WithFields({OutputOption()}), CreateOrg},
      {"org update", one, "change its mail address, description or project", "", WithFields({OutputOption()}), UpdateOrg},
      {"org rename", {"ORG NAME", 2, 2, ""}, "give an organisation another name", "Its number stays.", {OutputOption()}, RenameOrg},
      {"org suspend", one, "let it read, and neither change nor start anything",
       "What runs goes on; what waits is not started.\n\n"
       "  cloudml org suspend vision --reason \"the bill of October is not paid\"",
       {{{"--reason"}, Takes::kValue, "TEXT", "why; its users will read it"}, OutputOption()}, SuspendOrg},
      {"org resume", one, "end a suspension", "", {OutputOption()}, ResumeOrg},
      {"org delete", one, "delete an organisation with everything in it",
       "Its keys are refused at once; its jobs, buckets, objects, logs, users and keys are removed.\n"
       "What was audited and what it used is kept.",
       {YesOption(), OutputOption()}, DeleteOrg},
  };
}

}  // namespace cml::cli
