#include "store/audit_chain.h"

#include "crypto/digest.h"

namespace cml::store {
namespace {

std::string Line(std::uint64_t seq) { return "audit line " + std::to_string(seq); }

}  // namespace

std::string_view FirstAuditHash() {
  return "0000000000000000000000000000000000000000000000000000000000000000";
}

std::string AuditHash(std::string_view hash_before, const AuditLine& line) {
  thread_local std::string text;  // kept: a million lines are hashed in a row
  text.assign(hash_before);
  text += '\n';
  text += std::to_string(line.seq);
  text += '\n';
  text += std::to_string(line.at.time_since_epoch().count());
  text += '\n';
  text += line.org.str();
  text += '\n';
  text += line.text;
  text += '\n';
  return crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, text));
}

std::string AuditMac(const Secret& key, std::uint64_t seq, std::string_view hash) {
  if (key.empty()) return {};
  const std::string text = "audit head\n" + std::to_string(seq) + "\n" + std::string(hash) + "\n";
  return crypto::ToHex(crypto::Hmac(crypto::Hash::kSha256, key.Reveal(), text));
}

bool AuditCheck::Wrong(std::uint64_t seq, std::string message) {
  verdict_.wrong = seq;
  verdict_.message = std::move(message);
  return false;
}

bool AuditCheck::Take(const AuditLine& line) {
  const std::uint64_t expected = verdict_.lines + 1;
  if (line.seq != expected) return Wrong(expected, Line(expected) + " is missing");
  const std::string_view before = verdict_.lines == 0 ? FirstAuditHash() : verdict_.head;
  if (AuditHash(before, line) != line.hash) {
    return Wrong(expected, Line(expected) + " was altered, or the line before it: its hash does not follow");
  }
  verdict_.lines = line.seq;
  verdict_.head = line.hash;
  return true;
}

AuditVerdict AuditCheck::Finish(const AuditHead& head, const Secret& key) {
  AuditVerdict& v = verdict_;
  if (v.wrong != 0) return v;
  if (v.lines < head.seq) {
    Wrong(v.lines + 1, Line(v.lines + 1) + " is missing, with all after it up to " + std::to_string(head.seq));
  } else if (v.lines > head.seq) {
    Wrong(head.seq + 1, Line(head.seq + 1) + " stands behind the last one that this platform wrote");
  } else if (v.lines > 0 && v.head != head.hash) {
    Wrong(v.lines, Line(v.lines) + " was altered: it is not the last one that this platform wrote");
  } else if (!key.empty() && !crypto::ConstantTimeEquals(AuditMac(key, head.seq, head.hash), head.mac)) {
    // An empty audit has its signature too, so that it cannot be emptied unseen.
    Wrong(v.lines + 1, Line(v.lines + 1) + " may be missing: the end of the audit does not bear this platform's signature");
  }
  return v;
}

}  // namespace cml::store
