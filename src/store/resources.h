// store/resources.h — the store's rows of one kind as values of their type.
//
// R is a resource of core/: R::kKind, R::meta, R::wish (with a flag `deleted`), R::record, free
// functions IsUnfinished(const R&) and ReservationOf(const R&), and a codec::ResourceCodec<R>. Include codec/<R>_json.h where
// you use it. Thread-safe, owns nothing, and fails as store.h says; kDataLoss when a row is not
// what the codec wrote (the message names the resource).
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "codec/resource_codec.h"
#include "store/store.h"

namespace cml::store {

// A value and the revision at which it was read, for a save that must not overwrite others'.
template <class R>
struct Stored {
  R value;
  Revision revision{};
};

template <class R>
class Resources {
 public:
  explicit Resources(Store& store) : store_(&store) {}

  Result<Revision> Create(const R& value, const Alongside& with) const {
    return store_->Insert(ToRow(value, Revision{}), with);
  }
  // The live one of that name, else the newest one being deleted.
  Result<Stored<R>> Find(const OrgId& org, const std::string& name) const {
    CML_ASSIGN_OR_RETURN(Row row, store_->Find(R::kKind, org, name));
    return FromRow(std::move(row));
  }
  std::uint64_t NameStamp(const OrgId& org, const std::string& name) const {
    return store_->NameStamp(R::kKind, org, name);
  }
  Result<Stored<R>> Get(const ResourceId& id) const {
    CML_ASSIGN_OR_RETURN(Row row, store_->Get(R::kKind, id));
    return FromRow(std::move(row));
  }
  Result<std::vector<Stored<R>>> List(const ListQuery& query) const {
    CML_ASSIGN_OR_RETURN(std::vector<Row> rows, store_->List(R::kKind, query));
    std::vector<Stored<R>> all;
    all.reserve(rows.size());
    for (Row& row : rows) {
      CML_ASSIGN_OR_RETURN(Stored<R> one, FromRow(std::move(row)));
      all.push_back(std::move(one));
    }
    return all;
  }
  Result<std::vector<ResourceId>> ListUnfinished() const {
    return store_->ListUnfinished(R::kKind);
  }
  Result<std::uint64_t> CountUnfinished() const { return store_->CountUnfinished(R::kKind); }

  // Writes the wish and meta.updated; the record stays as it is in the store.
  Result<Revision> SaveWish(const Stored<R>& stored, const Alongside& with = {}) const {
    return store_->SaveWish(ToRow(stored.value, stored.revision), with);
  }
  // Writes the record, its state and meta.updated; the wish stays as it is in the store.
  Result<Revision> SaveRecord(const Stored<R>& stored, LeaderToken leader,
                              const Alongside& with = {}) const {
    return store_->SaveRecord(ToRow(stored.value, stored.revision), leader, with);
  }
  Status Erase(const Stored<R>& stored, LeaderToken leader, const Alongside& with = {}) const {
    Row row;
    row.kind = R::kKind;
    row.meta = stored.value.meta;
    row.revision = stored.revision;
    return store_->Erase(row, leader, with);
  }

  // Makes the rows hold what ReservationOf() says today, where an older version wrote them: all that
  // a newer one finds unfinished when it starts. Once per kReservationRules; cheap after that.
  Status RepairReservations(LeaderToken leader) const {
    const std::string key = "reservations/" + std::string(ToString(R::kKind));
    const std::string rules = std::to_string(kReservationRules);
    const auto done = store_->GetDocument(DocumentKind::kSetting, OrgId(), key);
    if (done.ok() && done.value().body == rules) return Ok{};
    if (!done.ok() && done.error().code() != Code::kNotFound) return done.error();
    CML_ASSIGN_OR_RETURN(const std::vector<ResourceId> ids, ListUnfinished());
    for (const ResourceId& id : ids) CML_RETURN_IF_ERROR(RepairReservation(id, leader));
    DocumentWrite mark;
    mark.document.kind = DocumentKind::kSetting;
    mark.document.key = key;
    mark.document.body = rules;
    Alongside all;
    all.documents.push_back(std::move(mark));
    return store_->Commit(all);
  }

  Status AddEvent(const ResourceId& id, const Event& event) const {
    return store_->AddEvent(R::kKind, id, event);
  }
  Result<std::vector<Event>> Events(const ResourceId& id) const {
    return store_->Events(R::kKind, id);
  }

  Store& store() const { return *store_; }

 private:
  // Raised with every change of a ReservationOf(), so that what waits or runs is counted anew.
  static constexpr int kReservationRules = 1;

  Status RepairReservation(const ResourceId& id, LeaderToken leader) const {
    for (;;) {
      const auto row = store_->Get(R::kKind, id);
      if (!row.ok()) return row.error().code() == Code::kNotFound ? Status(Ok{}) : row.error();
      const auto read = FromRow(row.value());
      if (!read.ok()) return Ok{};  // its controller says so each time that it looks at it
      Row right = row.value();
      right.reserved = ReservationOf(read.value().value);
      if (right.reserved == row.value().reserved) return Ok{};
      const auto saved = store_->SaveRecord(right, leader, {});
      if (saved.ok()) return Ok{};
      if (saved.error().code() != Code::kConflict) return saved.error();
    }
  }

  using Codec = codec::ResourceCodec<R>;

  static Row ToRow(const R& value, Revision revision) {
    Row row;
    row.kind = R::kKind;
    row.meta = value.meta;
    row.wish = Codec::Wish(value);
    row.record = Codec::Record(value);
    row.state = Codec::State(value);
    row.live = !value.wish.deleted;
    row.unfinished = IsUnfinished(value);
    row.reserved = ReservationOf(value);
    row.revision = revision;
    return row;
  }
  static Result<Stored<R>> FromRow(Row row) {
    Stored<R> stored;
    stored.value.meta = std::move(row.meta);
    stored.revision = row.revision;
    Status read = Codec::FromWish(row.wish, stored.value);
    if (read.ok()) read = Codec::FromRecord(row.record, stored.value);
    if (read.ok()) return stored;
    const std::string what =
        std::string(ToString(R::kKind)) + " " + stored.value.meta.name + " cannot be read back";
    return Error(Code::kDataLoss, what)
        .While("id " + stored.value.meta.id.str() + ": " + read.error().message() + " " +
               read.error().detail());
  }

  Store* store_;
};

}  // namespace cml::store
