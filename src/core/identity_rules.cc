#include "core/identity_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace cml {
namespace {

constexpr std::size_t kMostName = 63;  // a DNS label, as names become host names
constexpr std::size_t kMostMail = 254;
constexpr std::size_t kMostText = 1'000;

constexpr bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsAlnum(char c) { return IsLower(c) || IsDigit(c) || (c >= 'A' && c <= 'Z'); }

Error Wrong(std::string_view field, std::string_view value, std::string_view rule) {
  return Error(Code::kInvalidArgument, fmt::format("{} {}: {}", field, Quote(value), rule));
}

std::string NearestName(std::string_view name) {
  std::string out;
  for (const char c : ToLower(name)) {
    if (IsLower(c) || IsDigit(c)) out += c;
    else if (!out.empty() && out.back() != '-') out += '-';
  }
  if (out.size() > kMostName) out.resize(kMostName);
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

Status CheckOrgName(const std::string& name) {
  if (name.empty()) return Error(Code::kInvalidArgument, "org_name: missing; give the organisation a name");
  if (ParseUnsigned(name)) {
    return Wrong("org_name", name, fmt::format("a name that is a number would be taken for an id; try \"org-{}\"", name));
  }
  const bool good = name.size() <= kMostName && name.front() != '-' && name.back() != '-' &&
                    std::all_of(name.begin(), name.end(), [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
  if (good) return Ok{};
  std::string rule = fmt::format("1 to {} lower-case letters, digits and '-', starting and ending with a letter or digit",
                                 kMostName);
  if (const std::string nearest = NearestName(name); !nearest.empty() && !ParseUnsigned(nearest)) {
    rule += fmt::format("; try \"{}\"", nearest);
  }
  return Wrong("org_name", name, rule);
}

Status CheckMail(std::string_view field, const std::string& mail) {
  if (mail.empty()) return Ok{};
  const auto at = mail.find('@');
  const bool good = mail.size() <= kMostMail && at != std::string::npos && at > 0 && at + 1 < mail.size() &&
                    mail.find('@', at + 1) == std::string::npos &&
                    std::all_of(mail.begin(), mail.end(), [](char c) { return c > ' ' && c < 0x7F && c != ',' && c != '<' && c != '>' && c != '"'; });
  return good ? Status(Ok{}) : Wrong(field, mail, "a mail address, for instance ann@example.com");
}

Status CheckText(std::string_view field, const std::string& text, std::size_t most = kMostText) {
  if (text.size() > most) {
    return Error(Code::kInvalidArgument, fmt::format("{}: {} bytes; at most {} are allowed", field, text.size(), most));
  }
  if (!IsValidUtf8(text)) return Error(Code::kInvalidArgument, fmt::format("{}: it is not valid UTF-8", field));
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })) {
    return Wrong(field, text, "one line without control characters");
  }
  return Ok{};
}

Status CheckUserName(const std::string& name) {
  if (name.empty()) return Error(Code::kInvalidArgument, "user: missing; give the user a name");
  const bool good = name.size() <= kMostName && IsAlnum(name.front()) &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return IsAlnum(c) || c == '-' || c == '_' || c == '.' || c == '@';
                    });
  if (good) return Ok{};
  return Wrong("user", name, fmt::format("1 to {} letters, digits, '-', '_', '.' and '@', starting with a letter or digit", kMostName));
}

}  // namespace

Status Validate(const Org& org) {
  CML_RETURN_IF_ERROR(CheckOrgName(org.name));
  CML_RETURN_IF_ERROR(CheckMail("org_mail", org.mail));
  CML_RETURN_IF_ERROR(CheckText("description", org.description));
  CML_RETURN_IF_ERROR(CheckText("project", org.project, 100));
  return CheckText("reason", org.reason);
}

Status Validate(const User& user) {
  CML_RETURN_IF_ERROR(CheckUserName(user.name));
  return CheckMail("mail", user.mail);
}

Status Validate(const ApiKey& key) {
  CML_RETURN_IF_ERROR(CheckText("label", key.label, 200));
  return key.user.empty() ? Status(Ok{}) : CheckUserName(key.user);
}

}  // namespace cml
