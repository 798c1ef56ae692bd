// app/webhook_post.h — one delivery of a webhook as an HTTP request: its headers and its signature
// (docs/guide/webhooks.md). Thread-safe; blocks for ten seconds at most.
#pragma once
#include <span>

#include "net/address_rules.h"
#include "service/webhook_courier.h"

namespace cml::app {

// The status of the answer; codes are those of net/guarded_post.h.
Result<int> PostLetter(const service::WebhookCourier::Letter& letter, std::span<const net::AddressRange> allow);

// "t=<seconds>,v1=<hexadecimal HMAC-SHA256 of "<seconds>.<body>">". Pure.
std::string SignatureOf(const service::WebhookCourier::Letter& letter);

}  // namespace cml::app
