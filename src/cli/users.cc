// Users of an organisation.
#include "cli/groups.h"
#include "cli/identity.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string UserPath(const std::string& user) { return "/user/" + Rest::Segment(user); }

Result<Rest*> RestFor(Context& context, const Typed& typed) {
  CML_RETURN_IF_ERROR(ActForTyped(context, typed));
  return context.rest();
}

void Show(Context& context, const Typed& typed, const Document& user) {
  if (OutputFormat(typed) == Format::kJson) return context.PrintJson(user);
  context.Out(OneLine(user.Get("user").Text()) + "\n");
  if (OutputFormat(typed) == Format::kName) return;
  Lines lines;
  lines.Add("organisation", user.Get("org_name").Text());
  lines.Add("mail", user.Get("mail").Text());
  lines.Add("keys", user.Get("keys").Text());
  lines.Add("created", ShowTime(user.Get("create_time").Text(), context.Now(), context.OutTimes()));
  context.Out(lines.Render());
}

Outcome ListUsers(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/user"));
  const Format format = OutputFormat(typed);
  if (format == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  const auto users = reply.body.Get("data").Items();
  Table table({{"USER"}, {"ORG"}, {"KEYS", Column::Align::kRight}, {"CREATED"}, {"MAIL"}});
  for (const Document& user : users) {
    if (format == Format::kName) {
      context.Out(OneLine(user.Get("user").Text()) + "\n");
      continue;
    }
    table.Add({{user.Get("user").Text()},
               {user.Get("org_name").Text()},
               {user.Get("keys").Text()},
               {ShowTime(user.Get("create_time").Text(), context.Now(), context.OutTimes())},
               {user.Get("mail").Text().empty() ? "–" : user.Get("mail").Text()}});
  }
  if (users.empty()) {
    context.Err("there are no users; make one: cloudml user create NAME\n");
  } else if (format != Format::kName) {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

Outcome CreateUser(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  Document body = Document::Object().Set("user", typed.word());
  if (const auto mail = typed.Find("mail")) body.Set("mail", *mail);
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Create("/user", body.Dump()));
  Show(context, typed, reply.body);
  if (OutputFormat(typed) == Format::kTable) {
    context.Err("next: cloudml key create --user " + typed.word() + " --role member\n");
  }
  return ExitCode::kOk;
}

Outcome UpdateUser(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  if (!typed.Has("mail")) return Error(Code::kInvalidArgument, "nothing to change: name --mail");
  const Document body = Document::Object().Set("mail", typed.Get("mail"));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Patch(UserPath(typed.word()), body.Dump()));
  Show(context, typed, reply.body);
  return ExitCode::kOk;
}

Outcome DeleteUser(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, RestFor(context, typed));
  const std::string& name = typed.word();
  CML_RETURN_IF_ERROR(Confirm(context, typed, name, "user " + name + " with his keys"));
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Delete(UserPath(name)));
  ShowDone(context, typed, reply.body, name + "  deleted");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> UserCommands() {
  const Arguments one{"USER", 1, 1, ""};
  const Option mail{{"--mail"}, Takes::kValue, "ADDRESS", "mail address"};
  return {
      {"user list", {}, "the users of your organisation, and how many keys each has", "", {OrgOption(), OutputOption()}, ListUsers},
      {"user create", {"NAME", 1, 1, ""}, "make a user; what he may do, his keys say",
       "  cloudml user create ann --mail ann@example.com\n  cloudml key create --user ann --role member",
       {mail, OrgOption(), OutputOption()}, CreateUser},
      {"user update", one, "change a user's mail address", "", {mail, OrgOption(), OutputOption()}, UpdateUser},
      {"user delete", one, "delete a user and his keys", "What he submitted stays.", {OrgOption(), YesOption(), OutputOption()}, DeleteUser},
  };
}

}  // namespace cml::cli
