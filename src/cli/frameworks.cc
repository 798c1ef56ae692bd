// What the server offers, and who we are for it.
#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"

namespace cml::cli {
namespace {

using codec::Document;

Outcome ListFrameworks(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->GetUnsigned("/framework"));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"FRAMEWORK"}, {"VERSIONS"}});
  for (const auto& [name, versions] : reply.body.Fields()) {
    std::vector<std::string> texts;
    for (const Document& v : versions.Items()) texts.push_back(v.Text());
    if (OutputFormat(typed) == Format::kName) context.Out(OneLine(name) + "\n");
    table.Add({{name}, {Join(texts, ", ")}});
  }
  if (OutputFormat(typed) == Format::kName) return ExitCode::kOk;
  if (table.empty()) {
    context.Err("the server has no frameworks; see: cloudml runtimes list\n");
  } else {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

Outcome ShowOrgId(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/org_ids"));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    context.Out(OneLine(reply.body.Get("org_id").Text()) + "\n");
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> FrameworkCommands() {
  return {
      {"framework list",
       {},
       "frameworks and versions for jobs submit -F and -V",
       "",
       {OutputOption()},
       ListFrameworks},
      {"org_id",
       {},
       "the id of the organisation that the keys belong to",
       "",
       {OutputOption()},
       ShowOrgId},
  };
}

}  // namespace cml::cli
