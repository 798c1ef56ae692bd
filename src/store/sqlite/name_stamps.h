// store/sqlite/name_stamps.h — numbers that tell whether the row of a name may have changed.
//
// Thread-safe. Names share a number by their hash: a write to one of them makes others look changed
// too, never the reverse. Right only where all writes of a database go through one object.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "store/store.h"

namespace cml::store::sqlite {

class NameStamps {
 public:
  NameStamps() {
    for (Stamp& stamp : stamps_) stamp = 1;  // 0 would say that the store cannot tell
  }
  NameStamps(const NameStamps&) = delete;
  NameStamps& operator=(const NameStamps&) = delete;

  std::uint64_t Of(ResourceKind kind, const OrgId& org, const std::string& name) const {
    return At(kind, org, name).load();
  }

  // Lives as long as a write of the row: raises its stamp before and after. What was read in
  // between, old or new, is then kept by nobody.
  class Write {
   public:
    Write(NameStamps& stamps, const Row& row)
        : stamp_(stamps.At(row.kind, row.meta.org, row.meta.name)) {
      ++stamp_;
    }
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;
    ~Write() { ++stamp_; }

   private:
    std::atomic<std::uint64_t>& stamp_;
  };

 private:
  using Stamp = std::atomic<std::uint64_t>;
  static constexpr std::size_t kStamps = 1024;

  static std::size_t Index(ResourceKind kind, const OrgId& org, const std::string& name) {
    const std::hash<std::string> hash;
    return (hash(name) * 31 + hash(org.str()) * 7 + static_cast<std::size_t>(kind)) % kStamps;
  }
  const Stamp& At(ResourceKind kind, const OrgId& org, const std::string& name) const {
    return stamps_[Index(kind, org, name)];
  }
  Stamp& At(ResourceKind kind, const OrgId& org, const std::string& name) {
    return stamps_[Index(kind, org, name)];
  }

  std::array<Stamp, kStamps> stamps_;
};

}  // namespace cml::store::sqlite
