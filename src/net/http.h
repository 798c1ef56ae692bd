// net/http.h — requests and answers as plain values, and what a handler may do with them. No
// sockets here: net/http_server.h carries them.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace cml::net {

// Header fields in order of arrival; names compare without case.
class Headers {
 public:
  void Add(std::string name, std::string value) {
    all_.emplace_back(std::move(name), std::move(value));
  }
  void Set(std::string name, std::string value);  // replaces all of that name
  std::string_view Get(std::string_view name) const;  // the first; empty: none
  bool Has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
};

struct Request {
  std::string method;       // upper case as sent
  std::string target;       // the raw request target, still percent-encoded, with its query
  std::string path;         // the target's path, still percent-encoded, runs of '/' made one
  std::map<std::string, std::string> query;  // decoded; '?' reads as '&'; first of a name wins
  Headers headers;
  std::string body;         // empty where the route takes a BodySink
  std::string peer;         // address of the client, for the log
  // Who the client's certificate says it is ("CN=alice,O=Example", RFC 4514), where TLS verified
  // one; empty: none.
  std::string client_subject;
  std::string id;           // request id: the client's X-Request-Id when well-formed, else ours
};

// A long answer, produced piece by piece. The server calls Next on a worker thread, never twice at
// once, and drops the source when the client has gone (while a source waits, a client that has
// closed its sending half counts as gone). The head goes out with the first bytes, or before the
// first wait.
class BodySource {
 public:
  struct Piece {
    std::string bytes;
    bool last = false;
    std::chrono::milliseconds wait{0};  // bytes empty and not last: ask again after this time
  };
  virtual ~BodySource() = default;
  // An error of the first call is answered like BodySink::Failed; a later one, after the head was
  // sent, cuts the connection without a last chunk.
  virtual Result<Piece> Next() = 0;
  // Called once, before the first Next, where the source can be woken before its `wait` is over.
  // `wake` may be called from any thread at any time, even when source and server are gone.
  virtual void OnReady(std::function<void()> wake) { (void)wake; }
};

struct Response {
  int status = 200;
  Headers headers;          // Content-Length, Date and Connection are the server's
  std::string body;
  std::unique_ptr<BodySource> source;       // instead of body
  // Of source, where known: no chunked encoding then. Without source, in the answer to a HEAD: the
  // length that a GET would have.
  std::optional<std::uint64_t> length;
};

// A request body taken piece by piece (uploads). Called on worker threads, never twice at once.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual Status Write(std::string_view bytes) = 0;
  virtual Response Finish() = 0;               // the body is complete
  // Instead of Finish, after a Write that failed: the answer, and the end of the connection. The
  // default says the error's message as {"error": true, "message": …} with a status to its code.
  virtual Response Failed(const Error& error);
};

// Decides, when the head of a request has been read, what happens with the rest.
struct Route {
  // Runs on a worker thread: may block. Exactly one of `handle` and `sink` is set.
  std::function<Response(Request)> handle;
  std::unique_ptr<BodySink> sink;
  std::uint64_t most_body = 1ULL << 20;        // longer: 413 before a byte of it is kept
  // `handle` neither blocks nor takes longer than a few dozen microseconds: run it on the event
  // loop itself and save two thread switches.
  enum class Where { kWorker, kEventLoop } where = Where::kWorker;
};

// Called on the event loop with body empty: cheap, non-blocking, thread-safe.
using Router = std::function<Route(const Request& head)>;

std::string PercentDecode(std::string_view s);              // lenient: a bad escape stays as it is
// RFC 3986's unreserved characters and those of `keep` stay.
std::string PercentEncode(std::string_view s, std::string_view keep = "");
std::string NormalisePath(std::string_view raw_path);       // runs of '/' made one
// cloud_ml v1, section 13.1; '+' is a space.
std::map<std::string, std::string> ParseQuery(std::string_view query);
std::string_view ReasonPhrase(int status);

}  // namespace cml::net
