// bench/load.cc — a load generator: N connections that each keep one request in flight.
//
//   load get URL_HOST PORT TARGET SECONDS CONNECTIONS [HEADER…]       the same request, for ever
//   load submit HOST PORT SECONDS CONNECTIONS ACCESS_KEY SECRET NAME_PREFIX COMMAND
//                                                                    signed POST /train, new names
//
// Prints one JSON object: requests, errors, seconds, rate, p50_us, p99_us.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/digest.h"
#include "net/signing.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Steady = std::chrono::steady_clock;

struct Totals {
  std::uint64_t requests = 0, errors = 0;
  std::vector<std::uint32_t> micros;
};

// One connection: sends what `make` gives, reads one answer, and again until the end.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& io, std::function<std::string()> make, Totals& totals, Steady::time_point end)
      : socket_(io), make_(std::move(make)), totals_(totals), end_(end) {}

  void Start(const tcp::endpoint& to) {
    socket_.connect(to);
    socket_.set_option(tcp::no_delay(true));
    Send();
  }

 private:
  void Send() {
    if (Steady::now() >= end_) return;
    request_ = make_();
    sent_ = Steady::now();
    asio::async_write(socket_, asio::buffer(request_), [self = shared_from_this()](auto ec, std::size_t) {
      if (!ec) self->Read();
    });
  }
  void Read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(buffer_), "\r\n\r\n",
                           [self = shared_from_this()](auto ec, std::size_t head) {
                             if (!ec) self->Head(head);
                           });
  }
  void Head(std::size_t head) {
    const bool good = buffer_.compare(9, 3, "200") == 0;
    std::size_t length = 0;
    const auto at = buffer_.find("Content-Length: ");
    if (at != std::string::npos && at < head) length = std::strtoull(buffer_.c_str() + at + 16, nullptr, 10);
    const std::size_t whole = head + length;
    if (buffer_.size() >= whole) return Done(whole, good);
    asio::async_read(socket_, asio::dynamic_buffer(buffer_), asio::transfer_exactly(whole - buffer_.size()),
                     [self = shared_from_this(), whole, good](auto ec, std::size_t) {
                       if (!ec) self->Done(whole, good);
                     });
  }
  void Done(std::size_t whole, bool good) {
    buffer_.erase(0, whole);
    ++totals_.requests;
    if (!good) ++totals_.errors;
    totals_.micros.push_back(static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - sent_).count()));
    Send();
  }

  tcp::socket socket_;
  std::function<std::string()> make_;
  Totals& totals_;
  const Steady::time_point end_;
  Steady::time_point sent_;
  std::string request_, buffer_;
};

std::string SubmitRequest(const std::string& access, const cml::Secret& secret, const std::string& name,
                          const std::string& command) {
  const std::string body = "{\"job_name\": \"" + name + "\", \"docker_command\": \"" + command +
                           "\", \"cpu_limit\": \"0.1\", \"memory_limit\": \"64M\"}";
  const std::string path = "/cloud_ml/v1/train";
  const std::string time = std::to_string(::time(nullptr));
  const std::string md5 = cml::crypto::ToHex(cml::crypto::Digest(cml::crypto::Hash::kMd5, body));
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nX-Xiaomi-Timestamp: " + time + "\r\nX-Xiaomi-Content-MD5: " +
         md5 + "\r\nX-Xiaomi-Secret-Key-Id: " + access + "\r\nAuthorization: Galaxy V3 " +
         cml::net::GalaxyV3Signature(secret, path, time, md5) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

int Usage() {
  std::fprintf(stderr, "usage: load get HOST PORT TARGET SECONDS CONNECTIONS [HEADER…]\n"
                       "       load submit HOST PORT SECONDS CONNECTIONS ACCESS SECRET PREFIX COMMAND\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> a(argv + 1, argv + argc);
  if (a.size() < 6) return Usage();
  const bool get = a[0] == "get";
  if (!get && (a[0] != "submit" || a.size() < 9)) return Usage();
  const double seconds = std::atof(a[get ? 4 : 3].c_str());
  const int connections = std::atoi(a[get ? 5 : 4].c_str());
  std::uint64_t number = 0;
  std::function<std::string()> make;
  if (get) {
    std::string request = "GET " + a[3] + " HTTP/1.1\r\nHost: localhost\r\n";
    for (std::size_t i = 6; i < a.size(); ++i) request += a[i] + "\r\n";
    make = [request = request + "\r\n"] { return request; };
  } else {
    make = [&, secret = cml::Secret(a[6])] {
      return SubmitRequest(a[5], secret, a[7] + std::to_string(++number), a[8]);
    };
  }
  asio::io_context io;
  Totals totals;
  const auto begin = Steady::now();
  const auto end = begin + std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
  const tcp::endpoint to(asio::ip::make_address(a[1]), static_cast<std::uint16_t>(std::atoi(a[2].c_str())));
  for (int i = 0; i < connections; ++i) std::make_shared<Connection>(io, make, totals, end)->Start(to);
  io.run();
  const double took = std::chrono::duration<double>(Steady::now() - begin).count();
  std::sort(totals.micros.begin(), totals.micros.end());
  const auto at = [&](double q) {
    return totals.micros.empty() ? 0U : totals.micros[static_cast<std::size_t>(q * static_cast<double>(totals.micros.size() - 1))];
  };
  std::printf("{\"requests\": %lu, \"errors\": %lu, \"seconds\": %.3f, \"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u}\n",
              totals.requests, totals.errors, took, static_cast<double>(totals.requests) / took, at(0.5), at(0.99));
  return totals.requests > 0 ? 0 : 1;
}
