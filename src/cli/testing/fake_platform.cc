#include "cli/testing/fake_platform.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/log.h"
#include "base/strings.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::cli {
namespace {

using codec::Document;

net::Response Json(int status, const std::string& body) {
  net::Response r;
  r.status = status;
  r.headers.Set("Content-Type", "application/json");
  r.body = body;
  return r;
}

net::Response JsonError(int status, const std::string& message) {
  return Json(
      status,
      Document::Object().Set("error", Document::Boolean(true)).Set("message", message).Dump());
}

net::Response Xml(int status, const std::string& body) {
  net::Response r;
  r.status = status;
  r.headers.Set("Content-Type", "application/xml");
  r.body = "<?xml version=\"1.0\"?>\n" + body;
  return r;
}

net::Response XmlError(int status, const std::string& code) {
  return Xml(status,
             "<Error><Code>" + code + "</Code><Message>" + code + " it is</Message></Error>");
}

bool GalaxyIsRight(const net::Request& r) {
  const std::string md5 = crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, r.body));
  const std::string path = r.target.substr(0, r.target.find('?'));
  return r.headers.Get("X-Xiaomi-Secret-Key-Id") == kTestAccessKey &&
         r.headers.Get("X-Xiaomi-Content-MD5") == md5 &&
         r.headers.Get("Authorization") ==
             "Galaxy V3 " + net::GalaxyV3Signature(Secret(kTestSecretKey), path,
                                                   r.headers.Get("X-Xiaomi-Timestamp"), md5);
}

bool SigV4IsRight(const net::Request& r) {
  const auto claim = net::ParseSigV4(r);
  if (!claim.ok() || claim.value().scope.access_key != kTestAccessKey) return false;
  const std::string hash = crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, r.body));
  return r.headers.Get("X-Amz-Content-Sha256") == hash &&
         net::SigV4Signature(Secret(kTestSecretKey), r, claim.value(), hash) ==
             claim.value().signature;
}

std::string EtagOf(const std::string& bytes) {
  return "\"" + crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, bytes)) + "\"";
}

}  // namespace

// Sends its bytes, then ends well or breaks.
class FakePlatform::Stream final : public net::BodySource {
 public:
  enum class End { kWell, kCut };
  Stream(std::string bytes, End end) : bytes_(std::move(bytes)), end_(end) {}
  Result<Piece> Next() override {
    if (!bytes_.empty()) return Piece{std::exchange(bytes_, {}), false, {}};
    // The bytes must have left before the connection breaks.
    if (end_ == End::kCut && !std::exchange(waited_, true))
      return Piece{"", false, std::chrono::milliseconds(30)};
    if (end_ == End::kCut) return Error(Code::kInternal, "cut by the test");
    return Piece{"", true, {}};
  }

 private:
  std::string bytes_;
  End end_;
  bool waited_ = false;
};

FakePlatform::FakePlatform() {
  SetLogLevel(LogLevel::kError);  // answers are cut on purpose
  Start();
}
FakePlatform::~FakePlatform() { Stop(); }

std::string FakePlatform::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

void FakePlatform::Start() {
  net::ServerOptions options;
  options.port = port_;
  options.workers = 4;
  auto started = net::HttpServer::Start(options, [this](const net::Request&) {
    net::Route route;
    route.most_body = 64U << 20;
    route.handle = [this](net::Request request) { return Handle(request); };
    return route;
  });
  if (!started.ok()) {
    std::fprintf(stderr, "fake platform: %s\n", started.error().message().c_str());
    std::abort();
  }
  server_ = std::move(started).value();
  port_ = server_->port();
}

void FakePlatform::Stop() { server_.reset(); }

void FakePlatform::AddJob(const std::string& name, std::deque<Step> steps) {
  const std::lock_guard lock(mutex_);
  Job job;
  job.object.Set("job_name", name)
      .Set("job_id", "k3v9x0q2ab")
      .Set("org_name", "default")
      .Set("org_id", "1");
  job.object.Set("module_name", "trainer.task").Set("trainer_uri", "fds://default/a.tar.gz");
  job.object.Set("framework", "tensorflow").Set("framework_version", "2.15.1");
  job.object.Set("cpu_limit", "4").Set("memory_limit", "8G").Set("gpu_limit", Document::Integer(0));
  job.object.Set("defaults", Document::Array().Append(Document::String("cpu_limit")));
  job.object.Set("create_time", "2026-11-24 07:00:00.000000");
  job.object.Set("state", "enqueued");
  job.steps = std::move(steps);
  NextStep(job);
  jobs_[name] = std::move(job);
}

void FakePlatform::ScriptSubmits(std::deque<Step> steps) {
  const std::lock_guard lock(mutex_);
  submits_ = std::move(steps);
}

void FakePlatform::Answer(const std::string& method_and_path, int status, const std::string& body) {
  const std::lock_guard lock(mutex_);
  answers_[method_and_path] = {status, body};
}

void FakePlatform::CutNext(int times) {
  const std::lock_guard lock(mutex_);
  cuts_ = times;
}

void FakePlatform::FailPartsAfter(int parts) {
  const std::lock_guard lock(mutex_);
  parts_left_ = parts;
}

void FakePlatform::ForgetOffsets() {
  const std::lock_guard lock(mutex_);
  offsets_ = false;
}

std::vector<std::string> FakePlatform::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

Document FakePlatform::last_submit() const {
  const std::lock_guard lock(mutex_);
  return Document::Parse(last_submit_.Dump()).value();
}

std::string FakePlatform::last_body() const {
  const std::lock_guard lock(mutex_);
  return last_body_;
}

std::map<std::string, std::string> FakePlatform::objects() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> all;
  for (const auto& [bucket, objects] : buckets_) {
    for (const auto& [key, bytes] : objects) all[bucket + "/" + key] = bytes;
  }
  return all;
}

void FakePlatform::PutObject(const std::string& bucket, const std::string& key,
                             const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  buckets_[bucket][key] = bytes;
}

bool FakePlatform::HasBucket(const std::string& bucket) const {
  const std::lock_guard lock(mutex_);
  return buckets_.contains(bucket);
}

std::string FakePlatform::last_range() const {
  const std::lock_guard lock(mutex_);
  return last_range_;
}

std::size_t FakePlatform::open_uploads() const {
  const std::lock_guard lock(mutex_);
  return uploads_.size();
}

void FakePlatform::NextStep(Job& job) {
  if (job.steps.empty()) return;
  const Step step = job.steps.front();
  job.steps.pop_front();
  job.log += step.log;
  job.object.Set("state", step.state).Set("reason", step.reason);
  step.message.empty() ? job.object.Remove("message") : job.object.Set("message", step.message);
  job.object.Set("exit_code", step.exit_code < 0 ? Document() : Document::Integer(step.exit_code));
  job.object.Set("state_since", step.since);
  if (step.state == "running") job.object.Set("started_at", "2026-11-24T07:58:00Z");
  if (step.state == "failed" || step.state == "completed") {
    job.object.Set("started_at", "2026-11-24T07:58:00Z").Set("ended_at", "2026-11-24T07:58:21Z");
  }
}

net::Response FakePlatform::Handle(const net::Request& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request.method + " " + request.target);
  if (!request.body.empty()) last_body_ = request.body;
  if (const auto it = answers_.find(request.method + " " + request.path); it != answers_.end()) {
    return Json(it->second.first, it->second.second);
  }
  return request.path.starts_with("/cloud_ml/") ? HandleApi(request) : HandleStore(request);
}

net::Response FakePlatform::HandleApi(const net::Request& request) {
  const std::string path = request.path.substr(std::string("/cloud_ml/v1").size());
  if (path == "/framework")
    return Json(200, R"({"tensorflow": ["1.15.5", "2.15.1"], "pytorch": ["2.5.1"]})");
  if (!GalaxyIsRight(request)) return JsonError(401, "Unauthorized: signature is wrong");
  if (path == "/org_ids") return Json(200, R"({"org_id": "1"})");
  if (path == "/quota") return Json(200, R"({"data": []})");
  if (path == "/runtimes") {
    return Json(
        200,
        R"({"data": [{"name": "tensorflow", "version": "2.15.1", "variant": "cpu", "python": "3.11",)"
        R"( "state": "ready", "message": "", "size_bytes": 1181116006}]})");
  }
  if (path == "/runtimes/tensorflow/2.15.1/prepare" || path == "/runtimes/tensorflow/2.15.1") {
    return Json(200, R"({"error": false, "message": "Successfully delete tensorflow 2.15.1"})");
  }
  if (path == "/train" || path.starts_with("/train/")) return HandleTrain(request, path.substr(6));
  return JsonError(404, "no such route");
}

net::Response FakePlatform::HandleTrain(const net::Request& request, const std::string& rest) {
  if (rest.empty() && request.method == "POST") {
    auto body = Document::Parse(request.body);
    if (!body.ok()) return JsonError(400, body.error().message());
    last_submit_ = body.value();
    Job job{body.value(), submits_, ""};
    job.object.Set("state", "enqueued").Set("create_time", "2026-11-24 08:00:00.000000");
    NextStep(job);
    const std::string answer = job.object.Dump();
    if (!request.query.contains("dry_run"))
      jobs_[job.object.Get("job_name").Str()] = std::move(job);
    return Json(200, answer);
  }
  if (rest.empty()) {
    Document data = Document::Array();
    for (const auto& [name, job] : jobs_) data.Append(job.object);
    return Json(200, Document::Object().Set("data", data).Dump());
  }
  const std::size_t slash = rest.find('/', 1);
  const std::string name = net::PercentDecode(rest.substr(1, slash - 1));
  const std::string verb = slash == std::string::npos ? "" : rest.substr(slash);
  const auto it = jobs_.find(name);
  if (it == jobs_.end()) return JsonError(404, "Train job " + name + " doesn't exist");
  Job& job = it->second;
  if (request.method == "DELETE") {
    jobs_.erase(it);
    return Json(200, R"({"error": false, "message": "Successfully delete )" + name + "\"}");
  }
  if (verb == "/logs" && request.query.contains("follow")) {
    std::uint64_t from = 0;
    if (offsets_ && request.query.contains("offset"))
      from = ParseUnsigned(request.query.at("offset")).value_or(0);
    return SendBytes(job.log, from, 200);
  }
  if (verb == "/logs") {
    std::string text = job.log;
    const bool tail = request.query.contains("lines");
    if (tail) {
      std::vector<std::string_view> lines =
          Split(std::string_view(text).substr(0, text.size() - text.ends_with('\n')), '\n');
      const auto n = ParseUnsigned(request.query.at("lines")).value_or(0);
      std::string last;
      for (std::size_t i = lines.size() - std::min<std::size_t>(n, lines.size()); i < lines.size();
           ++i)
        last += std::string(lines[i]) + "\n";
      text = last;
    }
    net::Response r = Json(200, Document::Object().Set("logs", text).Dump());
    if (offsets_ && !tail) r.headers.Set("X-Log-Offset", std::to_string(job.log.size()));
    return r;
  }
  if (verb == "/events") {
    return Json(
        200,
        R"({"events": [{"firstTimestamp": "2026-11-24T07:54:00Z", "lastTimestamp": "2026-11-24T07:54:00Z", "count": 1,)"
        R"( "involvedObject": {"name": "x"}, "type": "Normal", "reason": "Enqueued", "message": "4 GPUs asked, 2 free"}], "recommend": []})");
  }
  if (verb == "/metrics")
    return Json(
        200,
        R"({"cpu": 93.5, "memory": 6549825126, "network_receive": 10, "network_transmit": 2048})");
  if (verb == "/hyperparameters") return Json(200, R"({"data": []})");
  if (verb == "/start") {  // the answer says what is going to be; the row follows in a moment
    job.steps = submits_;
    return Json(200, Document(job.object).Set("state", "enqueued").Dump());
  }
  if (verb.empty()) {
    NextStep(job);
  }
  return Json(200, job.object.Dump());
}

net::Response FakePlatform::SendBytes(std::string bytes, std::uint64_t from, int status) {
  bytes.erase(0, static_cast<std::size_t>(std::min<std::uint64_t>(from, bytes.size())));
  const bool cut = cuts_ > 0 && bytes.size() > 1;
  if (cut) {
    --cuts_;
    bytes.resize(bytes.size() / 2);
  }
  net::Response r;
  r.status = status;
  r.source =
      std::make_unique<Stream>(std::move(bytes), cut ? Stream::End::kCut : Stream::End::kWell);
  return r;
}

net::Response FakePlatform::HandleStore(const net::Request& request) {
  if (!SigV4IsRight(request)) return XmlError(403, "SignatureDoesNotMatch");
  if (request.path == "/") {
    std::string list;
    for (const auto& [name, objects] : buckets_) {
      list += "<Bucket><Name>" + name +
              "</Name><CreationDate>2026-11-24T07:00:00Z</CreationDate></Bucket>";
    }
    return Xml(200,
               "<ListAllMyBucketsResult><Buckets>" + list + "</Buckets></ListAllMyBucketsResult>");
  }
  const std::string path = net::PercentDecode(request.path.substr(1));
  const std::size_t slash = path.find('/');
  const std::string bucket = path.substr(0, slash);
  const auto it = buckets_.find(bucket);
  if (slash == std::string::npos) {
    if (request.method == "PUT") {
      buckets_[bucket];
      return Xml(200, "");
    }
    if (it == buckets_.end()) return XmlError(404, "NoSuchBucket");
    if (request.method == "HEAD") return {};
    if (request.method == "DELETE") {
      if (!it->second.empty()) return XmlError(409, "BucketNotEmpty");
      buckets_.erase(it);
      return {};
    }
    // Pages of two, to see that all of them are asked for.
    const std::string prefix = request.query.at("prefix");
    const std::string after =
        request.query.contains("continuation-token") ? request.query.at("continuation-token") : "";
    std::string body, next;
    std::map<std::string, bool> folders;
    int n = 0;
    for (const auto& [key, bytes] : it->second) {
      if (!key.starts_with(prefix) || (!after.empty() && key <= after)) continue;
      const std::size_t deeper =
          request.query.contains("delimiter") ? key.find('/', prefix.size()) : std::string::npos;
      if (deeper != std::string::npos) {
        folders[key.substr(0, deeper + 1)] = true;
        continue;
      }
      if (n == 2) {
        body += "<IsTruncated>true</IsTruncated><NextContinuationToken>" + next +
                "</NextContinuationToken>";
        break;
      }
      ++n;
      next = key;
      body += fmt::format(
          "<Contents><Key>{}</Key><Size>{}</Size><ETag>{}</"
          "ETag><LastModified>2026-11-24T07:00:00Z</LastModified></Contents>",
          key, bytes.size(), EtagOf(bytes));
    }
    for (const auto& [folder, yes] : folders)
      body += "<CommonPrefixes><Prefix>" + folder + "</Prefix></CommonPrefixes>";
    return Xml(200, "<ListBucketResult>" + body + "</ListBucketResult>");
  }
  if (it == buckets_.end()) return XmlError(404, "NoSuchBucket");
  if (request.query.contains("uploads") || request.query.contains("uploadId"))
    return HandleUpload(request, path);
  const std::string key = path.substr(slash + 1);
  if (request.method == "PUT") {
    it->second[key] = request.body;
    net::Response r;
    r.headers.Set("ETag", EtagOf(request.body));
    return r;
  }
  if (request.method == "DELETE") {
    it->second.erase(key);
    return {};
  }
  const auto object = it->second.find(key);
  if (object == it->second.end()) return XmlError(404, "NoSuchKey");
  net::Response r;
  if (request.method == "HEAD") {
    r.body = object->second;  // the server sends its length alone
  } else {
    const std::string_view range = request.headers.Get("Range");
    last_range_ = std::string(range);
    const std::uint64_t from =
        range.empty() ? 0 : ParseUnsigned(range.substr(6, range.size() - 7)).value_or(0);
    r = SendBytes(object->second, from, range.empty() ? 200 : 206);
  }
  r.headers.Set("ETag", EtagOf(object->second));
  return r;
}

net::Response FakePlatform::HandleUpload(const net::Request& request, const std::string& path) {
  if (request.query.contains("uploads")) {
    const std::string id = fmt::format("upload-{}", uploads_.size() + 1);
    uploads_[id].path = path;
    return Xml(200, "<InitiateMultipartUploadResult><UploadId>" + id +
                        "</UploadId></InitiateMultipartUploadResult>");
  }
  const std::string id = request.query.at("uploadId");
  const auto it = uploads_.find(id);
  if (it == uploads_.end()) return XmlError(404, "NoSuchUpload");
  net::Response r;
  if (request.method == "PUT") {
    if (parts_left_-- <= 0) return XmlError(503, "SlowDown");
    it->second.parts[static_cast<int>(ParseInt(request.query.at("partNumber")).value_or(0))] =
        request.body;
    r.headers.Set("ETag", EtagOf(request.body));
    return r;
  }
  if (request.method == "GET") {
    std::string list;
    for (const auto& [number, bytes] : it->second.parts) {
      list += fmt::format("<Part><PartNumber>{}</PartNumber><Size>{}</Size><ETag>{}</ETag></Part>",
                          number, bytes.size(), EtagOf(bytes));
    }
    return Xml(200, "<ListPartsResult>" + list + "</ListPartsResult>");
  }
  std::string whole;
  for (const auto& [number, bytes] : it->second.parts) whole += bytes;
  buckets_[path.substr(0, path.find('/'))][path.substr(path.find('/') + 1)] = whole;
  uploads_.erase(it);
  return Xml(200,
             "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>");
}

}  // namespace cml::cli
