// The steps of the front that the object store's requests take, too: its own door knows their
// signatures (api/objects/), here they are counted, audited and logged.
#include <utility>

#include "api/front_visit.h"
#include "api/http_error.h"
#include "api/object_audit.h"

namespace cml::api {

// An upload on its way to the store, and its line when it is over. One that the client breaks off
// has changed nothing and leaves none.
class Front::WatchedSink final : public net::BodySink {
 public:
  WatchedSink(Front& front, net::Request head, std::shared_ptr<Visit> visit, std::unique_ptr<net::BodySink> inner)
      : front_(front), head_(std::move(head)), visit_(std::move(visit)), inner_(std::move(inner)) {}

  Status Write(std::string_view bytes) override { return inner_->Write(bytes); }
  net::Response Finish() override { return front_.FinishOther(head_, *visit_, inner_->Finish()); }
  net::Response Failed(const Error& error) override {
    return front_.FinishOther(head_, *visit_, inner_->Failed(error));
  }

 private:
  Front& front_;
  const net::Request head_;
  const std::shared_ptr<Visit> visit_;
  const std::unique_ptr<net::BodySink> inner_;
};

net::Route Front::RouteOther(const net::Request& head) {
  auto visit = std::make_shared<Visit>();
  ObjectDeed deed = DeedOf(head);
  visit->context = {head.id, PeerOf(head), std::move(deed.action), {}, {}};
  visit->address = head.peer;
  visit->changes = deed.changes;
  visit->target = std::move(deed.target);
  net::Route route = other_(head, [this, visit](const service::Caller& caller) { return AdmitOther(*visit, caller); });
  if (route.sink) {
    route.sink = std::make_unique<WatchedSink>(*this, head, std::move(visit), std::move(route.sink));
    return route;
  }
  route.handle = [this, visit, inner = std::move(route.handle)](const net::Request& request) {
    if (visit->changes) visit->before = ObjectsNamedIn(request);
    return FinishOther(request, *visit, inner(request));
  };
  return route;
}

Status Front::AdmitOther(Visit& visit, const service::Caller& caller) {
  visit.caller = caller;
  visit.known = true;
  CML_RETURN_IF_ERROR(Throttle(visit));
  if (!visit.changes || d_.audit == nullptr) return Ok{};
  return d_.audit->Writable();
}

net::Response Front::FinishOther(const net::Request& request, Visit& visit, net::Response answer) {
  if (!visit.known && (answer.status == 401 || answer.status == 403)) {
    const Error refused = Refuse(visit, Error(Code::kUnauthenticated, MessageIn(answer)));
    if (refused.code() == Code::kThrottled) answer = ErrorResponse(refused, request);
  } else if (visit.changes && !visit.throttled) {
    visit.after = ObjectLeftBy(answer);
    const Status audited = Audit(visit, answer.status, MessageIn(answer));
    if (!audited.ok()) {
      answer = ErrorResponse(Error(Code::kUnavailable, "it is done, but not in the audit yet: " + audited.error().message()), request);
    }
  }
  Log(request, visit, answer);
  return answer;
}

}  // namespace cml::api
