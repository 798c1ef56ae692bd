#include "cli/context.h"

#include "base/strings.h"

namespace cml::cli {

Result<const Settings*> Context::settings() {
  if (settings_ == nullptr) {
    CML_ASSIGN_OR_RETURN(Settings resolved, ResolveSettings(flags_, terminal_));
    settings_ = std::make_unique<Settings>(std::move(resolved));
  }
  return settings_.get();
}

Result<Rest*> Context::rest() {
  if (rest_ == nullptr) {
    CML_ASSIGN_OR_RETURN(const Settings* const found, settings());
    rest_ = std::make_unique<Rest>(*found, flags_.Get("org_id"), terminal_.clock());
    rest_->set_pause([this](std::chrono::milliseconds time) { terminal_.Pause(time); });
  }
  return rest_.get();
}

Colours Context::ColoursFor(bool is_terminal) const {
  const std::string when = flags_.Get("color", "auto");
  if (when == "always") return Colours::kOn;
  if (when == "never" || !is_terminal || terminal_.Env("NO_COLOR")) return Colours::kOff;
  return terminal_.Env("TERM").value_or("") == "dumb" ? Colours::kOff : Colours::kOn;
}

void Context::PrintError(std::string_view message) {
  std::string text;
  for (const std::string_view line : Split(message, '\n')) {
    text += text.empty() ? Paint("error:", Tone::kBad, ErrColours()) + " " : "       ";
    text += OneLine(line) + "\n";
  }
  Err(text);
}

ExitCode Context::ForEach(const std::vector<std::string>& names,
                          const std::function<Outcome(const std::string&)>& each) {
  ExitCode first = ExitCode::kOk;
  for (const std::string& name : names) {
    const Outcome outcome = each(name);
    ExitCode code = ExitCode::kOk;
    if (outcome.ok()) {
      code = outcome.value();
    } else {
      const std::string& message = outcome.error().message();
      const bool tell = names.size() > 1 && message.find(name) == std::string::npos;
      PrintError(tell ? name + ": " + message : message);
      code = ExitCodeOf(outcome.error().code());
    }
    if (first == ExitCode::kOk) first = code;
    if (code == ExitCode::kUnreachable) break;  // the others would wait for nothing
  }
  return first;
}

Option OutputOption() {
  return {{"-o", "--output"},
          Takes::kValue,
          "FORMAT",
          "json (complete, as the server sends it), wide (more columns), name (names alone)",
          {"table", "wide", "json", "name"}};
}

Format OutputFormat(const Typed& typed) {
  const std::string name = typed.Get("output");
  if (name == "json") return Format::kJson;
  if (name == "wide") return Format::kWide;
  if (name == "name") return Format::kName;
  return Format::kTable;
}

}  // namespace cml::cli
