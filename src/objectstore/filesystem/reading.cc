#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "objectstore/filesystem/objects.h"
#include "objectstore/names.h"

namespace cml::objectstore::filesystem {
namespace {

constexpr std::uint64_t kMostHashedAtOnce = 64U << 20;
constexpr std::size_t kPiece = 256U << 10;
constexpr std::size_t kMostRead = 4U << 20;

std::string What(const std::string& key) { return "key " + Quote(key); }

Error NoObject(const Place& place) {
  return {Code::kNotFound,
          "object " + Quote(place.key) + " does not exist in bucket " + Quote(place.bucket)};
}

bool SameState(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && MtimeNanos(a) == MtimeNanos(b);
}

// A checksum of a file that was changed a moment ago could be of bytes that change again within
// the same tick of the file system's clock.
bool IsSettled(const struct stat& st) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec - st.st_mtim.tv_sec >= 2;
}

struct Object {
  Fd fd;
  struct stat st {};
};

// A regular file that is the organisation's, or a folder that is a marker.
Result<Object> OpenObject(const Shared& shared, int bucket, const Place& place) {
  const bool marker = place.key.ends_with('/');
  std::string_view path = place.key;
  if (marker) path.remove_suffix(1);
  Opened opened = OpenBelow(bucket, path, O_RDONLY | (marker ? O_DIRECTORY : 0));
  if (!opened.fd.valid()) {
    Error error = DiskError(opened.error, What(place.key));
    return error.code() == Code::kNotFound ? NoObject(place) : error;
  }
  Object object{std::move(opened.fd)};
  if (::fstat(object.fd.get(), &object.st) != 0) return DiskError(errno, What(place.key));
  if (marker) {
    if (!IsMarker(shared, object.fd.get())) return NoObject(place);
    return object;
  }
  if (!S_ISREG(object.st.st_mode)) return NoObject(place);
  // The bytes of somebody else, brought in by a hard link.
  const auto owner = shared.owner_of(place.org);
  if (object.st.st_nlink > 1 && owner && object.st.st_uid != owner->uid) return NoObject(place);
  return object;
}

Result<std::string> Md5OfFile(int fd, const std::string& key) {
  crypto::Digester digest(crypto::Hash::kMd5);
  std::string piece(kPiece, '\0');
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(fd, piece.data(), piece.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError(errno, What(key));
    if (n == 0) return crypto::ToHex(digest.Finish());
    digest.Update(std::string_view(piece).substr(0, static_cast<std::size_t>(n)));
    at += n;
  }
}

// Changes with the file, is no MD5, and says so by its form.
std::string EtagOfState(const struct stat& st) {
  const std::string state = std::to_string(st.st_ino) + "/" + std::to_string(st.st_size) + "/" +
                            std::to_string(MtimeNanos(st));
  return crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, state)) + "-0";
}

// What is known of the object, its checksum included; for what a job wrote it is computed now.
Result<Attributes> KnowAll(const Shared& shared, Object& object, const std::string& key) {
  if (auto known = shared.attributes.Load(object.fd.get(), object.st)) return std::move(*known);
  Attributes made;
  if (static_cast<std::uint64_t>(object.st.st_size) > kMostHashedAtOnce) {
    made.etag = EtagOfState(object.st);
    return made;
  }
  CML_ASSIGN_OR_RETURN(made.md5, Md5OfFile(object.fd.get(), key));
  made.etag = made.md5;
  struct stat after {};
  if (::fstat(object.fd.get(), &after) != 0) return DiskError(errno, What(key));
  if (SameState(object.st, after) && IsSettled(after)) {
    // Where it cannot be remembered it is computed again.
    (void)shared.attributes.Save(object.fd.get(), made).ok();
  }
  return made;
}

class Reader final : public ObjectReader {
 public:
  Reader(SharedPtr shared, Object object, const Attributes& attributes, const std::string& key)
      : shared_(std::move(shared)),
        object_(std::move(object)),
        attributes_(attributes),
        info_(MakeInfo(key, object_.st, attributes)) {}

  const ObjectInfo& info() const override { return info_; }

  Result<std::string> Read(std::uint64_t offset, std::size_t most) override {
    if (offset >= info_.size) return std::string();
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>({most, kMostRead, info_.size - offset}));
    std::string bytes(wanted, '\0');
    ssize_t n = -1;
    do {
      n = ::pread(object_.fd.get(), bytes.data(), wanted, static_cast<off_t>(offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return DiskError(errno, What(info_.key));
    if (n == 0 && wanted > 0) {
      return Error(Code::kUnavailable,
                   What(info_.key) + " was changed while it was read; try again");
    }
    bytes.resize(static_cast<std::size_t>(n));
    if (offset != next_) return bytes;
    digest_.Update(bytes);
    next_ += bytes.size();
    if (next_ == info_.size) CML_RETURN_IF_ERROR(CheckWhole());
    return bytes;
  }

 private:
  Status CheckWhole() {
    const std::string md5 = crypto::ToHex(digest_.Finish());
    next_ = ~std::uint64_t{0};  // the digest is used up
    struct stat now {};
    if (::fstat(object_.fd.get(), &now) != 0) return DiskError(errno, What(info_.key));
    if (!SameState(now, object_.st)) return Ok{};  // a job writes to it: nothing to compare with
    if (attributes_.md5.empty()) {
      attributes_.md5 = md5;
      if (IsSettled(now)) (void)shared_->attributes.Save(object_.fd.get(), attributes_).ok();
      return Ok{};
    }
    if (attributes_.md5 == md5) return Ok{};
    return Error(Code::kDataLoss, What(info_.key) +
                                      ": the bytes are not the ones that were stored; the disk has "
                                      "damaged them. Upload it again");
  }

  SharedPtr shared_;
  Object object_;
  Attributes attributes_;
  ObjectInfo info_;
  crypto::Digester digest_{crypto::Hash::kMd5};
  std::uint64_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<ObjectReader>> MakeReader(const SharedPtr& shared, const Place& place) {
  CML_RETURN_IF_ERROR(CheckKey(place.key));
  CML_ASSIGN_OR_RETURN(const Fd bucket, OpenBucket(*shared, place.org, place.bucket));
  CML_ASSIGN_OR_RETURN(Object object, OpenObject(*shared, bucket.get(), place));
  CML_ASSIGN_OR_RETURN(const Attributes attributes, KnowAll(*shared, object, place.key));
  return std::unique_ptr<ObjectReader>(
      new Reader(shared, std::move(object), attributes, place.key));
}

Result<ObjectInfo> StatObject(const Shared& shared, const Place& place) {
  CML_RETURN_IF_ERROR(CheckKey(place.key));
  CML_ASSIGN_OR_RETURN(const Fd bucket, OpenBucket(shared, place.org, place.bucket));
  CML_ASSIGN_OR_RETURN(Object object, OpenObject(shared, bucket.get(), place));
  CML_ASSIGN_OR_RETURN(const Attributes attributes, KnowAll(shared, object, place.key));
  return MakeInfo(place.key, object.st, attributes);
}

}  // namespace cml::objectstore::filesystem
