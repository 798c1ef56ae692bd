#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include "base/archive.h"
#include "base/archive_rules.h"
#include "base/file.h"
#include "base/strings.h"

namespace cml {
namespace {

namespace fs = std::filesystem;
using archive::CheckLink;
using archive::CleanName;
using archive::NameTable;

constexpr std::uint64_t kRatioFrom = 16ULL << 20;
// What headers and padding may take beside the contents; long names of a tar lie in its headers.
constexpr std::uint64_t kHeaderAllowance = 64ULL << 20;
constexpr std::size_t kReadBlock = 64 * 1024;

struct ReaderFree {
  void operator()(::archive* a) const noexcept { archive_read_free(a); }
};
using Reader = std::unique_ptr<::archive, ReaderFree>;

Error Broken(const fs::path& path, ::archive* a) {
  const char* why = archive_error_string(a);
  return Error(Code::kInvalidArgument, "package " + Quote(path.filename().string()) +
                                           ": damaged, or not a .tar.gz, .tar, "
                                           ".zip or .whl file")
      .While(why == nullptr ? "reading an archive" : why);
}

// The UTF-8 form where the archive states one, else the bytes as they are.
std::string_view Text(const char* utf8, const char* plain) {
  if (utf8 != nullptr) return utf8;
  return plain == nullptr ? std::string_view() : std::string_view(plain);
}

enum class EntryKind { kFile, kFolder, kSymbolicLink, kHardLink };

struct Entry {
  std::string name;
  EntryKind kind = EntryKind::kFile;
  std::string target;  // of a link
  bool executable = false;
};

// Takes checked entries, and the bytes of files between them.
class Target {
 public:
  virtual ~Target() = default;
  virtual Status Begin(const Entry& entry) = 0;
  virtual Status Write(std::uint64_t offset, std::string_view bytes) = 0;
  virtual Status End(std::uint64_t size) = 0;  // of a file
};

class Nowhere final : public Target {
 public:
  Status Begin(const Entry&) override { return Ok{}; }
  Status Write(std::uint64_t, std::string_view) override { return Ok{}; }
  Status End(std::uint64_t) override { return Ok{}; }
};

class Folder final : public Target {
 public:
  explicit Folder(fs::path root) : root_(std::move(root)) {}

  Status Begin(const Entry& entry) override {
    path_ = root_ / entry.name;
    if (entry.kind == EntryKind::kFolder) return MakeFolder(entry.name);
    const std::size_t slash = entry.name.rfind('/');
    if (slash != std::string::npos) CML_RETURN_IF_ERROR(MakeFolder(entry.name.substr(0, slash)));
    switch (entry.kind) {
      case EntryKind::kFolder:
        break;
      case EntryKind::kFile: {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        CML_ASSIGN_OR_RETURN(fd_, OpenFile(path_, kFlags, 0600));
        if (::fchmod(fd_.get(), entry.executable ? 0755 : 0644) != 0) return Failed("creating");
        break;
      }
      case EntryKind::kSymbolicLink:
        if (::symlink(entry.target.c_str(), path_.c_str()) != 0) return Failed("linking");
        break;
      case EntryKind::kHardLink: {
        const fs::path target = root_ / entry.target;
        if (::linkat(AT_FDCWD, target.c_str(), AT_FDCWD, path_.c_str(), 0) != 0) {
          return Failed("linking");
        }
        break;
      }
    }
    return Ok{};
  }

  Status Write(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return Failed("writing");
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return Ok{};
  }

  Status End(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return Failed("writing");
    fd_.Close();
    return Ok{};
  }

 private:
  Error Failed(std::string_view doing) const { return ErrnoError(errno, doing, path_); }

  Status MakeFolder(const std::string& name) {
    if (name == last_folder_) return Ok{};
    for (std::size_t slash = 0; slash != std::string::npos;) {
      slash = name.find('/', slash + 1);
      const fs::path folder = root_ / name.substr(0, slash);
      if (::mkdir(folder.c_str(), 0755) == 0) {
        if (::chmod(folder.c_str(), 0755) != 0) return ErrnoError(errno, "creating", folder);
      } else if (errno != EEXIST) {
        return ErrnoError(errno, "creating", folder);
      }
    }
    last_folder_ = name;
    return Ok{};
  }

  fs::path root_;
  fs::path path_;  // of the current entry
  Fd fd_;
  std::string last_folder_;
};

// One pass over an archive.
class Pass {
 public:
  Pass(const fs::path& path, const ArchiveLimits& limits, Target& target)
      : path_(path), limits_(limits), target_(target) {}

  Result<PackageInfo> Run() {
    CML_RETURN_IF_ERROR(Open());
    for (;;) {
      archive_entry* raw = nullptr;
      const int status = archive_read_next_header(reader_.get(), &raw);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return Broken(path_, reader_.get());
      CML_RETURN_IF_ERROR(CheckTotals({}));
      CML_RETURN_IF_ERROR(TakeEntry(raw));
    }
    if (names_.size() == 0) {
      return Error(Code::kInvalidArgument,
                   "package " + Quote(path_.filename().string()) + ": it holds no files");
    }
    info_.top_names.assign(names_.top_names().begin(), names_.top_names().end());
    return std::move(info_);
  }

 private:
  Status Open() {
    CML_ASSIGN_OR_RETURN(fd_, OpenFile(path_, O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return ErrnoError(errno, "reading", path_);
    if (!S_ISREG(status.st_mode)) {
      return Error(Code::kInvalidArgument, path_.string() + ": not a file");
    }
    packed_ = static_cast<std::uint64_t>(status.st_size);
    reader_.reset(archive_read_new());
    ::archive* a = reader_.get();
    if (a == nullptr) return Error(Code::kUnavailable, "out of memory");
    archive_read_support_filter_gzip(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_zip_seekable(a);
    if (archive_read_open_fd(a, fd_.get(), kReadBlock) != ARCHIVE_OK) return Broken(path_, a);
    return Ok{};
  }

  static Error Refused(std::string_view name, const std::string& rule) {
    return Error(Code::kInvalidArgument, "package entry " + Quote(name) + ": " + rule);
  }

  // nullopt: the archive's own root.
  Result<std::optional<Entry>> Check(archive_entry* raw) {
    const std::string_view raw_name =
        Text(archive_entry_pathname_utf8(raw), archive_entry_pathname(raw));
    Entry entry;
    CML_ASSIGN_OR_RETURN(entry.name, CleanName(raw_name));
    if (archive_entry_is_encrypted(raw) != 0) {
      return Refused(raw_name, "encrypted entries are refused");
    }
    entry.executable = (archive_entry_perm(raw) & 0111) != 0;
    const std::string_view hard =
        Text(archive_entry_hardlink_utf8(raw), archive_entry_hardlink(raw));
    if (!hard.empty()) {
      CML_ASSIGN_OR_RETURN(entry.target, CleanName(hard));
      if (!names_.IsFile(entry.target)) {
        return Refused(raw_name,
                       "a hard link must name a file that came before it, it names " + Quote(hard));
      }
      entry.kind = EntryKind::kHardLink;
    } else if (archive_entry_filetype(raw) == AE_IFLNK) {
      entry.target = Text(archive_entry_symlink_utf8(raw), archive_entry_symlink(raw));
      CML_RETURN_IF_ERROR(CheckLink(entry.name, entry.target));
      entry.kind = EntryKind::kSymbolicLink;
    } else if (archive_entry_filetype(raw) == AE_IFDIR) {
      entry.kind = EntryKind::kFolder;
      if (entry.name.empty()) return std::optional<Entry>();
    } else if (archive_entry_filetype(raw) != AE_IFREG) {
      return Refused(raw_name, "only files, folders and links are accepted");
    }
    if (entry.name.empty()) return Refused(raw_name, "an entry must have a name");
    return std::optional<Entry>(std::move(entry));
  }

  Status TakeEntry(archive_entry* raw) {
    CML_ASSIGN_OR_RETURN(std::optional<Entry> entry, Check(raw));
    if (!entry) return Ok{};
    NameTable::Kind kind = NameTable::Kind::kFile;
    switch (entry->kind) {
      case EntryKind::kFile:
      case EntryKind::kHardLink:
        break;
      case EntryKind::kFolder:
        kind = NameTable::Kind::kFolder;
        break;
      case EntryKind::kSymbolicLink:
        kind = NameTable::Kind::kLink;
        break;
    }
    CML_RETURN_IF_ERROR(names_.Add(entry->name, kind));
    // Folders that are only implied count as well: they cost an inode each.
    if (++info_.entries > limits_.most_entries || names_.size() > limits_.most_entries) {
      return Refused(entry->name, "the package has more than " +
                                      std::to_string(limits_.most_entries) + " entries");
    }
    if (entry->kind == EntryKind::kFile && archive_entry_size_is_set(raw) != 0 &&
        archive_entry_size(raw) > 0 &&
        info_.bytes + static_cast<std::uint64_t>(archive_entry_size(raw)) > limits_.most_bytes) {
      return TooLong(entry->name);
    }
    CML_RETURN_IF_ERROR(target_.Begin(*entry));
    return TakeData(*entry);
  }

  Status TakeData(const Entry& entry) {
    const bool file = entry.kind == EntryKind::kFile;
    const std::uint64_t before = info_.bytes;
    for (;;) {
      const void* data = nullptr;
      std::size_t n = 0;
      la_int64_t offset = 0;
      const int status = archive_read_data_block(reader_.get(), &data, &n, &offset);
      if (status == ARCHIVE_EOF) {
        // a sparse file ends with a hole: its place is given, its bytes are none
        const std::uint64_t end = offset > 0 ? static_cast<std::uint64_t>(offset) : 0;
        info_.bytes = std::max(info_.bytes, before + end);
        break;
      }
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return Broken(path_, reader_.get());
      if (offset < 0) return Broken(path_, reader_.get());
      const auto at = static_cast<std::uint64_t>(offset);
      if (at > limits_.most_bytes) return TooLong(entry.name);
      info_.bytes = std::max(info_.bytes, before + at + n);
      CML_RETURN_IF_ERROR(CheckTotals(entry.name));
      if (file) {
        CML_RETURN_IF_ERROR(target_.Write(at, std::string_view(static_cast<const char*>(data), n)));
      }
    }
    CML_RETURN_IF_ERROR(CheckTotals(entry.name));
    return file ? target_.End(info_.bytes - before) : Status(Ok{});
  }

  Error TooLong(std::string_view name) const {
    return Refused(
        name, "the package is longer than " + FormatBytes(limits_.most_bytes) + " when unpacked");
  }

  Status CheckTotals(std::string_view name) const {
    if (info_.bytes > limits_.most_bytes) return TooLong(name);
    const auto read = static_cast<std::uint64_t>(archive_filter_bytes(reader_.get(), 0));
    if (read > limits_.most_bytes + kHeaderAllowance) return TooLong(name);
    const std::uint64_t unpacked = std::max(read, info_.bytes);
    if (unpacked > kRatioFrom && unpacked / limits_.most_ratio > packed_) {
      return Refused(name, "the package unpacks to more than " +
                               std::to_string(limits_.most_ratio) +
                               " times its size, which looks like an archive bomb");
    }
    return Ok{};
  }

  const fs::path path_;
  const ArchiveLimits& limits_;
  Target& target_;
  const archive::Utf8Names utf8_;
  Fd fd_;  // outlives the reader
  Reader reader_;
  std::uint64_t packed_ = 0;
  NameTable names_;
  PackageInfo info_;
};

}  // namespace

Result<PackageInfo> InspectPackage(const fs::path& archive, const ArchiveLimits& limits) {
  Nowhere nowhere;
  return Pass(archive, limits, nowhere).Run();
}

Result<PackageInfo> ExtractSafely(const fs::path& archive, const fs::path& folder,
                                  const ArchiveLimits& limits) {
  CML_RETURN_IF_ERROR(MakeFolders(folder));
  std::error_code failed;
  if (!fs::is_empty(folder, failed) || failed) {
    return Error(Code::kFailedPrecondition, folder.string() + ": not an empty folder");
  }
  Folder target(folder);
  auto info = Pass(archive, limits, target).Run();
  if (!info.ok()) {
    for (const auto& entry : fs::directory_iterator(folder, failed)) {
      if (auto s = RemoveTree(entry.path()); !s.ok()) {
        return std::move(info).error().While("could not clean up: " + s.error().message());
      }
    }
  }
  return info;
}

}  // namespace cml
