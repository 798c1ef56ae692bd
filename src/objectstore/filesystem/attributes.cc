#include "objectstore/filesystem/attributes.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/random.h"
#include "base/strings.h"
#include "crypto/digest.h"
#include "objectstore/filesystem/safe_path.h"

namespace cml::objectstore::filesystem {
namespace {

constexpr char kName[] = "user.cloudml.object";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kMostText = 16384;

// A line's text: '%', '=' and control characters as %XX.
std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '%' || c == '=') {
      out += '%' + crypto::ToHex(std::string_view(&c, 1));
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<std::string> Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto byte = crypto::FromHex(text.substr(i + 1, 2));
    if (!byte.ok() || byte.value().size() != 1) return std::nullopt;
    out += byte.value();
    i += 2;
  }
  return out;
}

// These end up in headers of an answer.
bool IsHeaderText(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool IsEtag(std::string_view text) {
  return text.size() <= 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
         });
}

// The name of the file beside: what a changed or another file does not share.
std::string Identity(const struct stat& st) {
  std::string name = std::to_string(st.st_dev) + "-" + std::to_string(st.st_ino);
  if (!S_ISDIR(st.st_mode)) {
    name += "-" + std::to_string(st.st_size) + "-" + std::to_string(MtimeNanos(st));
  }
  return name;
}

}  // namespace

std::int64_t MtimeNanos(const struct stat& st) {
  return std::int64_t{st.st_mtim.tv_sec} * 1000000000 + st.st_mtim.tv_nsec;
}

std::string Encode(const Attributes& attributes, const struct stat& st) {
  const bool folder = S_ISDIR(st.st_mode);  // a folder's size and time change with its entries
  std::string text(kVersion);
  for (const std::string& line :
       {std::to_string(folder ? 0 : st.st_size), std::to_string(folder ? 0 : MtimeNanos(st)),
        attributes.etag, attributes.md5, Escape(attributes.content_type)}) {
    text += "\n" + line;
  }
  for (const auto& [name, value] : attributes.metadata) {
    text += "\n" + Escape(name) + "=" + Escape(value);
  }
  return text;
}

std::optional<Attributes> Decode(std::string_view text, const struct stat& st) {
  const auto lines = Split(text, '\n');
  if (lines.size() < 6 || lines[0] != kVersion) return std::nullopt;
  const bool folder = S_ISDIR(st.st_mode);
  if (ParseInt(lines[1]) != (folder ? 0 : st.st_size)) return std::nullopt;
  if (ParseInt(lines[2]) != (folder ? 0 : MtimeNanos(st))) return std::nullopt;
  Attributes read;
  read.etag = lines[3];
  read.md5 = lines[4];
  if (!IsEtag(read.etag) || !IsEtag(read.md5)) return std::nullopt;
  const auto type = Unescape(lines[5]);
  if (!type || !IsHeaderText(*type)) return std::nullopt;
  read.content_type = *type;
  for (std::size_t i = 6; i < lines.size(); ++i) {
    const std::size_t equals = lines[i].find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto name = Unescape(lines[i].substr(0, equals));
    const auto value = Unescape(lines[i].substr(equals + 1));
    if (!name || !value || !IsHeaderText(*name) || !IsHeaderText(*value)) return std::nullopt;
    read.metadata[*name] = *value;
  }
  return read;
}

Result<AttributeStore> AttributeStore::Open(const std::filesystem::path& folder,
                                            AttributeMode mode) {
  CML_RETURN_IF_ERROR(MakeFolders(folder));
  CML_ASSIGN_OR_RETURN(Fd fd, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  const bool extended =
      mode == AttributeMode::kBestThereIs && ::fsetxattr(fd.get(), kName, "", 0, 0) == 0;
  return AttributeStore(std::move(fd), extended);
}

Status AttributeStore::Save(int fd, const Attributes& attributes) const {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return DiskError(errno, "object");
  const std::string text = Encode(attributes, st);
  if (extended_) {
    if (::fsetxattr(fd, kName, text.data(), text.size(), 0) == 0) return Ok{};
    return DiskError(errno, "the object's attributes");
  }
  // As files of the server: whole and synced before the object gets its name.
  const std::string part = "part-" + RandomToken(12);
  const Fd file(
      ::openat(folder_.get(), part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return DiskError(errno, "the object's attributes");
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size()) && ::fsync(file.get()) == 0 &&
      ::renameat(folder_.get(), part.c_str(), folder_.get(), Identity(st).c_str()) == 0 &&
      ::fsync(folder_.get()) == 0) {
    return Ok{};
  }
  const int error = written >= 0 && written < static_cast<ssize_t>(text.size()) ? ENOSPC : errno;
  ::unlinkat(folder_.get(), part.c_str(), 0);
  return DiskError(error, "the object's attributes");
}

std::optional<Attributes> AttributeStore::Load(int fd, const struct stat& st) const {
  std::string text(kMostText, '\0');
  ssize_t size = -1;
  if (extended_) {
    size = ::fgetxattr(fd, kName, text.data(), text.size());
  } else {
    const Fd file(::openat(folder_.get(), Identity(st).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.valid()) size = ::read(file.get(), text.data(), text.size());
  }
  if (size < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  return Decode(text, st);
}

void AttributeStore::Forget(int fd, const struct stat& st) const {
  if (!extended_) {
    ::unlinkat(folder_.get(), Identity(st).c_str(), 0);
  } else if (S_ISDIR(st.st_mode)) {  // a file takes its attributes with it
    ::fremovexattr(fd, kName);
  }
}

}  // namespace cml::objectstore::filesystem
