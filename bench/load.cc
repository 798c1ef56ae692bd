// bench/load.cc — a load generator: N connections that each keep one request in flight.
//
//   load replay PORT CONNECTIONS AMOUNT FILE      the whole requests of FILE (no bodies), in turn
//   load submit PORT CONNECTIONS AMOUNT ACCESS_KEY SECRET NAME BODY
//       signed POST /cloud_ml/v1/train; each '@' of BODY becomes NAME and a number
//
// AMOUNT: "3s" for three seconds, "500" for 500 requests. The server is on 127.0.0.1.
// Prints one JSON object: requests, errors (answers but 200), seconds, rate, p50_us, p99_us.
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/digest.h"
#include "net/signing.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Steady = std::chrono::steady_clock;
using MakeRequest = std::function<std::string()>;

constexpr std::string_view kEndOfHead = "\r\n\r\n";

// How long, or how many; the answers counted so far.
struct Run {
  Steady::time_point begin = Steady::now();
  std::optional<Steady::time_point> end;
  std::uint64_t left = 0;  // without an end: requests still to be sent
  std::uint64_t errors = 0, broken = 0;
  std::vector<std::uint32_t> micros;

  bool TakeOne() {
    if (end) return Steady::now() < *end;
    if (left == 0) return false;
    --left;
    return true;
  }
};

// Sends what `make` gives, reads one answer, and again until the run is over.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& io, const MakeRequest& make, Run& run)
      : socket_(io), make_(make), run_(run) {}

  void Start(const tcp::endpoint& to) {
    socket_.connect(to);
    socket_.set_option(tcp::no_delay(true));
    Send();
  }

 private:
  void Send() {
    if (!run_.TakeOne()) return;
    request_ = make_();
    sent_ = Steady::now();
    asio::async_write(socket_, asio::buffer(request_),
                      [self = shared_from_this()](auto ec, std::size_t) {
                        ec ? self->Broken() : self->Read();
                      });
  }
  void Read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(buffer_), kEndOfHead,
                           [self = shared_from_this()](auto ec, std::size_t head) {
                             ec ? self->Broken() : self->Head(head);
                           });
  }
  void Head(std::size_t head) {
    const bool good = buffer_.compare(9, 3, "200") == 0;
    const std::size_t whole = head + ContentLength(head);
    if (buffer_.size() >= whole) return Done(whole, good);
    asio::async_read(socket_, asio::dynamic_buffer(buffer_),
                     asio::transfer_exactly(whole - buffer_.size()),
                     [self = shared_from_this(), whole, good](auto ec, std::size_t) {
                       ec ? self->Broken() : self->Done(whole, good);
                     });
  }
  std::size_t ContentLength(std::size_t head) const {
    constexpr std::string_view kName = "\r\ncontent-length:";
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(head);
    const auto at = std::search(buffer_.begin(), end, kName.begin(), kName.end(),
                                [&](char a, char b) { return lower(a) == b; });
    if (at == end) return 0;
    return std::strtoull(&*at + kName.size(), nullptr, 10);
  }
  void Done(std::size_t whole, bool good) {
    buffer_.erase(0, whole);
    if (!good) ++run_.errors;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - sent_);
    run_.micros.push_back(static_cast<std::uint32_t>(took.count()));
    Send();
  }
  void Broken() { ++run_.broken; }

  tcp::socket socket_;
  const MakeRequest& make_;
  Run& run_;
  Steady::time_point sent_;
  std::string request_, buffer_;
};

std::vector<std::string> ReadRequests(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<std::string> requests;
  for (std::size_t at = 0; at < all.size();) {
    const auto end = all.find(kEndOfHead, at);
    if (end == std::string::npos) break;
    requests.push_back(all.substr(at, end + kEndOfHead.size() - at));
    at = end + kEndOfHead.size();
  }
  return requests;
}

struct Submitter {
  std::string access;
  cml::Secret secret;
  std::string name, body;
  std::uint64_t number = 0;

  std::string Next() {
    const std::string job = name + std::to_string(++number);
    std::string text;
    for (const char c : body) c == '@' ? text += job : text += c;
    const std::string path = "/cloud_ml/v1/train";
    const std::string time = std::to_string(std::time(nullptr));
    const std::string md5 = cml::crypto::ToHex(cml::crypto::Digest(cml::crypto::Hash::kMd5, text));
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nX-Xiaomi-Timestamp: " + time +
           "\r\nX-Xiaomi-Content-MD5: " + md5 + "\r\nX-Xiaomi-Secret-Key-Id: " + access +
           "\r\nAuthorization: Galaxy V3 " + cml::net::GalaxyV3Signature(secret, path, time, md5) +
           "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  }
};

int Usage() {
  std::fprintf(stderr,
               "usage: load replay PORT CONNECTIONS AMOUNT FILE\n"
               "       load submit PORT CONNECTIONS AMOUNT ACCESS_KEY SECRET NAME BODY\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> a(argv + 1, argv + argc);
  const bool replay = a.size() == 5 && a[0] == "replay";
  if (!replay && (a.size() != 8 || a[0] != "submit")) return Usage();

  std::vector<std::string> requests;
  if (replay) requests = ReadRequests(a[4]);
  if (replay && requests.empty()) {
    std::fprintf(stderr, "load: %s: no requests in it\n", a[4].c_str());
    return 1;
  }
  std::size_t turn = 0;
  Submitter submitter;
  if (!replay) submitter = {a[4], cml::Secret(a[5]), a[6], a[7]};
  const MakeRequest make = replay ? MakeRequest([&] { return requests[turn++ % requests.size()]; })
                                  : MakeRequest([&] { return submitter.Next(); });

  Run run;
  if (a[3].ends_with('s')) {
    const std::chrono::duration<double> length(std::atof(a[3].c_str()));
    run.end = run.begin + std::chrono::duration_cast<Steady::duration>(length);
  } else {
    run.left = std::strtoull(a[3].c_str(), nullptr, 10);
  }
  asio::io_context io;
  const tcp::endpoint to(asio::ip::make_address("127.0.0.1"),
                         static_cast<std::uint16_t>(std::atoi(a[1].c_str())));
  for (int i = 0; i < std::atoi(a[2].c_str()); ++i) {
    std::make_shared<Connection>(io, make, run)->Start(to);
  }
  io.run();

  const double took = std::chrono::duration<double>(Steady::now() - run.begin).count();
  std::sort(run.micros.begin(), run.micros.end());
  const auto at = [&run](double q) {
    if (run.micros.empty()) return 0U;
    return run.micros[static_cast<std::size_t>(q * static_cast<double>(run.micros.size() - 1))];
  };
  std::printf("{\"requests\": %zu, \"errors\": %llu, \"broken\": %llu, \"seconds\": %.4f, "
              "\"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u}\n",
              run.micros.size(), static_cast<unsigned long long>(run.errors),
              static_cast<unsigned long long>(run.broken), took,
              static_cast<double>(run.micros.size()) / took, at(0.5), at(0.99));
  return run.micros.empty() ? 1 : 0;
}
