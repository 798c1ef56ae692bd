// cli/identity.h — what the commands about organisations, users and keys share.
#pragma once
#include <string>

#include "cli/context.h"

namespace cml::cli {

// "--yes": do not ask.
Option YesOption();
// Asks that `name` be typed before something goes for good. kInvalidArgument: another word was
// typed, or there is nobody to ask and no --yes.
Status Confirm(Context& context, const Typed& typed, const std::string& name, const std::string& what_goes);

// "--org ORG": act in another organisation, by name or number.
Option OrgOption();
Status ActForTyped(Context& context, const Typed& typed);

// "5m", "24h", "30d", "0": seconds. kInvalidArgument names the option.
Result<std::int64_t> SecondsOf(const std::string& option, const std::string& text);

// The answer of a verb: its message, or `otherwise`; as JSON where that was asked for.
void ShowDone(Context& context, const Typed& typed, const codec::Document& answer, const std::string& otherwise);

// "name   value" lines of a description, aligned; empty values are left out.
class Lines {
 public:
  void Add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
  std::string Render() const;

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

}  // namespace cml::cli
