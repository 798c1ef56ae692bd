#include "cli/identity.h"

#include <algorithm>

#include "base/strings.h"

namespace cml::cli {

using codec::Document;

Option YesOption() { return {{"-y", "--yes"}, Takes::kNothing, "", "do not ask; go on"}; }

Status Confirm(Context& context, const Typed& typed, const std::string& name, const std::string& what_goes) {
  if (typed.Has("yes")) return Ok{};
  if (!context.terminal().InIsTerminal()) {
    return Error(Code::kInvalidArgument, "this deletes " + what_goes + " for good, and there is nobody to ask\nadd --yes");
  }
  const auto answer = context.terminal().ReadLine("this deletes " + what_goes + " for good; type " + name + " to go on: ",
                                                  Echo::kShown);
  if (answer && Trim(*answer) == name) return Ok{};
  return Error(Code::kInvalidArgument, name + " was not typed; nothing was deleted");
}

Option OrgOption() {
  return {{"--org"}, Takes::kValue, "ORG", "act in another organisation, by name or number (platform administrators)"};
}

Status ActForTyped(Context& context, const Typed& typed) {
  const auto org = typed.Find("org");
  if (!org) return Ok{};
  if (*org == "-1" || ParseUnsigned(*org)) {
    context.ActFor(*org);
    return Ok{};
  }
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/org/" + Rest::Segment(*org)));
  context.ActFor(reply.body.Get("org_id").Text());
  return Ok{};
}

Result<std::int64_t> SecondsOf(const std::string& option, const std::string& text) {
  const auto seconds = ParseSeconds(text);
  if (seconds && *seconds >= 0) return *seconds;
  return Error(Code::kInvalidArgument, option + " " + Quote(text) + ": a time such as 90s, 15m, 24h or 30d");
}

void ShowDone(Context& context, const Typed& typed, const Document& answer, const std::string& otherwise) {
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(answer);
    return;
  }
  const std::string message = answer.Get("message").Str();
  context.Out(OneLine(message.empty() ? otherwise : message) + "\n");
}

std::string Lines::Render() const {
  std::size_t width = 0;
  for (const auto& [name, value] : all_) {
    if (!value.empty()) width = std::max(width, name.size());
  }
  std::string text;
  for (const auto& [name, value] : all_) {
    if (!value.empty()) text += "  " + PadRight(name, width) + "  " + OneLine(value) + "\n";
  }
  return text;
}

}  // namespace cml::cli
