#include "objectstore/filesystem/uploads.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <system_error>

#include "base/log.h"
#include "base/random.h"
#include "base/strings.h"
#include "objectstore/names.h"

namespace cml::objectstore::filesystem {
namespace fs = std::filesystem;
namespace {

constexpr int kMostParts = 10000;
constexpr std::uint64_t kLeastPart = 5U << 20;
constexpr std::size_t kIdLength = 32;
constexpr std::size_t kPiece = 256U << 10;
constexpr std::chrono::hours kKept{7 * 24};

// A part as its file says it.
struct PartFile {
  PartInfo info;
  std::string name;
};

fs::path FolderOf(const Shared& shared, const UploadId& id) {
  return shared.folder / ".uploads" / id.org.str() / id.bucket / id.id;
}

// The upload's folder; what an id may look like is checked before it becomes a path.
Result<fs::path> FindUpload(const Shared& shared, const UploadId& id) {
  CML_RETURN_IF_ERROR(OpenBucket(shared, id.org, id.bucket));
  const bool fits = id.id.size() == kIdLength && std::ranges::all_of(id.id, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
                    });
  if (fits) {
    fs::path folder = FolderOf(shared, id);
    std::error_code ignored;
    if (fs::exists(folder / "info", ignored)) return folder;
  }
  return Error(
      Code::kNotFound,
      "upload " + Quote(id.id) + " does not exist; it was completed, aborted or left for a week");
}

Error TransferError(Error error) {
  // Ours to the log, without the path to the client.
  const std::string detail = error.message();
  const Code code = error.code() == Code::kUnavailable ? Code::kUnavailable : Code::kInternal;
  return Error(code, code == Code::kUnavailable ? "upload: no space left in the object store"
                                                : "upload: the object store failed")
      .While(detail);
}

// The newest file of each number, in order.
Result<std::map<int, PartFile>> ReadParts(const fs::path& folder) {
  std::map<int, PartFile> parts;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const auto fields = Split(name, '.');
    if (fields.size() != 3) continue;
    const auto number = ParseInt(fields[0]);
    if (!number || *number < 1 || *number > kMostParts) continue;
    std::error_code gone;
    const std::uint64_t size = it->file_size(gone);
    if (gone) continue;  // replaced meanwhile
    PartFile& part = parts[static_cast<int>(*number)];
    if (part.name > name) continue;
    part = {{static_cast<int>(*number), size, std::string(fields[2])}, name};
  }
  if (error) return DiskError(error.value(), "upload");
  return parts;
}

std::string Padded(std::uint64_t number, std::size_t width) {
  std::string text = std::to_string(number);
  return std::string(width - std::min(width, text.size()), '0') + text;
}

class PartWriter final : public ObjectWriter {
 public:
  PartWriter(SharedPtr shared, UploadId id, int number, StagedFile staged)
      : shared_(std::move(shared)),
        id_(std::move(id)),
        number_(number),
        staged_(std::move(staged)) {}

  Status Write(std::string_view bytes) override { return staged_.Write(bytes); }

  Result<ObjectInfo> Commit() override {
    CML_ASSIGN_OR_RETURN(const fs::path folder, FindUpload(*shared_, id_));
    ObjectInfo info;
    info.size = staged_.size();
    info.etag = staged_.FinishMd5();
    info.modified = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    if (::fsync(staged_.fd()) != 0) return DiskError(errno, "upload");
    const std::string number = Padded(static_cast<std::uint64_t>(number_), 5);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::string sequence = Padded(static_cast<std::uint64_t>(now.count()), 20);
    const std::string name = number + "." + sequence + "." + info.etag;
    const fs::path target = folder / name;
    if (::renameat(shared_->staging.get(), staged_.name().c_str(), AT_FDCWD, target.c_str()) != 0) {
      return DiskError(errno, "upload " + Quote(id_.id));
    }
    staged_.MovedAway();
    if (auto synced = SyncFolder(folder); !synced.ok()) return TransferError(synced.error());
    RemoveOlder(folder, number, name);
    return info;
  }

 private:
  static void RemoveOlder(const fs::path& folder, const std::string& number,
                          const std::string& newest) {
    std::error_code error;
    std::vector<fs::path> old;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.starts_with(number + ".") && name < newest) old.push_back(it->path());
    }
    for (const fs::path& path : old) fs::remove(path, error);
  }

  SharedPtr shared_;
  UploadId id_;
  int number_;
  StagedFile staged_;
};

// The parts that the client wants, each as it was acknowledged.
Result<std::vector<PartFile>> Choose(const std::map<int, PartFile>& there,
                                     const std::vector<PartInfo>& wanted) {
  const auto bad = [](const std::string& text) { return Error(Code::kInvalidArgument, text); };
  std::vector<PartFile> chosen;
  if (wanted.empty()) {
    for (const auto& [number, part] : there) chosen.push_back(part);
  }
  for (const PartInfo& part : wanted) {
    const auto at = there.find(part.number);
    const std::string name = "part " + std::to_string(part.number);
    if (at == there.end()) return bad(name + " was not uploaded");
    if (!part.etag.empty() && part.etag != at->second.info.etag) {
      return bad(name + " has the etag " + at->second.info.etag + " and not " + Quote(part.etag));
    }
    if (!chosen.empty() && chosen.back().info.number >= part.number) {
      return bad(name + ": parts must be listed in ascending order");
    }
    chosen.push_back(at->second);
  }
  if (chosen.empty()) return bad("the upload has no parts");
  for (std::size_t i = 0; i + 1 < chosen.size(); ++i) {
    const PartInfo& part = chosen[i].info;
    if (part.size >= kLeastPart) continue;
    return bad("part " + std::to_string(part.number) + " has " + FormatBytes(part.size) +
               "; every part but the last has at least 5 MiB");
  }
  return chosen;
}

Status Append(StagedFile& staged, const fs::path& file, const std::string& md5) {
  auto opened = OpenFile(file, O_RDONLY);
  if (!opened.ok()) return TransferError(opened.error());
  const Fd fd = std::move(opened).value();
  crypto::Digester digest(crypto::Hash::kMd5);
  std::string piece(kPiece, '\0');
  for (;;) {
    const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError(errno, "upload");
    if (n == 0) break;
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(n));
    digest.Update(bytes);
    CML_RETURN_IF_ERROR(staged.Write(bytes));
  }
  if (crypto::ToHex(digest.Finish()) == md5) return Ok{};
  return Error(Code::kDataLoss, "upload: a part was damaged on the disk; upload it again");
}

struct UploadInfo {
  std::string key;
  Attributes attributes;
};

Result<UploadInfo> ReadInfo(const fs::path& folder) {
  auto text = ReadFile(folder / "info", 65536);
  if (!text.ok()) return TransferError(text.error());
  const std::string info = std::move(text).value();
  const std::size_t end = info.find('\n');
  const struct stat none {};
  auto key = crypto::FromHex(std::string_view(info).substr(0, end));
  auto attributes = end == std::string::npos ? std::nullopt
                                             : Decode(std::string_view(info).substr(end + 1), none);
  if (!key.ok() || !attributes) return Error(Code::kDataLoss, "upload: its description is damaged");
  return UploadInfo{std::move(key).value(), std::move(*attributes)};
}

}  // namespace

Result<std::string> BeginUpload(const Shared& shared, const Place& place,
                                const PutOptions& options) {
  CML_RETURN_IF_ERROR(CheckKey(place.key));
  if (place.key.ends_with('/')) {
    return Error(Code::kInvalidArgument,
                 "key " + Quote(place.key) + ": marks a folder and holds no bytes");
  }
  std::size_t metadata = 0;
  for (const auto& [name, value] : options.metadata) metadata += name.size() + value.size();
  CML_RETURN_IF_ERROR(CheckPutOptions(options.content_type, metadata));
  CML_RETURN_IF_ERROR(OpenBucket(shared, place.org, place.bucket));
  const UploadId id{place.org, place.bucket, RandomToken(kIdLength)};
  const fs::path folder = FolderOf(shared, id);
  const struct stat none {};
  Attributes attributes;
  attributes.content_type = options.content_type;
  attributes.metadata = options.metadata;
  Status made = MakeFolders(folder);
  if (made.ok()) {
    made = WriteFileAtomically(folder / "info",
                               crypto::ToHex(place.key) + "\n" + Encode(attributes, none));
  }
  if (!made.ok()) return TransferError(made.error());
  return id.id;
}

Result<std::unique_ptr<ObjectWriter>> MakePartWriter(const SharedPtr& shared, const UploadId& id,
                                                     int number) {
  if (number < 1 || number > kMostParts) {
    return Error(Code::kInvalidArgument, "part number " + std::to_string(number) + ": 1 to 10000");
  }
  CML_RETURN_IF_ERROR(FindUpload(*shared, id));
  CML_ASSIGN_OR_RETURN(StagedFile staged, StagedFile::Make(shared));
  return std::unique_ptr<ObjectWriter>(new PartWriter(shared, id, number, std::move(staged)));
}

Result<std::vector<PartInfo>> ListParts(const Shared& shared, const UploadId& id) {
  CML_ASSIGN_OR_RETURN(const fs::path folder, FindUpload(shared, id));
  CML_ASSIGN_OR_RETURN(const auto parts, ReadParts(folder));
  std::vector<PartInfo> all;
  for (const auto& [number, part] : parts) all.push_back(part.info);
  return all;
}

Result<ObjectInfo> CompleteUpload(const SharedPtr& shared, const UploadId& id,
                                  const std::vector<PartInfo>& parts) {
  CML_ASSIGN_OR_RETURN(const fs::path folder, FindUpload(*shared, id));
  CML_ASSIGN_OR_RETURN(const UploadInfo upload, ReadInfo(folder));
  CML_ASSIGN_OR_RETURN(const auto there, ReadParts(folder));
  CML_ASSIGN_OR_RETURN(const std::vector<PartFile> chosen, Choose(there, parts));
  CML_ASSIGN_OR_RETURN(StagedFile staged, StagedFile::Make(shared));
  // The etag of S3: the MD5 of the parts' MD5s, and how many there were.
  std::string md5s;
  for (const PartFile& part : chosen) {
    CML_RETURN_IF_ERROR(Append(staged, folder / part.name, part.info.etag));
    CML_ASSIGN_OR_RETURN(const std::string md5, crypto::FromHex(part.info.etag));
    md5s += md5;
  }
  Attributes attributes = upload.attributes;
  attributes.md5 = staged.FinishMd5();
  attributes.etag =
      crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, md5s)) + "-" + std::to_string(chosen.size());
  CML_ASSIGN_OR_RETURN(ObjectInfo info,
                       Publish(*shared, {id.org, id.bucket, upload.key}, staged, attributes));
  if (auto removed = RemoveTree(folder); !removed.ok()) {
    LogWarning("objectstore: the parts of a completed upload stay until they are a week old",
               {{"error", removed.error().message()}});
  }
  return info;
}

Status AbortUpload(const Shared& shared, const UploadId& id) {
  CML_ASSIGN_OR_RETURN(const fs::path folder, FindUpload(shared, id));
  if (auto removed = RemoveTree(folder); !removed.ok()) return TransferError(removed.error());
  return Ok{};
}

void RemoveOldUploads(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> old;
  const auto now = fs::file_time_type::clock::now();
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it.depth() != 2) continue;  // ORG/BUCKET/ID
    it.disable_recursion_pending();
    std::error_code gone;
    const auto touched = it->last_write_time(gone);
    if (!gone && now - touched > kKept) old.push_back(it->path());
  }
  for (const fs::path& path : old) (void)RemoveTree(path).ok();
}

void RemoveUploadsOf(const Shared& shared, const OrgId& org, const std::string& bucket) {
  (void)RemoveTree(shared.folder / ".uploads" / org.str() / bucket).ok();
}

}  // namespace cml::objectstore::filesystem
