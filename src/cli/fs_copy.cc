#include "cli/fs_copy.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/transfer.h"

namespace cml::cli {

namespace fs = std::filesystem;

Status EachObject(S3& store, const ObjectUri& below,
                  const std::function<Status(const ObjectEntry&)>& each) {
  S3::ListQuery query{below.bucket, below.key, "", ""};
  while (true) {
    CML_ASSIGN_OR_RETURN(const ObjectPage page, store.List(query));
    for (const ObjectEntry& object : page.objects) CML_RETURN_IF_ERROR(each(object));
    if (page.next.empty()) return Ok{};
    query.token = page.next;
  }
}

ObjectUri AsFolder(ObjectUri uri) {
  if (!uri.key.empty() && !uri.key.ends_with('/')) uri.key += '/';
  return uri;
}

std::string LastName(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

Error NeedsRecursive(const std::string& what, const char* command) {
  return {Code::kInvalidArgument,
          what + " is a folder\nwith everything in it: cloudml fs " + command + " -r …"};
}

namespace {

struct Copy {
  std::string from, to;
};

// All files below a local folder, as names relative to it.
Result<std::vector<fs::path>> FilesBelow(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file(error)) files.push_back(fs::relative(it->path(), folder, error));
  }
  if (error) return ErrnoError(error.value(), "read", folder);
  std::ranges::sort(files);
  return files;
}

Result<std::vector<Copy>> PlanUpload(const std::string& from, const ObjectUri& to,
                                     const Typed& typed) {
  std::error_code error;
  const bool into = to.key.empty() || to.key.ends_with('/') || typed.words().size() > 2;
  if (!fs::is_directory(from, error)) {
    return std::vector<Copy>{{from, into ? AsFolder(to).str() + LastName(from) : to.str()}};
  }
  if (!typed.Has("recursive")) return NeedsRecursive(from, "cp");
  // As cp -r does: the folder itself, into a folder; else under the new name.
  const std::string root =
      into ? AsFolder(to).str() + LastName(fs::weakly_canonical(from, error).string()) + "/"
           : AsFolder(to).str();
  CML_ASSIGN_OR_RETURN(const std::vector<fs::path> files, FilesBelow(from));
  std::vector<Copy> plan;
  for (const fs::path& file : files)
    plan.push_back({(fs::path(from) / file).string(), root + file.generic_string()});
  return plan;
}

// A key that would leave the target folder is refused: it came from somebody else.
Result<fs::path> SafeBelow(const fs::path& folder, const std::string& relative) {
  const fs::path path = fs::path(relative).lexically_normal();
  if (path.empty() || path.is_absolute() || *path.begin() == "..") {
    return Error(Code::kInvalidArgument,
                 "object name " + Quote(relative) + " leads out of the folder; not copied");
  }
  return folder / path;
}

Result<std::vector<Copy>> PlanDownload(S3& store, const ObjectUri& from, const std::string& to,
                                       const Typed& typed) {
  std::error_code error;
  const bool into = fs::is_directory(to, error) || to.ends_with('/') || typed.words().size() > 2;
  if (!typed.Has("recursive")) {
    if (from.key.empty() || from.key.ends_with('/')) return NeedsRecursive(from.str(), "cp");
    return std::vector<Copy>{
        {from.str(), into ? (fs::path(to) / LastName(from.key)).string() : to}};
  }
  const ObjectUri below = AsFolder(from);
  const fs::path root =
      into && !below.key.empty() ? fs::path(to) / LastName(below.key) : fs::path(to);
  std::vector<Copy> plan;
  CML_RETURN_IF_ERROR(EachObject(store, below, [&](const ObjectEntry& o) -> Status {
    if (o.key.ends_with('/')) return Ok{};  // a marker of an empty folder
    CML_ASSIGN_OR_RETURN(const fs::path path, SafeBelow(root, o.key.substr(below.key.size())));
    plan.push_back({ObjectUri{below.bucket, o.key}.str(), path.string()});
    return Ok{};
  }));
  if (plan.empty()) return Error(Code::kNotFound, "there is nothing below " + below.str());
  return plan;
}

Result<std::vector<Copy>> PlanBetween(S3& store, const ObjectUri& from, const ObjectUri& to,
                                      const Typed& typed) {
  const bool into = to.key.empty() || to.key.ends_with('/') || typed.words().size() > 2;
  if (!typed.Has("recursive")) {
    if (from.key.empty() || from.key.ends_with('/')) return NeedsRecursive(from.str(), "cp");
    return std::vector<Copy>{
        {from.str(), into ? AsFolder(to).str() + LastName(from.key) : to.str()}};
  }
  const ObjectUri below = AsFolder(from);
  const std::string root =
      AsFolder(to).str() + (into && !below.key.empty() ? LastName(below.key) + "/" : "");
  std::vector<Copy> plan;
  CML_RETURN_IF_ERROR(EachObject(store, below, [&](const ObjectEntry& o) -> Status {
    plan.push_back({ObjectUri{below.bucket, o.key}.str(), root + o.key.substr(below.key.size())});
    return Ok{};
  }));
  return plan;
}

Status CopyOne(Context& context, S3& store, const Copy& copy) {
  const bool from_store = IsObjectUri(copy.from), to_store = IsObjectUri(copy.to);
  if (from_store && to_store) {  // through this machine: the interface we rely on has no copy
    const TempFolder between;
    CML_ASSIGN_OR_RETURN(const ObjectUri from, ParseObjectUri(copy.from));
    CML_ASSIGN_OR_RETURN(const ObjectUri to, ParseObjectUri(copy.to));
    CML_RETURN_IF_ERROR(Download(context, store, from, between.path() / "object"));
    return Upload(context, store, between.path() / "object", to);
  }
  if (from_store) {
    CML_ASSIGN_OR_RETURN(const ObjectUri from, ParseObjectUri(copy.from));
    return Download(context, store, from, copy.to);
  }
  CML_ASSIGN_OR_RETURN(const ObjectUri to, ParseObjectUri(copy.to));
  return Upload(context, store, copy.from, to);
}

}  // namespace

Outcome CopyFiles(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  std::vector<std::string> sources = typed.words();
  const std::string to = sources.back();
  sources.pop_back();
  std::vector<Copy> plan;
  for (const std::string& from : sources) {
    Result<std::vector<Copy>> part = std::vector<Copy>{};
    if (IsObjectUri(to)) {
      CML_ASSIGN_OR_RETURN(const ObjectUri target, ParseObjectUri(to));
      if (IsObjectUri(from)) {
        CML_ASSIGN_OR_RETURN(const ObjectUri source, ParseObjectUri(from));
        part = PlanBetween(store, source, target, typed);
      } else {
        part = PlanUpload(from, target, typed);
      }
    } else if (IsObjectUri(from)) {
      CML_ASSIGN_OR_RETURN(const ObjectUri source, ParseObjectUri(from));
      part = PlanDownload(store, source, to, typed);
    } else {
      return Error(Code::kInvalidArgument, "neither " + Quote(from) + " nor " + Quote(to) +
                                               " is in the object store\n"
                                               "for instance: cloudml fs cp " +
                                               from + " fds://default/" + LastName(from));
    }
    CML_RETURN_IF_ERROR(part);
    for (Copy& c : std::move(part).value()) plan.push_back(std::move(c));
  }
  for (const Copy& copy : plan) {
    CML_RETURN_IF_ERROR(CopyOne(context, store, copy));
    context.Err(OneLine(copy.from) + " → " + OneLine(copy.to) + "\n");
  }
  return ExitCode::kOk;
}

}  // namespace cml::cli
