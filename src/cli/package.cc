#include "cli/package.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/archive.h"
#include "base/file.h"
#include "base/random.h"
#include "base/strings.h"
#include "cli/s3.h"
#include "cli/transfer.h"

namespace cml::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEndings[] = {".tar.gz", ".tgz", ".tar", ".zip", ".whl"};

std::string EndingOf(const std::string& name) {
  for (const char* ending : kEndings) {
    if (name.ends_with(ending)) return ending;
  }
  return "";
}

std::uint64_t SizeOf(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return error ? 0 : size;
}

std::string BaseName(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(path, error);
  const std::string name = (error ? path : whole).filename().string();
  return name.empty() || name == "/" ? "package" : name;
}

Result<std::string> Send(Context& context, const fs::path& file, const std::string& key) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  const ObjectUri to{DefaultBucket(*settings), key};
  S3 store(*settings, context.terminal().clock());
  Status sent = Upload(context, store, file, to);
  if (!sent.ok() && sent.error().code() == Code::kNotFound) {  // the first upload of all
    CML_RETURN_IF_ERROR(store.MakeBucket(to.bucket));
    sent = Upload(context, store, file, to);
  }
  CML_RETURN_IF_ERROR(sent);
  return to.str();
}

Result<std::string> FromFolder(Context& context, const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "setup.py", error) && !fs::exists(folder / "requirements.txt", error) &&
      !fs::exists(folder / "pyproject.toml", error)) {
    return Error(
        Code::kInvalidArgument,
        folder.string() +
            ": a package has a setup.py or a requirements.txt at its top, this folder has neither");
  }
  const std::string name = BaseName(folder);
  const TempFolder work;
  const fs::path packed = work.path() / (name + ".tar.gz");
  CML_RETURN_IF_ERROR(PackFolder(folder, packed));
  const std::string line = fmt::format("packing {} → {} ({})", folder.string(),
                                       packed.filename().string(), FormatBytes(SizeOf(packed)));
  const auto uri =
      Send(context, packed, PackageKey(name, PackageKind::kFolder, context.Now(), RandomToken(4)));
  context.Err(line + (uri.ok() ? "  uploaded\n" : "\n"));
  return uri;
}

Result<std::string> FromFile(Context& context, const fs::path& file) {
  const std::string name = BaseName(file);
  if (EndingOf(name).empty()) {
    return Error(
        Code::kInvalidArgument,
        file.string() +
            ": a package is a folder or an archive that ends in .tar.gz, .tgz, .tar, .zip or .whl");
  }
  CML_RETURN_IF_ERROR(InspectPackage(file));
  const auto uri =
      Send(context, file, PackageKey(name, PackageKind::kArchive, context.Now(), RandomToken(4)));
  if (uri.ok()) {
    context.Err(fmt::format("{} ({})  uploaded\n", file.string(), FormatBytes(SizeOf(file))));
  }
  return uri;
}

// A typing error is better found now than when the job starts. A store that does not answer is no
// reason to refuse: the job may have to wait anyway.
Status CheckObject(Context& context, const std::string& uri) {
  CML_ASSIGN_OR_RETURN(const ObjectUri object, ParseObjectUri(uri));
  if (object.key.empty()) {
    return Error(Code::kInvalidArgument, Quote(uri) +
                                             ": the object's name is missing; for instance fds://" +
                                             object.bucket + "/ranker.tar.gz");
  }
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  const auto head = S3(*settings, context.terminal().clock()).Head(object.bucket, object.key);
  if (!head.ok() && head.error().code() == Code::kNotFound) return head.error();
  return Ok{};
}

Result<std::string> ResolveOne(Context& context, const std::string& uri, Objects objects) {
  if (IsObjectUri(uri)) {
    if (objects == Objects::kOurs) CML_RETURN_IF_ERROR(CheckObject(context, uri));
    return uri;
  }
  if (uri.starts_with("http://") || uri.starts_with("https://")) return uri;
  if (uri.find("://") != std::string::npos) {
    return Error(
        Code::kInvalidArgument,
        Quote(uri) + ": a package is a folder, an archive, fds://bucket/object or http(s)://…");
  }
  std::error_code error;
  if (fs::is_directory(uri, error)) return FromFolder(context, uri);
  if (fs::is_regular_file(uri, error)) return FromFile(context, uri);
  return Error(Code::kNotFound, "package " + Quote(uri) + ": no such file or folder");
}

}  // namespace

std::string PackageKey(const std::string& name, PackageKind kind, SysTime now,
                       const std::string& salt) {
  std::string stamp = FormatRfc3339(now);  // 2026-11-24T08:04:43Z
  std::string digits = kind == PackageKind::kFolder ? ".cloudml_" : "_";
  for (const char c : stamp) {
    if (c >= '0' && c <= '9') digits += c;
    if (c == 'T') digits += '_';
  }
  const std::string ending = kind == PackageKind::kFolder ? "" : EndingOf(name);
  return "user_packages/" + name.substr(0, name.size() - ending.size()) + digits + "_" + salt +
         (kind == PackageKind::kFolder ? ".tar.gz" : ending);
}

Result<std::string> ResolvePackages(Context& context, const std::string& uris, Objects objects) {
  std::vector<std::string> resolved;
  for (const std::string_view one : Split(uris, ',')) {
    const std::string uri(Trim(one));
    if (uri.empty()) continue;
    CML_ASSIGN_OR_RETURN(std::string there, ResolveOne(context, uri, objects));
    resolved.push_back(std::move(there));
  }
  return Join(resolved, ",");
}

}  // namespace cml::cli
