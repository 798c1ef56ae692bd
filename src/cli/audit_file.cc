#include "cli/audit_file.h"

#include <fmt/format.h>

#include "codec/document.h"
#include "crypto/digest.h"

namespace cml::cli {

using codec::Document;

bool AuditFileCheck::Wrong(std::string message) {
  wrong_ = std::move(message);
  return false;
}

bool AuditFileCheck::Take(std::string_view text) {
  if (!wrong_.empty()) return false;
  const std::uint64_t place = lines_ + 1;
  auto parsed = Document::Parse(text);
  if (!parsed.ok()) return Wrong(fmt::format("line {} of the file is not JSON: {}", place, parsed.error().message()));
  const Document& d = parsed.value();
  if (ended_) return Wrong("there are lines behind the end");
  if (d.Get("end").Bool()) {
    ended_ = true;
    scope_ = d.Get("scope").Str();
    const auto number = static_cast<std::uint64_t>(d.Get("number").Int());
    if (static_cast<std::uint64_t>(d.Get("lines").Int()) != lines_) {
      return Wrong(fmt::format("the file says it has {} lines, there are {}", d.Get("lines").Int(), lines_));
    }
    if (scope_ != "all") return true;
    if (gaps_ > 0) return Wrong("lines are missing");
    if (number != number_ || d.Get("hash").Str() != hash_) {
      return Wrong(fmt::format("audit line {} is missing, with all after it up to {}", number_ + 1, number));
    }
    return true;
  }
  const auto number = static_cast<std::uint64_t>(d.Get("number").Int());
  const std::string before = d.Get("before").Str(), hash = d.Get("hash").Str();
  if (number <= number_) return Wrong(fmt::format("audit line {} follows line {}", number, number_));
  if (number != number_ + 1) {
    ++gaps_;  // of one organisation; of all it is an error, which the end tells
  } else if (before != hash_) {
    return Wrong(fmt::format("audit line {} does not follow line {}: one of them was altered", number, number_));
  }
  const std::string hashed = fmt::format("{}\n{}\n{}\n{}\n{}\n", before, number, d.Get("at").Int(), d.Get("org").Str(),
                                         d.Get("line").Str());
  if (crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, hashed)) != hash) {
    return Wrong(fmt::format("audit line {} was altered: its hash is another", number));
  }
  number_ = number;
  hash_ = hash;
  ++lines_;
  return true;
}

std::string AuditFileCheck::Finish() {
  if (wrong_.empty() && !ended_) wrong_ = fmt::format("the file has no end: it is cut after {} lines", lines_);
  return wrong_;
}

}  // namespace cml::cli
