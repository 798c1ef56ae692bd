#include "service/storage_meter.h"

#include <algorithm>
#include <limits>

#include "codec/usage_json.h"

namespace cml::service {

UsageRecord StorageUsage(const OrgId& org, SysTime from, SysTime to, std::int64_t bytes) {
  UsageRecord record;
  record.id = "storage/" + org.str() + "/" + std::to_string(from.time_since_epoch().count());
  record.kind = "storage";
  record.org = org;
  record.storage_bytes = bytes;
  record.from = from;
  record.to = std::max(from, to);
  return record;
}

Status StorageMeter::Read() {
  CML_ASSIGN_OR_RETURN(const std::vector<Org> orgs, d_.store.ListOrgs());
  Status first = Ok{};
  for (const Org& org : orgs) {
    Status read = ReadOne(org.id);
    if (!read.ok() && first.ok()) first = std::move(read);
  }
  return first;
}

Status StorageMeter::ReadOne(const OrgId& org) {
  CML_ASSIGN_OR_RETURN(const std::uint64_t bytes, d_.objects.Size(org));
  const auto before = d_.store.GetDocument(store::DocumentKind::kSetting, org, kStorageReading);
  if (!before.ok() && before.error().code() != Code::kNotFound) return before.error();

  codec::StorageReading now{d_.clock.Now(), 0};
  now.bytes = static_cast<std::int64_t>(
      std::min<std::uint64_t>(bytes, std::numeric_limits<std::int64_t>::max()));
  store::Alongside with;
  store::DocumentWrite write;
  write.document.kind = store::DocumentKind::kSetting;
  write.document.org = org;
  write.document.key = kStorageReading;
  write.act = store::DocumentWrite::Act::kInsert;
  if (before.ok()) {
    CML_ASSIGN_OR_RETURN(const auto last, codec::DecodeStorageReading(before.value().body));
    if (now.at <= last.at) return Ok{};  // the clock was set back: wait until it has come by
    if (last.bytes > 0) with.usage.push_back(StorageUsage(org, last.at, now.at, last.bytes));
    write.act = store::DocumentWrite::Act::kReplace;
    write.document.revision = before.value().revision;
  }
  write.document.body = codec::EncodeStorageReading(now);
  write.document.updated = now.at;
  with.documents.push_back(std::move(write));
  return d_.store.Commit(with);
}

}  // namespace cml::service
