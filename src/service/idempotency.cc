#include "service/idempotency.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "codec/document.h"

namespace cml::service {
namespace {

using codec::Document;

bool HasKey(const Caller& caller) { return caller.request != nullptr && !caller.request->idempotency_key.empty(); }

std::string KeyOf(const Caller& caller) { return caller.key.str() + "/" + caller.request->idempotency_key; }

}  // namespace

Result<KnownOnce> FindOnce(store::Store& store, const Caller& caller, SysTime now) {
  if (!HasKey(caller)) return KnownOnce{};
  auto found = store.GetDocument(store::DocumentKind::kIdempotency, caller.org, KeyOf(caller));
  if (!found.ok() && found.error().code() == Code::kNotFound) return KnownOnce{};
  CML_ASSIGN_OR_RETURN(const store::Document document, std::move(found));
  if (now - document.updated > kIdempotencyKept) return KnownOnce{{}, document.revision};
  CML_ASSIGN_OR_RETURN(const Document body, Document::Parse(document.body));
  if (body.Get("fingerprint").Str() != caller.request->fingerprint) {
    return Error(Code::kKeyReused,
                 fmt::format("Idempotency-Key {}: it stands for another request since {}; use a new key for each new "
                             "request, and the same one to repeat a request unchanged",
                             Quote(caller.request->idempotency_key), FormatRfc3339(document.updated)));
  }
  return KnownOnce{body.Get("ref").Str(), document.revision};
}

void KeepOnceIn(store::Alongside& with, const Caller& caller, SysTime now, const KnownOnce& known,
                const std::string& ref) {
  if (!HasKey(caller)) return;
  store::DocumentWrite write;
  write.document.kind = store::DocumentKind::kIdempotency;
  write.document.org = caller.org;
  write.document.key = KeyOf(caller);
  write.document.body = Document::Object().Set("fingerprint", caller.request->fingerprint).Set("ref", ref).Dump();
  write.document.updated = now;
  write.document.revision = known.expired;
  write.act = known.expired == store::Revision{} ? store::DocumentWrite::Act::kInsert
                                                 : store::DocumentWrite::Act::kReplace;
  with.documents.push_back(std::move(write));
}

Error GoneSince(const Caller& caller) {
  return {Code::kFailedPrecondition,
          fmt::format("Idempotency-Key {}: what this request created has been deleted since; use a new key to create it again",
                      Quote(caller.request->idempotency_key))};
}

Status SweepIdempotency(store::Store& store, SysTime now) {
  constexpr int kMostReads = 50;
  store::DocumentQuery query;
  query.kind = store::DocumentKind::kIdempotency;
  for (int reads = 0; reads < kMostReads; ++reads) {
    CML_ASSIGN_OR_RETURN(const auto page, store.ListDocuments(query));
    store::Alongside gone;
    for (const store::Document& document : page) {
      if (now - document.updated > kIdempotencyKept) gone.documents.push_back({document, store::DocumentWrite::Act::kErase});
    }
    if (!gone.documents.empty()) CML_RETURN_IF_ERROR(store.Commit(gone));
    if (page.size() < query.most) return Ok{};
    query.after_org = page.back().org;
    query.after_key = page.back().key;
  }
  return Ok{};
}

}  // namespace cml::service
