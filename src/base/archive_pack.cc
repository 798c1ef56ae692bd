#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

#include "base/archive.h"
#include "base/archive_rules.h"
#include "base/file.h"
#include "base/random.h"
#include "base/strings.h"

namespace cml {
namespace {

namespace fs = std::filesystem;

// 1980-01-02, UTC: zip files, which wheels are, know nothing before 1980 in any time zone.
constexpr time_t kFixedTime = 315619200;
constexpr std::array<std::string_view, 3> kLeftOut = {".git", ".venv", "__pycache__"};

struct WriterFree {
  void operator()(::archive* a) const noexcept { archive_write_free(a); }
};
struct EntryFree {
  void operator()(archive_entry* e) const noexcept { archive_entry_free(e); }
};

bool IsLeftOut(const std::string& name) {
  return name.ends_with(".pyc") ||
         std::find(kLeftOut.begin(), kLeftOut.end(), name) != kLeftOut.end();
}

class Packer {
 public:
  Packer(fs::path folder, fs::path out) : folder_(std::move(folder)), out_(std::move(out)) {}

  Result<PackageInfo> Run() {
    std::error_code failed;
    const fs::path real = fs::canonical(folder_, failed);
    if (failed) return ErrnoError(failed.value(), "packing", folder_);
    if (!fs::is_directory(real)) {
      return Error(Code::kInvalidArgument, folder_.string() + ": not a folder");
    }
    const std::string top = real.filename().string();
    if (top.empty()) return Error(Code::kInvalidArgument, "the root folder cannot be packed");
    CML_ASSIGN_OR_RETURN(const std::string clean, archive::CleanName(top));
    fs::path draft = out_;
    draft += "." + RandomToken(6) + ".part";
    auto info = Write(real, clean, draft);
    if (info.ok() && ::rename(draft.c_str(), out_.c_str()) != 0) {
      info = ErrnoError(errno, "creating", out_);
    }
    if (!info.ok()) ::unlink(draft.c_str());
    return info;
  }

 private:
  Result<PackageInfo> Write(const fs::path& real, const std::string& top, const fs::path& draft) {
    CML_ASSIGN_OR_RETURN(fd_, OpenFile(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    struct stat status {};
    if (::fstat(fd_.get(), &status) == 0) own_.push_back({status.st_dev, status.st_ino});
    if (::stat(out_.c_str(), &status) == 0) own_.push_back({status.st_dev, status.st_ino});
    writer_.reset(archive_write_new());
    ::archive* a = writer_.get();
    if (a == nullptr) return Error(Code::kUnavailable, "out of memory");
    archive_write_add_filter_gzip(a);
    archive_write_set_format_pax_restricted(a);
    // no time of day in the gzip header
    if (archive_write_set_filter_option(a, "gzip", "timestamp", nullptr) != ARCHIVE_OK ||
        archive_write_open_fd(a, fd_.get()) != ARCHIVE_OK) {
      return Failed(draft);
    }
    CML_RETURN_IF_ERROR(AddFolder(real, top));
    if (archive_write_close(a) != ARCHIVE_OK) return Failed(draft);
    info_.top_names = {top};
    return std::move(info_);
  }

  Error Failed(const fs::path& path) const {
    const int e = archive_errno(writer_.get());
    const char* why = archive_error_string(writer_.get());
    return ErrnoError(e > 0 ? e : EIO, "packing", path).While(why == nullptr ? "" : why);
  }

  Status AddFolder(const fs::path& path, const std::string& name) {
    CML_RETURN_IF_ERROR(WriteHeader(path, name, AE_IFDIR, 0755, 0, {}));
    std::vector<std::string> children;
    std::error_code failed;
    for (fs::directory_iterator at(path, failed), end; !failed && at != end; at.increment(failed)) {
      std::string child = at->path().filename().string();
      if (!IsLeftOut(child)) children.push_back(std::move(child));
    }
    if (failed) return ErrnoError(failed.value(), "packing", path);
    std::sort(children.begin(), children.end());
    for (const std::string& child : children) {
      CML_RETURN_IF_ERROR(AddAny(path / child, name + "/" + child));
    }
    return Ok{};
  }

  Status AddAny(const fs::path& path, const std::string& name) {
    CML_RETURN_IF_ERROR(archive::CleanName(name));
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return ErrnoError(errno, "packing", path);
    if (S_ISDIR(status.st_mode)) return AddFolder(path, name);
    if (S_ISREG(status.st_mode)) return AddFile(path, name);
    if (S_ISLNK(status.st_mode)) {
      std::error_code failed;
      const std::string target = fs::read_symlink(path, failed).string();
      if (failed) return ErrnoError(failed.value(), "packing", path);
      // relative to the packed folder, so that a link to its own top is inside as well
      CML_RETURN_IF_ERROR(archive::CheckLink(name.substr(name.find('/') + 1), target));
      return WriteHeader(path, name, AE_IFLNK, 0777, 0, target);
    }
    return Error(Code::kInvalidArgument,
                 path.string() + ": only files, folders and links can be packed");
  }

  Status AddFile(const fs::path& path, const std::string& name) {
    CML_ASSIGN_OR_RETURN(Fd fd, OpenFile(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return ErrnoError(errno, "packing", path);
    for (const auto& [device, inode] : own_) {
      if (device == status.st_dev && inode == status.st_ino) return Ok{};
    }
    const mode_t mode = (status.st_mode & 0111) != 0 ? 0755 : 0644;
    CML_RETURN_IF_ERROR(WriteHeader(path, name, AE_IFREG, mode, status.st_size, {}));
    off_t left = status.st_size;
    while (left > 0) {
      const std::size_t ask = std::min(buffer_.size(), static_cast<std::size_t>(left));
      const ssize_t n = ::read(fd.get(), buffer_.data(), ask);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoError(errno, "packing", path);
      if (n == 0) {
        return Error(Code::kFailedPrecondition, path.string() + ": became shorter while packed");
      }
      if (archive_write_data(writer_.get(), buffer_.data(), static_cast<std::size_t>(n)) != n) {
        return Failed(out_);
      }
      left -= n;
    }
    info_.bytes += static_cast<std::uint64_t>(status.st_size);
    return Ok{};
  }

  Status WriteHeader(const fs::path& path, const std::string& name, unsigned type, mode_t mode,
                     off_t size, const std::string& target) {
    const std::unique_ptr<archive_entry, EntryFree> entry(archive_entry_new());
    if (!entry) return Error(Code::kUnavailable, "out of memory");
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), type);
    archive_entry_set_perm(entry.get(), mode);
    archive_entry_set_size(entry.get(), size);
    archive_entry_set_mtime(entry.get(), kFixedTime, 0);
    if (!target.empty()) archive_entry_set_symlink(entry.get(), target.c_str());
    const int status = archive_write_header(writer_.get(), entry.get());
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return Failed(path);
    ++info_.entries;
    return Ok{};
  }

  const fs::path folder_;
  const fs::path out_;
  const archive::Utf8Names utf8_;
  Fd fd_;  // outlives the writer, which flushes when it dies
  std::unique_ptr<::archive, WriterFree> writer_;
  std::vector<std::pair<dev_t, ino_t>> own_;  // the archive itself, when it lies in the folder
  std::array<char, 64 * 1024> buffer_{};
  PackageInfo info_;
};

}  // namespace

Result<PackageInfo> PackFolder(const fs::path& folder, const fs::path& out) {
  return std::make_unique<Packer>(folder, out)->Run();
}

}  // namespace cml
