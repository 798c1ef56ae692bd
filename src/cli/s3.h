// cli/s3.h — the object store by its S3 interface, path style, signed with AWS Signature Version 4
// (Amazon S3 API Reference).
//
// Not thread-safe: one per thread. Blocks on the network; no time limit on bodies. Codes as for
// cli/rest.h; kNotFound for buckets, objects and uploads that are not there.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/config.h"
#include "net/http_client.h"

namespace cml::cli {

struct Bucket {
  std::string name;
  std::string created;
};

struct ObjectEntry {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;      // without quotes
  std::string modified;  // RFC 3339 from lists
};

struct ObjectPage {
  std::vector<ObjectEntry> objects;
  std::vector<std::string> folders;  // common prefixes
  std::string next;                  // continuation token; empty: the last page
};

// A range of a file to send.
struct FilePart {
  std::filesystem::path file;
  std::uint64_t offset = 0, length = 0;
  std::function<void(std::uint64_t done)> on_progress = {};
};

class S3 {
 public:
  S3(const Settings& settings, const Clock& clock) : settings_(settings), clock_(clock) {}

  Result<std::vector<Bucket>> Buckets();
  Status HeadBucket(const std::string& bucket);
  Status MakeBucket(const std::string& bucket);  // OK when it is ours already
  Status RemoveBucket(const std::string& bucket);

  struct ListQuery {
    std::string bucket, prefix, delimiter, token;
  };
  Result<ObjectPage> List(const ListQuery& query);
  Result<ObjectEntry> Head(const std::string& bucket, const std::string& key);
  Status Remove(const std::string& bucket, const std::string& key);

  struct Range {
    std::string bucket, key;
    std::uint64_t from = 0;
    std::string etag;  // not empty: only of this version (If-Match); kFailedPrecondition otherwise
  };
  // kCut: the connection broke; what came so far is good. After an error it is not: some of it may
  // have been the text of the error.
  enum class GetEnd { kWhole, kCut };
  Result<GetEnd> Get(const Range& range, const std::function<bool(std::string_view)>& on_bytes);

  // The new object's ETag. Its body is hashed before it is sent, and the hash is signed.
  Result<std::string> Put(const std::string& bucket, const std::string& key, const FilePart& part);

  Result<std::string> BeginUpload(const std::string& bucket, const std::string& key);
  struct UploadedPart {
    int number = 0;
    std::uint64_t size = 0;
    std::string etag;
  };
  struct UploadId {
    std::string bucket, key, id;
  };
  Result<UploadedPart> PutPart(const UploadId& upload, int number, const FilePart& part);
  Result<std::vector<UploadedPart>> Parts(const UploadId& upload);
  Status CompleteUpload(const UploadId& upload, const std::vector<UploadedPart>& parts);
  Status AbortUpload(const UploadId& upload);

 private:
  using Query = std::map<std::string, std::string>;
  struct Target {
    std::string method, bucket, key;
    Query query;
  };
  // A request with everything but its body; `payload_hash` is hex SHA-256 of that.
  Result<net::ClientRequest> Prepare(const Target& target, std::string_view payload_hash) const;
  Result<net::ClientResponse> Call(const Target& target, const std::string& body = "");
  Result<net::ClientResponse> Send(const Target& target, const net::ClientRequest& request);
  Result<net::ClientResponse> SendPart(const Target& target, const FilePart& part);
  Error AnswerError(const Target& target, int status, std::string_view body) const;

  const Settings& settings_;
  const Clock& clock_;
  net::HttpClient http_;
};

// "fds://bucket/a/b" (also "s3://"): bucket and key; kInvalidArgument for anything else. The key
// may be empty.
struct ObjectUri {
  std::string bucket, key;
  std::string str() const { return "fds://" + bucket + "/" + key; }
};
bool IsObjectUri(std::string_view text);
Result<ObjectUri> ParseObjectUri(std::string_view text);

// "default" where nothing is configured.
std::string DefaultBucket(const Settings& settings);

}  // namespace cml::cli
