// cli/command.h — what a command is: a row of a table from which the parser, the help, the shell
// completion and the dispatcher all work. Plain values.
#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/exit_code.h"

namespace cml::cli {

class Context;  // cli/context.h

enum class Takes {
  kNothing,    // a switch
  kValue,      // one value; given again, the last counts
  kValues,     // may be given several times
  kMaybeFile,  // `-f`: a value of option `filename` when a word follows, else switch `follow`
};

struct Option {
  // As typed: "-nsk", "--node_selector_key". The last one, without dashes, is its key.
  std::vector<std::string> names;
  Takes takes = Takes::kNothing;
  std::string value;  // how the help calls the value: "NAME"
  std::string help;
  std::vector<std::string> choices = {};  // offered by completion and checked, when not empty
  std::string key() const;
};

inline constexpr std::size_t kAnyNumber = static_cast<std::size_t>(-1);

struct Arguments {
  std::string usage;  // "NAME…"
  std::size_t least = 0, most = 0;
  std::string kind;  // what completion offers: "job", "context", "runtime", "file", ""
};

// What was typed after the name of a command.
class Typed {
 public:
  bool Has(std::string_view key) const { return values_.contains(std::string(key)); }
  std::string Get(std::string_view key, std::string_view fallback = "") const;
  std::optional<std::string> Find(std::string_view key) const;
  std::vector<std::string> All(std::string_view key) const;
  const std::vector<std::string>& words() const { return words_; }
  const std::string& word(std::size_t i = 0) const { return words_.at(i); }

  void Add(const std::string& key, std::string value) { values_[key].push_back(std::move(value)); }
  void AddWord(std::string word) { words_.push_back(std::move(word)); }
  std::string TakeLastWord() {
    std::string last = std::move(words_.back());
    words_.pop_back();
    return last;
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> words_;
};

// Either an exit code, or an error that the dispatcher prints and turns into one.
using Outcome = Result<ExitCode>;

struct Command {
  std::string path;  // "jobs submit"
  Arguments arguments;
  std::string summary;  // one line, for the list of commands
  std::string text;     // paragraphs and examples, for its own help
  std::vector<Option> options;
  std::function<Outcome(Context&, const Typed&)> run;
};

// Understood by every command, before or after its name, unless the command has one so named.
const std::vector<Option>& GlobalOptions();

// The command that `args` begin with, and how many words its name has; null: none such. Global
// options before the name have been taken out by the caller.
const Command* FindCommand(const std::vector<Command>& commands,
                           const std::vector<std::string>& args);

// Sorts `args` (after the command's name) into options and words. kInvalidArgument with a message
// for a person; a mistyped option is answered with the closest one.
//   --name VALUE  --name=VALUE  -x VALUE  -x=VALUE  -xVALUE (one-letter names alone)
// '-' and '_' in long names are the same, and an unambiguous beginning of a long name is enough.
// "--" ends the options. A negative number is a word ("-1": all organisations).
Result<Typed> ParseArguments(const Command& command, const std::vector<std::string>& args);

// Takes the global options out of `args`, up to the first word that is none of them.
Result<Typed> TakeGlobalOptions(std::vector<std::string>& args);

// The candidate that is fewest edits away, if it is near enough to be meant; else empty.
std::string ClosestMatch(std::string_view typed, const std::vector<std::string>& candidates);

}  // namespace cml::cli
