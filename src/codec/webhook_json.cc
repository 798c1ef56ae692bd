#include "codec/webhook_json.h"

#include "base/strings.h"
#include "codec/document.h"

namespace cml::codec {
namespace {

Document Millis(SysTime t) { return Document::Integer(t.time_since_epoch().count()); }
SysTime ToTime(const Document& d) { return SysTime{std::chrono::milliseconds{d.Int()}}; }
Document TimeOrNull(SysTime t) { return t == SysTime{} ? Document() : Document::String(FormatRfc3339(t)); }

Document Texts(const std::vector<std::string>& texts) {
  Document list = Document::Array();
  for (const std::string& text : texts) list.Append(Document::String(text));
  return list;
}

Document Shown(const Webhook& hook) {
  return Document::Object()
      .Set("webhook_id", hook.id)
      .Set("org_id", hook.org.str())
      .Set("url", hook.url)
      .Set("events", Texts(hook.events))
      .Set("active", Document::Boolean(hook.active))
      .Set("description", hook.description)
      .Set("created_at", FormatRfc3339(hook.created))
      .Set("updated_at", FormatRfc3339(hook.updated))
      .Set("created_by", hook.created_by);
}

Document Shown(const Delivery& d) {
  return Document::Object()
      .Set("delivery_id", d.id)
      .Set("webhook_id", d.webhook)
      .Set("event", d.event)
      .Set("state", ToString(d.state))
      .Set("attempts", Document::Integer(d.attempts))
      .Set("created_at", FormatRfc3339(d.created))
      .Set("next_attempt_at", TimeOrNull(d.state == DeliveryState::kPending ? d.next : SysTime{}))
      .Set("ended_at", TimeOrNull(d.ended))
      .Set("status", d.status == 0 ? Document() : Document::Integer(d.status))
      .Set("message", d.message);
}

Document Envelope(std::string_view delivery, std::string_view event, SysTime at, const OrgId& org) {
  return Document::Object()
      .Set("delivery_id", delivery)
      .Set("event", event)
      .Set("time", FormatRfc3339(at))
      .Set("org_id", org.str());
}

Error Broken(const char* what) { return {Code::kDataLoss, std::string("a stored ") + what + " cannot be read"}; }

Error Wrong(const std::string& what) { return {Code::kInvalidArgument, what}; }

Status TextIn(const Document& body, const char* name, std::optional<std::string>& into) {
  if (body.Get(name).IsNull()) return Ok{};
  if (!body.Get(name).IsString()) return Wrong(std::string(name) + ": a text is expected");
  into = body.Get(name).Str();
  return Ok{};
}

}  // namespace

Result<WebhookRequest> DecodeWebhookRequest(std::string_view text) {
  auto parsed = Document::Parse(text);
  if (!parsed.ok()) return Wrong("body: " + parsed.error().message());
  const Document& body = parsed.value();
  if (!body.IsObject()) return Wrong("body: a JSON object is expected");
  WebhookRequest request;
  CML_RETURN_IF_ERROR(TextIn(body, "url", request.url));
  CML_RETURN_IF_ERROR(TextIn(body, "secret", request.secret));
  CML_RETURN_IF_ERROR(TextIn(body, "description", request.description));
  if (const Document active = body.Get("active"); !active.IsNull()) {
    if (active.kind() != Document::Kind::kBool) return Wrong("active: true or false");
    request.active = active.Bool();
  }
  if (const Document events = body.Get("events"); !events.IsNull()) {
    if (!events.IsArray()) return Wrong("events: a list of texts is expected, for instance [\"train_job.failed\"]");
    request.events.emplace();
    for (const Document& event : events.Items()) {
      if (!event.IsString()) return Wrong("events: a list of texts is expected, for instance [\"train_job.failed\"]");
      request.events->push_back(event.Str());
    }
  }
  return request;
}

std::string EncodeWebhookRow(const Webhook& h) {
  return Document::Object()
      .Set("id", h.id)
      .Set("org", h.org.str())
      .Set("url", h.url)
      .Set("events", Texts(h.events))
      .Set("active", Document::Boolean(h.active))
      .Set("description", h.description)
      .Set("sealed_secret", h.sealed_secret)
      .Set("created", Millis(h.created))
      .Set("updated", Millis(h.updated))
      .Set("created_by", h.created_by)
      .Dump();
}

Result<Webhook> DecodeWebhookRow(std::string_view json) {
  auto parsed = Document::Parse(json);
  if (!parsed.ok() || !parsed.value().Get("id").IsString()) return Broken("webhook");
  const Document& d = parsed.value();
  Webhook h;
  h.id = d.Get("id").Str();
  h.org = OrgId{d.Get("org").Str()};
  h.url = d.Get("url").Str();
  for (const Document& event : d.Get("events").Items()) h.events.push_back(event.Str());
  h.active = d.Get("active").Bool();
  h.description = d.Get("description").Str();
  h.sealed_secret = d.Get("sealed_secret").Str();
  h.created = ToTime(d.Get("created"));
  h.updated = ToTime(d.Get("updated"));
  h.created_by = d.Get("created_by").Str();
  return h;
}

std::string EncodeDeliveryRow(const Delivery& d) {
  return Document::Object()
      .Set("id", d.id)
      .Set("webhook", d.webhook)
      .Set("org", d.org.str())
      .Set("event", d.event)
      .Set("body", d.body)
      .Set("state", ToString(d.state))
      .Set("attempts", Document::Integer(d.attempts))
      .Set("created", Millis(d.created))
      .Set("next", Millis(d.next))
      .Set("ended", Millis(d.ended))
      .Set("status", Document::Integer(d.status))
      .Set("message", d.message)
      .Dump();
}

Result<Delivery> DecodeDeliveryRow(std::string_view json) {
  auto parsed = Document::Parse(json);
  if (!parsed.ok() || !parsed.value().Get("id").IsString()) return Broken("delivery");
  const Document& d = parsed.value();
  Delivery out;
  out.id = d.Get("id").Str();
  out.webhook = d.Get("webhook").Str();
  out.org = OrgId{d.Get("org").Str()};
  out.event = d.Get("event").Str();
  out.body = d.Get("body").Str();
  const std::string state = d.Get("state").Str();
  out.state = state == "delivered" ? DeliveryState::kDelivered
              : state == "failed"  ? DeliveryState::kFailed
                                   : DeliveryState::kPending;
  out.attempts = d.Get("attempts").Int();
  out.created = ToTime(d.Get("created"));
  out.next = ToTime(d.Get("next"));
  out.ended = ToTime(d.Get("ended"));
  out.status = static_cast<int>(d.Get("status").Int());
  out.message = d.Get("message").Str();
  return out;
}

std::string EncodeWebhook(const Webhook& hook, std::string_view secret) {
  Document shown = Shown(hook);
  if (!secret.empty()) shown.Set("secret", secret);
  return shown.Dump();
}

std::string EncodeWebhooks(const std::vector<Webhook>& hooks) {
  Document rows = Document::Array();
  for (const Webhook& hook : hooks) rows.Append(Shown(hook));
  return Document::Object().Set("data", rows).Dump();
}

std::string EncodeDelivery(const Delivery& delivery) { return Shown(delivery).Dump(); }

std::string EncodeDeliveries(const std::vector<Delivery>& deliveries) {
  Document rows = Document::Array();
  for (const Delivery& delivery : deliveries) rows.Append(Shown(delivery));
  return Document::Object().Set("data", rows).Dump();
}

std::string EncodeWebhookForAudit(const Webhook& hook) {
  const std::size_t host = hook.url.find("://");
  const std::size_t end = host == std::string::npos ? 0 : hook.url.find_first_of("/?", host + 3);
  return Document::Object()
      .Set("url", hook.url.substr(0, end) + (end == std::string::npos ? "" : "/…"))
      .Set("events", Texts(hook.events))
      .Set("active", Document::Boolean(hook.active))
      .Set("description", hook.description)
      .Dump();
}

std::string EncodeJobEvent(std::string_view delivery, std::string_view event, SysTime at, const TrainJob& job) {
  const TrainJobRecord& r = job.record;
  Document about = Document::Object()
                       .Set("job_id", job.meta.id.str())
                       .Set("job_name", job.meta.name)
                       .Set("state", event.substr(event.find('.') + 1))
                       .Set("reason", r.reason)
                       .Set("message", r.message)
                       .Set("exit_code", r.exit_code ? Document::Integer(*r.exit_code) : Document())
                       .Set("node_name", r.placement.node)
                       .Set("retries", Document::Integer(r.retries))
                       .Set("created_at", FormatRfc3339(job.meta.created))
                       .Set("started_at", TimeOrNull(r.started))
                       .Set("ended_at", TimeOrNull(r.ended));
  Document labels = Document::Object();
  for (const auto& [name, value] : job.wish.spec.labels) labels.Set(name, value);
  about.Set("labels", labels);
  return Envelope(delivery, event, at, job.meta.org).Set("train_job", about).Dump();
}

std::string EncodeBudgetEvent(std::string_view delivery, SysTime at, const BudgetNews& news) {
  const BudgetState& state = news.state;
  const Document about = Document::Object()
                             .Set("org_name", news.org_name)
                             .Set("month", news.notice.month)
                             .Set("warn_at", Document::Integer(news.notice.percent))
                             .Set("percent", Document::Integer(state.percent()))
                             .Set("spent", state.spent.ExactText())
                             .Set("amount", Money::OfMicros(state.budget.micros).ExactText())
                             .Set("currency", news.currency)
                             .Set("action", ToString(state.budget.action));
  return Envelope(delivery, EventOf(news.notice), at, state.org).Set("budget", about).Dump();
}

std::string EncodeTestEvent(std::string_view delivery, SysTime at, const Webhook& hook) {
  return Envelope(delivery, "webhook.test", at, hook.org).Set("webhook_id", hook.id).Dump();
}

}  // namespace cml::codec
