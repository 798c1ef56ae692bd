// Webhooks: where an organisation is told of its jobs.
#include "base/strings.h"
#include "cli/context.h"
#include "cli/groups.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string PathOf(const std::string& id) { return "/webhook/" + Rest::Segment(id); }

std::string EventsOf(const Document& hook) {
  std::vector<std::string> events;
  for (const Document& event : hook.Get("events").Items()) events.push_back(event.Text());
  return Join(events, ", ");
}

Document RequestOf(const Typed& typed) {
  Document body = Document::Object();
  for (const char* name : {"url", "description", "secret"}) {
    if (typed.Has(name)) body.Set(name, typed.Get(name));
  }
  if (typed.Has("event")) {
    Document events = Document::Array();
    for (const std::string& text : typed.All("event")) {
      for (const std::string_view event : Split(text, ',')) events.Append(Document::String(event));
    }
    body.Set("events", events);
  }
  return body;
}

void Print(Context& context, const Document& hook) {
  const auto line = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) context.Out(PadRight(name, 14) + OneLine(value) + "\n");
  };
  line("webhook", hook.Get("webhook_id").Text());
  line("url", hook.Get("url").Text());
  line("events", EventsOf(hook));
  line("active", hook.Get("active").Bool() ? "yes" : "no");
  line("description", hook.Get("description").Text());
  line("created", ShowTime(hook.Get("created_at").Text(), context.Now(), context.OutTimes()));
  line("secret", hook.Get("secret").Text());
}

Outcome Create(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Create("/webhook", RequestOf(typed).Dump()));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Print(context, reply.body);
  context.Err("the secret is shown this once: the receiver checks signatures with it\n");
  return ExitCode::kOk;
}

Outcome List(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get("/webhook"));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"WEBHOOK"}, {"ACTIVE"}, {"EVENTS"}, {"URL"}});
  for (const Document& hook : reply.body.Get("data").Items()) {
    const bool active = hook.Get("active").Bool();
    table.Add({{hook.Get("webhook_id").Text()}, {active ? "yes" : "no", active ? Tone::kGood : Tone::kWaiting},
               {EventsOf(hook)}, {OneLine(hook.Get("url").Text())}});
  }
  if (table.empty()) {
    context.Err("no webhooks; make one: cloudml webhook create --url https://example.com/hook\n");
  } else {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

Outcome Describe(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(PathOf(typed.word())));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    Print(context, reply.body);
  }
  return ExitCode::kOk;
}

Outcome Update(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  Document body = RequestOf(typed);
  if (typed.Has("on") && typed.Has("off")) return Error(Code::kInvalidArgument, "--on or --off, not both");
  if (typed.Has("on")) body.Set("active", Document::Boolean(true));
  if (typed.Has("off")) body.Set("active", Document::Boolean(false));
  if (body.size() == 0) return Error(Code::kInvalidArgument, "nothing to change; for instance --off, or --event train_job.failed");
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Patch(PathOf(typed.word()), body.Dump()));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    Print(context, reply.body);
  }
  return ExitCode::kOk;
}

Outcome Delete(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  return context.ForEach(typed.words(), [&](const std::string& id) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Delete(PathOf(id)));
    context.Out(OneLine(reply.body.Get("message").Text()) + "\n");
    return ExitCode::kOk;
  });
}

Outcome Test(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Post(PathOf(typed.word()) + "/test", ""));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
  } else {
    context.Out("delivery " + OneLine(reply.body.Get("delivery_id").Text()) +
                " is on its way; see what became of it: cloudml webhook deliveries " + typed.word() + "\n");
  }
  return ExitCode::kOk;
}

Outcome Deliveries(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(Rest* const rest, context.rest());
  const std::string limit = typed.Get("limit", "20");
  CML_ASSIGN_OR_RETURN(const ApiReply reply, rest->Get(PathOf(typed.word()) + "/deliveries", "limit=" + net::PercentEncode(limit)));
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(reply.body);
    return ExitCode::kOk;
  }
  Table table({{"DELIVERY"}, {"EVENT"}, {"STATE"}, {"WHEN"}, {"TRIES", Column::Align::kRight}, {"STATUS"}, {"WHY"}});
  for (const Document& d : reply.body.Get("data").Items()) {
    const std::string state = d.Get("state").Text();
    const Tone tone = state == "delivered" ? Tone::kGood : state == "failed" ? Tone::kBad : Tone::kWaiting;
    std::string why = OneLine(d.Get("message").Text());
    if (state == "pending" && !why.empty()) {
      why += "; again at " + ShowTime(d.Get("next_attempt_at").Text(), context.Now(), TimeStyle::kExact);
    }
    table.Add({{d.Get("delivery_id").Text()}, {d.Get("event").Text()}, {state, tone},
               {ShowTime(d.Get("created_at").Text(), context.Now(), context.OutTimes())},
               {d.Get("attempts").Text()}, {d.Get("status").Text()}, {why}});
  }
  if (table.empty()) {
    context.Err("nothing has been told yet; try it: cloudml webhook test " + typed.word() + "\n");
  } else {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return ExitCode::kOk;
}

std::vector<Option> FieldOptions() {
  return {{{"--url"}, Takes::kValue, "URL", "where it is told: http or https"},
          {{"--event"}, Takes::kValues, "EVENT", "train_job.failed, train_job.*, *; several with ',' (train_job.*)"},
          {{"--description"}, Takes::kValue, "TEXT", "what it is for"},
          {{"--secret"}, Takes::kValue, "SECRET", "what deliveries are signed with; 16 to 128 characters"}};
}

}  // namespace

std::vector<Command> WebhookCommands() {
  std::vector<Option> create = FieldOptions(), update = FieldOptions();
  create.push_back(OutputOption());
  update.push_back({{"--on"}, Takes::kNothing, "", "tell it again"});
  update.push_back({{"--off"}, Takes::kNothing, "", "tell it nothing; what waits is given up"});
  update.push_back(OutputOption());
  return {
      {"webhook create", {}, "tell a URL of the organisation's jobs",
       "Deliveries are signed: docs/guide/webhooks.md shows how a receiver checks them.", create, Create},
      {"webhook list", {}, "the organisation's webhooks", "", {OutputOption()}, List},
      {"webhook describe", {"WEBHOOK", 1, 1, ""}, "one webhook", "", {OutputOption()}, Describe},
      {"webhook update", {"WEBHOOK", 1, 1, ""}, "change a webhook", "", update, Update},
      {"webhook delete", {"WEBHOOK…", 1, kAnyNumber, ""}, "delete webhooks", "", {}, Delete},
      {"webhook test", {"WEBHOOK", 1, 1, ""}, "send it a delivery of the event webhook.test", "", {OutputOption()}, Test},
      {"webhook deliveries",
       {"WEBHOOK", 1, 1, ""},
       "what it was told, newest first, and what became of it",
       "",
       {{{"--limit"}, Takes::kValue, "N", "at most so many (20)"}, OutputOption()},
       Deliveries},
  };
}

}  // namespace cml::cli
