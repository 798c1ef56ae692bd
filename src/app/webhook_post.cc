#include "app/webhook_post.h"

#include <fmt/format.h>

#include "crypto/digest.h"
#include "net/guarded_post.h"

namespace cml::app {

std::string SignatureOf(const service::WebhookCourier::Letter& letter) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(letter.at.time_since_epoch()).count();
  const std::string text = fmt::format("{}.{}", seconds, letter.body);
  return fmt::format("t={},v1={}", seconds, crypto::ToHex(crypto::Hmac(crypto::Hash::kSha256, letter.secret.Reveal(), text)));
}

Result<int> PostLetter(const service::WebhookCourier::Letter& letter, std::span<const net::AddressRange> allow) {
  net::GuardedRequest request;
  request.url = letter.url;
  request.body = letter.body;
  request.headers.Add("Content-Type", "application/json");
  request.headers.Add("User-Agent", "cloudml-webhook/1");
  request.headers.Add("X-Cloudml-Event", letter.event);
  request.headers.Add("X-Cloudml-Delivery", letter.id);
  request.headers.Add("X-Cloudml-Signature", SignatureOf(letter));
  CML_ASSIGN_OR_RETURN(const net::GuardedReply reply, net::GuardedPost(request, allow));
  return reply.status;
}

}  // namespace cml::app
