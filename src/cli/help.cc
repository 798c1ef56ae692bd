#include "cli/help.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/main.h"
#include "cli/text.h"

namespace cml::cli {
namespace {

std::string FirstWord(std::string_view path) { return std::string(path.substr(0, path.find(' '))); }

// Words broken into lines of at most 90 columns, each indented.
std::string Wrap(std::string_view text, std::size_t indent) {
  constexpr std::size_t kWidth = 90;
  std::string out;
  std::size_t column = indent;
  for (const std::string_view word : Split(text, ' ')) {
    const std::size_t w = DisplayWidth(word);
    if (column > indent && column + 1 + w > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += w;
  }
  return out;
}

std::string OptionLines(const std::vector<Option>& options) {
  constexpr std::size_t kIndent = 34;
  std::string out;
  for (const Option& o : options) {
    const std::string usage = "  " + OptionUsage(o);
    out += usage;
    const std::size_t width = DisplayWidth(usage);
    out +=
        width + 2 > kIndent ? "\n" + std::string(kIndent, ' ') : std::string(kIndent - width, ' ');
    out += Wrap(o.help, kIndent) + "\n";
  }
  return out;
}

std::string CommandLines(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::size_t width = 0;
  for (const auto& [name, summary] : rows) width = std::max(width, DisplayWidth(name));
  std::string out;
  for (const auto& [name, summary] : rows) {
    out += "  " + PadRight(name, width) + "  " + Wrap(summary, width + 4) + "\n";
  }
  return out;
}

bool IsHidden(const Command& c) { return c.path.starts_with("__"); }

}  // namespace

std::string OptionUsage(const Option& option) {
  std::string out = Join(option.names, ", ");
  switch (option.takes) {
    case Takes::kNothing:
      break;
    case Takes::kMaybeFile:
      out += " [" + option.value + "]";
      break;
    case Takes::kValue:
      out += " " + option.value;
      break;
    case Takes::kValues:
      out += " " + option.value + " …";
      break;
  }
  return out;
}

std::string OverviewHelp(const std::vector<Command>& commands) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Command& c : commands) {
    if (IsHidden(c)) continue;
    rows.emplace_back(c.path + (c.arguments.usage.empty() ? "" : " " + c.arguments.usage),
                      c.summary);
  }
  std::vector<std::pair<std::string, std::string>> others;
  for (const OtherCommand& o : OtherCommands()) others.emplace_back(o.path, o.summary);
  return "cloudml — train models on your own machines\n\n"
         "usage: cloudml [-k CONTEXT] COMMAND [OPTIONS]\n\n"
         "commands:\n" +
         CommandLines(rows) + "\nthe server:\n" + CommandLines(others) +
         "\noptions of every command:\n" + OptionLines(GlobalOptions()) +
         "\nfirst steps:\n"
         "  cloudml config init                                          which server, which keys\n"
         "  cloudml jobs submit -n digits-1 -m trainer.task -u ./digits -f   train, and watch it\n"
         "  cloudml jobs list                                            what is going on\n\n"
         "exit codes: 0 done · 1 other error · 2 usage · 3 refused · 4 not found · "
         "5 server unreachable · 6 job failed\n"
         "help on one command: cloudml COMMAND --help\n";
}

std::string GroupHelp(const std::vector<Command>& commands, std::string_view group) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Command& c : commands) {
    if (IsHidden(c) || !c.path.starts_with(std::string(group) + " ")) continue;
    rows.emplace_back(c.path + (c.arguments.usage.empty() ? "" : " " + c.arguments.usage),
                      c.summary);
  }
  if (rows.empty()) return "";
  return "usage: cloudml " + std::string(group) + " COMMAND [OPTIONS]\n\n" + CommandLines(rows) +
         "\nhelp on one of them: cloudml " + std::string(group) + " COMMAND --help\n";
}

std::string CommandHelp(const Command& command) {
  std::string out = "usage: cloudml " + command.path;
  if (!command.arguments.usage.empty()) out += " " + command.arguments.usage;
  if (!command.options.empty()) out += " [OPTIONS]";
  out += "\n\n" + command.summary + "\n";
  if (!command.text.empty()) out += "\n" + command.text + "\n";
  if (!command.options.empty()) out += "\noptions:\n" + OptionLines(command.options);
  out += "\noptions of every command:\n" + OptionLines(GlobalOptions());
  return out;
}

std::string UnknownCommand(const std::vector<Command>& commands,
                           const std::vector<std::string>& args) {
  std::vector<std::string> first_words, paths;
  for (const Command& c : commands) {
    if (IsHidden(c)) continue;
    first_words.push_back(FirstWord(c.path));
    paths.push_back(c.path);
  }
  for (const OtherCommand& o : OtherCommands()) first_words.push_back(FirstWord(o.path));
  const std::string& typed = args[0];
  if (std::ranges::count(first_words, typed) > 0 && args.size() > 1) {  // "jobs lst"
    std::vector<std::string> inner;
    for (const std::string& p : paths) {
      if (p.starts_with(typed + " ")) inner.push_back(p.substr(typed.size() + 1));
    }
    const std::string close = ClosestMatch(args[1], inner);
    return "no command " + Quote(typed + " " + args[1]) +
           (close.empty() ? "" : "; did you mean: cloudml " + typed + " " + close) +
           "\nthere are: " + Join(inner, ", ");
  }
  std::string close = ClosestMatch(typed, first_words);
  if (close.empty()) {  // "submit" → "jobs submit"
    for (const std::string& p : paths) {
      if (p.ends_with(" " + typed)) {
        close = p;
        break;
      }
    }
  }
  return "no command " + Quote(typed) + (close.empty() ? "" : "; did you mean: cloudml " + close) +
         "\nall commands: cloudml help";
}

}  // namespace cml::cli
