#include "store/sqlite/alongside.h"

#include "base/strings.h"
#include "codec/document.h"
#include "store/alongside.h"
#include "store/sql_ledger_statements.h"
#include "store/sql_statements.h"
#include "store/sqlite/rows.h"

namespace cml::store::sqlite {
namespace {

std::string LabelsAsJson(const UsageRecord& record) {
  codec::Document labels = codec::Document::Object();
  for (const auto& [key, value] : record.labels) labels.Set(key, value);
  return labels.Dump();
}

// nullopt: there is no such document.
Result<std::optional<Revision>> RevisionOf(Database& db, const Document& document) {
  Query query(db, sql::kDocumentRevision);
  query.Bind(ToString(document.kind)).Bind(document.org.str()).Bind(document.key);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return std::optional<Revision>();
  return std::optional(static_cast<Revision>(query.Number()));
}

Status PutDocument(Database& db, const Document& document) {
  CML_ASSIGN_OR_RETURN(const std::int64_t revision, NextNumber(db, "document"));
  return Query(db, sql::kPutDocument)
      .Bind(ToString(document.kind))
      .Bind(document.org.str())
      .Bind(document.key)
      .Bind(document.body)
      .Bind(ToNumber(document.updated))
      .Bind(revision)
      .Run();
}

Status WriteDocument(Database& db, const DocumentWrite& write) {
  const Document& document = write.document;
  switch (write.act) {
    case DocumentWrite::Act::kInsert: {
      CML_ASSIGN_OR_RETURN(const auto now, RevisionOf(db, document));
      if (now) return Error(Code::kAlreadyExists, NameOf(document) + " exists already");
      return PutDocument(db, document);
    }
    case DocumentWrite::Act::kReplace: {
      CML_ASSIGN_OR_RETURN(const auto now, RevisionOf(db, document));
      if (!now) return Error(Code::kNotFound, NameOf(document) + " does not exist");
      if (*now != document.revision) {
        return Error(Code::kConflict, NameOf(document) + " was changed by somebody else in the meantime; read it again");
      }
      return PutDocument(db, document);
    }
    case DocumentWrite::Act::kPut:
      return PutDocument(db, document);
    case DocumentWrite::Act::kErase:
      return Query(db, sql::kEraseDocument)
          .Bind(ToString(document.kind))
          .Bind(document.org.str())
          .Bind(document.key)
          .Run();
  }
  return Ok{};
}

// false: the store has it already.
Result<bool> AddRecord(Database& db, const PreparedUsage& usage) {
  const UsageRecord& r = *usage.record;
  Query query(db, sql::kAddUsage);
  query.Bind(r.id)
      .Bind(r.kind)
      .Bind(r.org.str())
      .Bind(r.user)
      .Bind(r.key.str())
      .Bind(r.resource.str())
      .Bind(r.name)
      .Bind(usage.labels)
      .Bind(r.millicores)
      .Bind(r.memory_bytes)
      .Bind(r.gpus)
      .Bind(r.gpu_model)
      .Bind(r.storage_bytes)
      .Bind(ToNumber(r.from))
      .Bind(ToNumber(r.to));
  CML_ASSIGN_OR_RETURN(const bool added, query.Step());
  CML_RETURN_IF_ERROR(query.Run());
  return added;
}

Status WriteUsage(Database& db, const PreparedUsage& usage) {
  CML_ASSIGN_OR_RETURN(const bool added, AddRecord(db, usage));
  if (!added) return Ok{};
  const UsageRecord& r = *usage.record;
  for (const UsageOfDay& part : usage.days) {
    Query day(db, sql::kAddUsageDay);
    day.Bind(ToNumber(part.day)).Bind(r.org.str()).Bind(r.kind).Bind(r.gpu_model).Bind(r.user);
    CML_RETURN_IF_ERROR(BindUsageSums(day, part.sums).Run());
    for (const auto& [key, value] : r.labels) {
      Query label(db, sql::kAddUsageLabel);
      label.Bind(key).Bind(ToNumber(part.day)).Bind(r.org.str()).Bind(r.kind).Bind(r.gpu_model).Bind(value);
      CML_RETURN_IF_ERROR(BindUsageSums(label, part.sums).Run());
    }
  }
  return Query(db, sql::kRaiseNumber)
      .Bind((r.to - r.from).count())
      .Bind(std::string_view("usage_longest"))
      .Run();
}

}  // namespace

Result<Prepared> Prepare(const Alongside& with) {
  Prepared prepared{&with, {}, {}};
  for (const AuditEntry& entry : with.audit) prepared.lines.push_back(LineOf(entry));
  for (const UsageRecord& record : with.usage) {
    CML_RETURN_IF_ERROR(CheckUsage(record));
    prepared.usage.push_back({&record, LabelsAsJson(record), SplitByDay(record)});
  }
  return prepared;
}

Status WriteAlongside(Writer writer, Prepared& prepared) {
  for (const DocumentWrite& write : prepared.with->documents) {
    CML_RETURN_IF_ERROR(WriteDocument(writer.db, write));
  }
  for (AuditLine& line : prepared.lines) CML_RETURN_IF_ERROR(writer.ledger.AppendAudit(writer.db, line));
  for (const PreparedUsage& usage : prepared.usage) CML_RETURN_IF_ERROR(WriteUsage(writer.db, usage));
  return Ok{};
}

Result<std::int64_t> NextNumber(Database& db, std::string_view name) {
  Query query(db, sql::kNextNumber);
  query.Bind(name);
  CML_ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return Error(Code::kDataLoss, "the database lacks the number " + Quote(name));
  const std::int64_t number = query.Number();
  CML_RETURN_IF_ERROR(query.Run());
  return number;
}

}  // namespace cml::store::sqlite
