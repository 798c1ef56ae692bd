#include "cli/completion.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/config.h"
#include "cli/context.h"
#include "cli/groups.h"
#include "cli/main.h"

namespace cml::cli {
namespace {

constexpr std::string_view kBash =
    R"(# cloudml completion for bash. Load it: source <(cloudml completion bash)
_cloudml_complete() {
  local IFS=$'\n'
  COMPREPLY=($("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _cloudml_complete cloudml
)";

constexpr std::string_view kZsh = R"(#compdef cloudml
# cloudml completion for zsh. Load it: source <(cloudml completion zsh)
_cloudml() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then
    compadd -- "${found[@]}"
  else
    _files
  fi
}
compdef _cloudml cloudml
)";

Outcome PrintScript(Context& context, const Typed& typed) {
  if (typed.word() != "bash" && typed.word() != "zsh") {
    return Error(Code::kInvalidArgument,
                 "completion for " + Quote(typed.word()) + ": bash and zsh are known");
  }
  context.Out(typed.word() == "bash" ? kBash : kZsh);
  return ExitCode::kOk;
}

std::vector<std::string> LookUp(Context& context, std::string_view kind) {
  std::vector<std::string> names;
  if (kind == "shell") return {"bash", "zsh"};
  if (kind == "context") {
    const auto config = ReadConfig(ConfigFile(context.flags(), context.terminal()));
    return config.ok() ? ContextNames(config.value()) : names;
  }
  const auto rest = context.rest();
  if (!rest.ok()) return names;
  rest.value()->set_answer_time(std::chrono::seconds(2));  // somebody is typing
  const bool jobs = kind == "job";
  if (!jobs && kind != "runtime") return names;
  const auto reply = rest.value()->Get(jobs ? "/train" : "/runtimes");
  if (!reply.ok()) return names;
  for (const codec::Document& o : reply.value().body.Get("data").Items()) {
    names.push_back(jobs ? o.Get("job_name").Text()
                         : o.Get("name").Text() + "-" + o.Get("version").Text());
  }
  return names;
}

Outcome PrintCandidates(Context& context, const Typed& typed) {
  const auto names = [&](std::string_view kind) { return LookUp(context, kind); };
  for (const std::string& c : Candidates(context.commands(), typed.words(), names)) {
    context.Out(OneLine(c) + "\n");
  }
  return ExitCode::kOk;
}

const Option* OptionNamed(const std::vector<Option>& options, const std::string& name) {
  for (const Option& o : options) {
    if (std::ranges::count(o.names, name) > 0) return &o;
  }
  return nullptr;
}

const Option* AnyOption(const Command* command, const std::string& name) {
  const Option* o = command != nullptr ? OptionNamed(command->options, name) : nullptr;
  return o != nullptr ? o : OptionNamed(GlobalOptions(), name);
}

// The next word of every command that begins with `before`.
std::vector<std::string> NextWords(const std::vector<Command>& commands,
                                   const std::vector<std::string>& before) {
  const std::string start = before.empty() ? "" : Join(before, " ") + " ";
  std::vector<std::string> words;
  const auto add = [&](const std::string& path) {
    if (path.starts_with("__") || !path.starts_with(start)) return;
    const std::string rest = path.substr(start.size());
    words.push_back(rest.substr(0, rest.find(' ')));
  };
  for (const Command& c : commands) add(c.path);
  for (const OtherCommand& o : OtherCommands()) add(o.path);
  return words;
}

}  // namespace

std::vector<std::string> Candidates(const std::vector<Command>& commands,
                                    const std::vector<std::string>& words,
                                    const NamesOfKind& names) {
  const std::string typing = words.empty() ? "" : words.back();
  std::vector<std::string> before(words.begin(), words.empty() ? words.end() : words.end() - 1);
  // Global options before the command's name.
  while (!before.empty() && before[0].starts_with('-')) {
    const Option* o = OptionNamed(GlobalOptions(), before[0]);
    const bool with_value = o != nullptr && o->takes == Takes::kValue && before.size() > 1;
    if (o != nullptr && o->takes == Takes::kValue && before.size() == 1) {
      before.clear();
      return names(o->key());
    }
    before.erase(before.begin(), before.begin() + (with_value ? 2 : 1));
  }
  const Command* command = FindCommand(commands, before);
  const Option* pending = before.empty() ? nullptr : AnyOption(command, before.back());
  std::vector<std::string> all;
  if (pending != nullptr && pending->takes != Takes::kNothing &&
      pending->takes != Takes::kMaybeFile) {
    all = pending->choices;
    if (pending->key() == "context") all = names("context");
  } else if (typing.starts_with('-')) {
    const std::vector<Option> none;
    for (const auto* options : {command != nullptr ? &command->options : &none, &GlobalOptions()}) {
      for (const Option& o : *options) all.push_back(o.names.back());
    }
  } else if (command == nullptr) {
    all = NextWords(commands, before);
  } else if (!command->arguments.kind.empty()) {
    all = names(command->arguments.kind);
  }
  std::erase_if(all, [&](const std::string& c) { return !c.starts_with(typing); });
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::vector<Command> CompletionCommands() {
  return {
      {"completion",
       {"SHELL", 1, 1, "shell"},
       "script for bash or zsh that completes commands and names",
       "  source <(cloudml completion bash)        now\n"
       "  echo 'source <(cloudml completion bash)' >> ~/.bashrc        from now on",
       {},
       PrintScript},
      {"__complete",
       {"WORD…", 0, kAnyNumber, ""},
       "candidates, for the completion scripts",
       "",
       {},
       PrintCandidates},
  };
}

}  // namespace cml::cli
