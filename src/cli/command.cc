#include "cli/command.h"

#include <algorithm>
#include <numeric>

#include "base/strings.h"

namespace cml::cli {
namespace {

std::string_view WithoutDashes(std::string_view name) {
  while (name.starts_with('-')) name.remove_prefix(1);
  return name;
}

// "--dry-run" and "--dry_run" are one.
std::string Canonical(std::string_view long_name) {
  std::string s(long_name);
  for (std::size_t i = 2; i < s.size(); ++i) {
    if (s[i] == '-') s[i] = '_';
  }
  return s;
}

class OptionIndex {
 public:
  explicit OptionIndex(std::vector<const Option*> options) : options_(std::move(options)) {}

  const Option* Exact(std::string_view name) const {
    const bool is_long = name.starts_with("--");
    const std::string wanted = is_long ? Canonical(name) : std::string(name);
    for (const Option* o : options_) {
      for (const std::string& n : o->names) {
        if ((is_long ? Canonical(n) : n) == wanted) return o;
      }
    }
    return nullptr;
  }

  // The one option of which the long name `beginning` is the beginning of a name.
  const Option* ByBeginning(std::string_view beginning) const {
    const std::string wanted = Canonical(beginning);
    if (wanted.size() < 4) return nullptr;  // "--x" says too little
    const Option* found = nullptr;
    for (const Option* o : options_) {
      for (const std::string& n : o->names) {
        if (!n.starts_with("--") || !Canonical(n).starts_with(wanted)) continue;
        if (found != nullptr && found != o) return nullptr;
        found = o;
      }
    }
    return found;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const Option* o : options_) names.insert(names.end(), o->names.begin(), o->names.end());
    return names;
  }

 private:
  std::vector<const Option*> options_;  // the first of a name counts
};

struct Match {
  const Option* option = nullptr;
  std::optional<std::string> attached;  // the value in the same word
};

Match FindOption(const OptionIndex& index, const std::string& word) {
  if (const Option* o = index.Exact(word)) return {o, std::nullopt};
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const std::optional<std::string> value =
      equals == std::string::npos ? std::nullopt : std::optional(word.substr(equals + 1));
  if (value) {
    if (const Option* o = index.Exact(name)) return {o, value};
  }
  if (name.starts_with("--")) return {index.ByBeginning(name), value};
  if (word.size() > 2) {  // -c4
    const Option* o = index.Exact(word.substr(0, 2));
    if (o != nullptr && (o->takes == Takes::kValue || o->takes == Takes::kValues)) {
      return {o, word.substr(2)};
    }
  }
  return {};
}

Error UsageError(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

Status CheckChoice(const Option& o, const std::string& typed_name, const std::string& value) {
  if (o.choices.empty() || std::ranges::count(o.choices, value) > 0) return Ok{};
  std::string message = typed_name + " " + Quote(value) + ": one of " + Join(o.choices, ", ");
  const std::string close = ClosestMatch(value, o.choices);
  if (!close.empty()) message += "; did you mean " + close + "?";
  return UsageError(message);
}

// Stores one option; `i` stands on its word and is moved over its value.
Status TakeOption(const OptionIndex& index, const Match& match,
                  const std::vector<std::string>& args, std::size_t& i, Typed& typed) {
  const Option& o = *match.option;
  const std::string name = args[i].substr(0, args[i].find('='));
  switch (o.takes) {
    case Takes::kNothing:
      if (match.attached) return UsageError("option " + name + " takes no value");
      typed.Add(o.key(), "");
      return Ok{};
    case Takes::kMaybeFile:
      if (match.attached) {
        typed.Add("filename", *match.attached);
      } else if (i + 1 < args.size() && !args[i + 1].starts_with('-')) {
        typed.Add("filename", args[++i]);
      } else {
        typed.Add("follow", "");
      }
      return Ok{};
    case Takes::kValue:
    case Takes::kValues:
      break;
  }
  std::string value;
  if (match.attached) {
    value = *match.attached;
  } else {
    if (i + 1 >= args.size()) return UsageError("option " + name + " needs a value: " + o.value);
    if (index.Exact(args[i + 1]) != nullptr) {
      return UsageError("option " + name + " needs a value (" + o.value + "), and " + args[i + 1] +
                        " is an option itself; if you mean it, type " + o.names.back() + "=" +
                        args[i + 1]);
    }
    value = args[++i];
  }
  CML_RETURN_IF_ERROR(CheckChoice(o, name, value));
  typed.Add(o.key(), std::move(value));
  return Ok{};
}

std::vector<const Option*> Pointers(const std::vector<Option>& options) {
  std::vector<const Option*> p;
  for (const Option& o : options) p.push_back(&o);
  return p;
}

// Insertions, deletions, changes and swaps of neighbours.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] =
          std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

}  // namespace

std::string Option::key() const {
  return Canonical("--" + std::string(WithoutDashes(names.back()))).substr(2);
}

std::string Typed::Get(std::string_view key, std::string_view fallback) const {
  return Find(key).value_or(std::string(fallback));
}

std::optional<std::string> Typed::Find(std::string_view key) const {
  const auto it = values_.find(std::string(key));
  if (it == values_.end()) return std::nullopt;
  return it->second.back();
}

std::vector<std::string> Typed::All(std::string_view key) const {
  const auto it = values_.find(std::string(key));
  return it == values_.end() ? std::vector<std::string>{} : it->second;
}

const std::vector<Option>& GlobalOptions() {
  static const std::vector<Option> kOptions = {
      {{"-k", "--context"}, Takes::kValue, "CONTEXT", "context of the configuration file to use"},
      {{"--endpoint"}, Takes::kValue, "URL", "address of the server"},
      {{"--access-key"}, Takes::kValue, "KEY", "access key"},
      {{"--secret-key"},
       Takes::kValue,
       "KEY",
       "secret key (others on this machine can see it: better in the environment or the file)"},
      {{"--fds-endpoint-url"}, Takes::kValue, "URL", "address of the object store"},
      {{"--ca"}, Takes::kValue, "FILE", "authority to trust besides the system's, for https (PEM)"},
      {{"--client-certificate"}, Takes::kValue, "FILE", "certificate to show to the server (PEM)"},
      {{"--client-key"}, Takes::kValue, "FILE", "its key (PEM)"},
      {{"--org_mail"}, Takes::kValue, "ADDRESS", "mail address of the organisation"},
      {{"--org_id"}, Takes::kValue, "ID", "act on another organisation (administrators)"},
      {{"--config-file"}, Takes::kValue, "FILE", "instead of ~/.config/xiaomi/config"},
      {{"--color"},
       Takes::kValue,
       "WHEN",
       "colours: auto (the default), always or never",
       {"auto", "always", "never"}},
      {{"-h", "--help"}, Takes::kNothing, "", "this text"},
  };
  return kOptions;
}

const Command* FindCommand(const std::vector<Command>& commands,
                           const std::vector<std::string>& args) {
  const Command* best = nullptr;
  std::size_t best_words = 0;
  for (const Command& c : commands) {
    const auto words = Split(c.path, ' ');
    if (words.size() > args.size() || words.size() <= best_words) continue;
    if (std::equal(words.begin(), words.end(), args.begin())) {
      best = &c;
      best_words = words.size();
    }
  }
  return best;
}

Result<Typed> ParseArguments(const Command& command, const std::vector<std::string>& args) {
  std::vector<const Option*> options = Pointers(command.options);
  for (const Option& o : GlobalOptions()) options.push_back(&o);
  const OptionIndex index(options);
  Typed typed;
  bool options_over = false;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    if (options_over || word.size() < 2 || word[0] != '-' || ParseInt(word)) {
      typed.AddWord(word);
      continue;
    }
    if (word == "--") {
      options_over = true;
      continue;
    }
    const Match match = FindOption(index, word);
    if (match.option == nullptr) {
      const std::string name = word.substr(0, word.find('='));
      const std::string close = ClosestMatch(name, index.Names());
      return UsageError("unknown option " + Quote(name) + " of " + command.path +
                        (close.empty() ? "" : "; did you mean " + close + "?") +
                        "\nall options: cloudml " + command.path + " --help");
    }
    CML_RETURN_IF_ERROR(TakeOption(index, match, args, i, typed));
  }
  if (typed.Has("help")) return typed;
  const Arguments& want = command.arguments;
  if (typed.words().size() < want.least) {
    return UsageError("cloudml " + command.path + " needs " + want.usage + "\nusage: cloudml " +
                      command.path + " " + want.usage);
  }
  if (typed.words().size() > want.most) {
    return UsageError("unexpected " + Quote(typed.words()[want.most]) + " after cloudml " +
                      command.path + (want.usage.empty() ? "" : " " + want.usage) +
                      "\nall options: cloudml " + command.path + " --help");
  }
  return typed;
}

Result<Typed> TakeGlobalOptions(std::vector<std::string>& args) {
  const OptionIndex index(Pointers(GlobalOptions()));
  Typed typed;
  std::size_t i = 0;
  for (; i < args.size() && args[i].size() > 1 && args[i][0] == '-'; ++i) {
    const Match match = FindOption(index, args[i]);
    if (match.option == nullptr) {
      const std::string close = ClosestMatch(args[i], index.Names());
      return UsageError("unknown option " + Quote(args[i]) +
                        (close.empty() ? "" : "; did you mean " + close + "?") +
                        "\nall commands: cloudml help");
    }
    CML_RETURN_IF_ERROR(TakeOption(index, match, args, i, typed));
  }
  args.erase(args.begin(), args.begin() + static_cast<std::ptrdiff_t>(std::min(i, args.size())));
  return typed;
}

std::string ClosestMatch(std::string_view typed, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, typed.size() / 3) + 1;
  for (const std::string& c : candidates) {
    const std::size_t d = EditDistance(ToLower(typed), ToLower(c));
    if (d < best_distance) {
      best_distance = d;
      best = c;
    }
  }
  if (best.empty() && typed.size() >= 3) {  // "descr"
    for (const std::string& c : candidates) {
      if (c.starts_with(typed)) return c;
    }
  }
  return best;
}

}  // namespace cml::cli
