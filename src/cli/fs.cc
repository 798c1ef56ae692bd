// Files in the object store.
#include <fmt/format.h>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/fs_copy.h"
#include "cli/groups.h"
#include "cli/s3.h"
#include "codec/document.h"

namespace cml::cli {
namespace {

using codec::Document;

// ---- ls

struct Listing {
  std::vector<std::string> folders;
  std::vector<ObjectEntry> objects;
};

Result<Listing> ListFolder(S3& store, const ObjectUri& uri, std::string_view delimiter) {
  Listing all;
  S3::ListQuery query{uri.bucket, uri.key, std::string(delimiter), ""};
  while (true) {
    CML_ASSIGN_OR_RETURN(const ObjectPage page, store.List(query));
    all.folders.insert(all.folders.end(), page.folders.begin(), page.folders.end());
    all.objects.insert(all.objects.end(), page.objects.begin(), page.objects.end());
    if (page.next.empty()) return all;
    query.token = page.next;
  }
}

Outcome ListBuckets(Context& context, S3& store, Format format) {
  CML_ASSIGN_OR_RETURN(const std::vector<Bucket> buckets, store.Buckets());
  if (format == Format::kJson) {
    Document data = Document::Array();
    for (const Bucket& b : buckets) {
      data.Append(Document::Object().Set("bucket", b.name).Set("created", b.created));
    }
    context.PrintJson(Document::Object().Set("data", data));
    return ExitCode::kOk;
  }
  if (buckets.empty()) context.Err("no buckets yet; make one: cloudml fs mb fds://default\n");
  Table table({{"BUCKET"}, {"CREATED"}});
  for (const Bucket& b : buckets) {
    if (format == Format::kName) {
      context.Out("fds://" + b.name + "\n");
    } else {
      table.Add({{"fds://" + b.name}, {ShowTime(b.created, context.Now(), context.OutTimes())}});
    }
  }
  if (!table.empty()) context.Out(table.Render(context.OutColours(), context.OutWidth()));
  return ExitCode::kOk;
}

void PrintListing(Context& context, const ObjectUri& uri, const Listing& all, Format format) {
  const std::string root = "fds://" + uri.bucket + "/";
  if (format == Format::kJson) {
    Document data = Document::Array();
    for (const std::string& f : all.folders)
      data.Append(Document::Object().Set("folder", root + f));
    for (const ObjectEntry& o : all.objects) {
      data.Append(Document::Object()
                      .Set("uri", root + o.key)
                      .Set("size", Document::Integer(static_cast<std::int64_t>(o.size)))
                      .Set("modified", o.modified)
                      .Set("etag", o.etag));
    }
    context.PrintJson(Document::Object().Set("data", data));
    return;
  }
  if (format == Format::kName) {
    for (const std::string& f : all.folders) context.Out(OneLine(root + f) + "\n");
    for (const ObjectEntry& o : all.objects) context.Out(OneLine(root + o.key) + "\n");
    return;
  }
  const std::size_t cut = uri.key.rfind('/') == std::string::npos ? 0 : uri.key.rfind('/') + 1;
  Table table({{"SIZE", Column::Align::kRight}, {"MODIFIED"}, {"NAME"}});
  for (const std::string& f : all.folders) table.Add({{""}, {""}, {f.substr(cut), Tone::kBold}});
  for (const ObjectEntry& o : all.objects) {
    table.Add({{FormatBytes(o.size)},
               {ShowTime(o.modified, context.Now(), context.OutTimes())},
               {o.key.substr(cut)}});
  }
  context.Out(table.Render(context.OutColours(), context.OutWidth()));
}

Outcome Ls(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  const Format format = OutputFormat(typed);
  if (typed.words().empty()) return ListBuckets(context, store, format);
  CML_ASSIGN_OR_RETURN(ObjectUri uri, ParseObjectUri(typed.word()));
  const bool recursive = typed.Has("recursive");
  CML_ASSIGN_OR_RETURN(Listing all, ListFolder(store, uri, recursive ? "" : "/"));
  // "ls fds://b/models" where models is a folder: what is in it.
  if (all.objects.empty() && all.folders.size() == 1 && all.folders[0] == uri.key + "/") {
    uri = AsFolder(uri);
    CML_ASSIGN_OR_RETURN(all, ListFolder(store, uri, recursive ? "" : "/"));
  }
  if (all.objects.empty() && all.folders.empty() && format != Format::kJson) {
    if (!uri.key.empty() && !uri.key.ends_with('/')) {
      return Error(Code::kNotFound, "nothing begins with " + uri.str());
    }
    context.Err("nothing there yet; copy something: cloudml fs cp FILE " + uri.str() + "\n");
    return ExitCode::kOk;
  }
  PrintListing(context, uri, all, format);
  return ExitCode::kOk;
}

// ---- cat, rm, mb, rb, du

Outcome Cat(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  for (const std::string& word : typed.words()) {
    CML_ASSIGN_OR_RETURN(const ObjectUri uri, ParseObjectUri(word));
    CML_ASSIGN_OR_RETURN(const ObjectEntry object, store.Head(uri.bucket, uri.key));
    std::uint64_t shown = 0;
    for (int cuts = 0; shown < object.size;) {
      CML_ASSIGN_OR_RETURN(
          const S3::GetEnd end,
          store.Get({uri.bucket, uri.key, shown, object.etag}, [&](std::string_view bytes) {
            context.Out(bytes);
            shown += bytes.size();
            return true;
          }));
      if (end == S3::GetEnd::kWhole) break;
      if (++cuts > 5)
        return Error(Code::kUnavailable, word + ": the connection breaks again and again");
      context.terminal().Pause(std::chrono::milliseconds(250 << cuts));
    }
  }
  return ExitCode::kOk;
}

Outcome Rm(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  return context.ForEach(typed.words(), [&](const std::string& word) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ObjectUri uri, ParseObjectUri(word));
    if (!typed.Has("recursive")) {
      if (uri.key.empty() || uri.key.ends_with('/')) return NeedsRecursive(uri.str(), "rm");
      CML_RETURN_IF_ERROR(store.Head(uri.bucket, uri.key));  // S3 deletes what is not there, too
      CML_RETURN_IF_ERROR(store.Remove(uri.bucket, uri.key));
      context.Err(uri.str() + "  removed\n");
      return ExitCode::kOk;
    }
    // The names first: pages must not shift under the deletion.
    std::vector<std::string> keys;
    const auto collect = [&](const ObjectEntry& o) -> Status {
      keys.push_back(o.key);
      return Ok{};
    };
    CML_RETURN_IF_ERROR(EachObject(store, AsFolder(uri), collect));
    for (const std::string& key : keys) CML_RETURN_IF_ERROR(store.Remove(uri.bucket, key));
    if (keys.empty() && !typed.Has("ignore_missing")) {
      return Error(Code::kNotFound, "there is nothing below " + AsFolder(uri).str());
    }
    context.Err(fmt::format("{}  {} objects removed\n", AsFolder(uri).str(), keys.size()));
    return ExitCode::kOk;
  });
}

Result<std::string> BucketOf(const std::string& word) {
  if (!IsObjectUri(word)) return word;
  CML_ASSIGN_OR_RETURN(const ObjectUri uri, ParseObjectUri(word));
  if (!uri.key.empty()) {
    return Error(Code::kInvalidArgument,
                 Quote(word) + ": a bucket alone is wanted, fds://" + uri.bucket);
  }
  return uri.bucket;
}

Outcome Mb(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  return context.ForEach(typed.words(), [&](const std::string& word) -> Outcome {
    CML_ASSIGN_OR_RETURN(const std::string bucket, BucketOf(word));
    CML_RETURN_IF_ERROR(store.MakeBucket(bucket));
    context.Err("fds://" + bucket + "  ready\n");
    return ExitCode::kOk;
  });
}

Outcome Rb(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  return context.ForEach(typed.words(), [&](const std::string& word) -> Outcome {
    CML_ASSIGN_OR_RETURN(const std::string bucket, BucketOf(word));
    if (const Status removed = store.RemoveBucket(bucket); !removed.ok()) {
      if (removed.error().code() != Code::kAlreadyExists) return removed.error();
      return Error(
          Code::kFailedPrecondition,
          removed.error().message() + "\nempty it first: cloudml fs rm -r fds://" + bucket);
    }
    context.Err("fds://" + bucket + "  removed\n");
    return ExitCode::kOk;
  });
}

Outcome Du(Context& context, const Typed& typed) {
  CML_ASSIGN_OR_RETURN(const Settings* const settings, context.settings());
  S3 store(*settings, context.terminal().clock());
  std::vector<std::string> words = typed.words();
  if (words.empty()) {
    CML_ASSIGN_OR_RETURN(const std::vector<Bucket> buckets, store.Buckets());
    for (const Bucket& b : buckets) words.push_back("fds://" + b.name);
  }
  Table table({{"SIZE", Column::Align::kRight}, {"OBJECTS", Column::Align::kRight}, {"WHERE"}});
  Document data = Document::Array();
  const ExitCode code = context.ForEach(words, [&](const std::string& word) -> Outcome {
    CML_ASSIGN_OR_RETURN(const ObjectUri uri, ParseObjectUri(word));
    std::uint64_t bytes = 0, count = 0;
    CML_RETURN_IF_ERROR(EachObject(store, uri, [&](const ObjectEntry& o) -> Status {
      bytes += o.size;
      ++count;
      return Ok{};
    }));
    table.Add({{FormatBytes(bytes)}, {std::to_string(count)}, {word}});
    data.Append(Document::Object()
                    .Set("uri", word)
                    .Set("bytes", Document::Integer(static_cast<std::int64_t>(bytes)))
                    .Set("objects", Document::Integer(static_cast<std::int64_t>(count))));
    return ExitCode::kOk;
  });
  if (OutputFormat(typed) == Format::kJson) {
    context.PrintJson(Document::Object().Set("data", data));
  } else if (!table.empty()) {
    context.Out(table.Render(context.OutColours(), context.OutWidth()));
  }
  return code;
}

}  // namespace

std::vector<Command> FileCommands() {
  const Option recursive{{"-r", "-R", "--recursive"}, Takes::kNothing, "", "with everything below"};
  return {
      {"fs ls",
       {"[fds://BUCKET[/FOLDER]]", 0, 1, "uri"},
       "buckets, or what is in one",
       "",
       {recursive, OutputOption()},
       Ls},
      {"fs cp",
       {"FROM… TO", 2, kAnyNumber, "uri"},
       "copy files to, from and within the object store",
       "One of FROM and TO at least is an address fds://BUCKET/NAME. A copy that was interrupted\n"
       "goes on where it stopped when the same command is given again.\n\n"
       "  cloudml fs cp data.csv fds://default/census/\n"
       "  cloudml fs cp -r fds://default/digits-1/model ./model",
       {recursive},
       CopyFiles},
      {"fs cat", {"fds://BUCKET/NAME…", 1, kAnyNumber, "uri"}, "print objects", "", {}, Cat},
      {"fs rm",
       {"fds://BUCKET/NAME…", 1, kAnyNumber, "uri"},
       "remove objects",
       "",
       {recursive, {{"--ignore-missing"}, Takes::kNothing, "", "nothing to remove is no error"}},
       Rm},
      {"fs mb", {"fds://BUCKET…", 1, kAnyNumber, "uri"}, "make buckets", "", {}, Mb},
      {"fs rb", {"fds://BUCKET…", 1, kAnyNumber, "uri"}, "remove empty buckets", "", {}, Rb},
      {"fs du",
       {"[fds://BUCKET[/FOLDER]…]", 0, kAnyNumber, "uri"},
       "how much is stored, of all buckets or one",
       "",
       {OutputOption()},
       Du},
  };
}

}  // namespace cml::cli
