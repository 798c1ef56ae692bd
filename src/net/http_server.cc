#include "net/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <exception>
#include <utility>
#include <vector>

#include "base/log.h"
#include "net/connection.h"
#include "net/event_loop.h"

namespace cml::net {
namespace {

using asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when descriptors have run out
constexpr std::chrono::seconds kLogPause{10};
constexpr unsigned kMostRefusing = 32;  // per loop, 503s under way at once

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(ServerOptions options, Router router)
      : shared_(std::move(options), std::move(router)) {
    for (unsigned i = 0; i < std::max(1U, shared_.options.io_threads); ++i) {
      loops_.push_back(std::make_unique<EventLoop>(shared_));
    }
    acceptor_ = std::make_unique<Acceptor>(loops_[0]->io.get_executor());
    pause_ = std::make_unique<Timer>(loops_[0]->io.get_executor());
    look_ = std::make_unique<Timer>(loops_[0]->io.get_executor());
  }
  ~AsioHttpServer() override {
    Drain(std::chrono::milliseconds(0));
    shared_.pool.Stop();  // handlers under way end by themselves; their clients are gone
    {
      std::unique_lock lock(shared_.mutex);
      shared_.all_closed.wait(lock, [this] { return shared_.open.load() == 0; });
    }
    for (auto& loop : loops_) loop->Stop();
    acceptor_.reset();
    pause_.reset();
    look_.reset();
  }

  Status Listen() {
    const ServerOptions& o = shared_.options;
    if (o.tls) {
      CML_ASSIGN_OR_RETURN(shared_.tls, TlsKeeper::Open(*o.tls));
    }
    const std::string where = o.address + ":" + std::to_string(o.port);
    ErrorCode ec;
    const auto address = asio::ip::make_address(o.address, ec);
    if (ec)
      return Error(Code::kInvalidArgument, "cannot listen on " + where + ": not an IP address");
    const tcp::endpoint endpoint(address, o.port);
    acceptor_->open(endpoint.protocol(), ec);
    if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_->bind(endpoint, ec);
    if (!ec) acceptor_->listen(4096, ec);
    if (ec) {
      const std::string why =
          ec == asio::error::address_in_use
              ? "another program listens there already; stop it or choose another port"
              : ec.message();
      return Error(Code::kUnavailable, "cannot listen on " + where + ": " + why);
    }
    port_ = acceptor_->local_endpoint(ec).port();
    for (auto& loop : loops_) loop->Run();
    asio::co_spawn(loops_[0]->io.get_executor(), Accept(), [](const std::exception_ptr& e) {
      if (e) LogError("the acceptor ended by an exception");
    });
    if (shared_.tls) {
      asio::co_spawn(loops_[0]->io.get_executor(), LookAtCertificate(),
                     [](const std::exception_ptr& e) {
                       if (e) LogError("looking at the certificate ended by an exception");
                     });
    }
    return Ok{};
  }

  std::uint16_t port() const override { return port_; }

  ServerCounters counters() const override {
    ServerCounters c;
    c.connections_open = shared_.open.load();
    c.connections_total = shared_.connections_total.load();
    c.connections_refused = shared_.connections_refused.load();
    c.tls_failed = shared_.tls_failed.load();
    for (const auto& loop : loops_) {
      c.requests_total += loop->requests.load(std::memory_order_relaxed);
      for (std::size_t i = 0; i < loop->answers.size(); ++i) {
        const std::uint64_t n = loop->answers[i].load(std::memory_order_relaxed);
        if (n > 0) c.answers_by_status[static_cast<int>(i) + 100] += n;
      }
    }
    return c;
  }

  Status ReloadTls() override { return shared_.tls ? shared_.tls->Reload() : Status(Ok{}); }

  void Drain(std::chrono::milliseconds most) override {
    shared_.draining.store(true);
    asio::post(loops_[0]->io, [this] {
      ErrorCode ignored;
      acceptor_->close(ignored);
      pause_->cancel();
      look_->cancel();
    });
    for (auto& loop : loops_) asio::post(loop->io, [l = loop.get()] { l->CloseIdle(); });
    {
      std::unique_lock lock(shared_.mutex);
      if (shared_.all_closed.wait_for(lock, most, [this] { return shared_.open.load() == 0; }))
        return;
    }
    for (auto& loop : loops_) asio::post(loop->io, [l = loop.get()] { l->CutAll(); });
  }

 private:
  Task<void> Accept() {
    TimePoint quiet_until{};
    for (std::size_t next = 0; acceptor_->is_open(); next = (next + 1) % loops_.size()) {
      EventLoop& loop = *loops_[next];
      Socket socket(loop.io.get_executor());
      ErrorCode ec;
      tcp::endpoint peer;
      co_await acceptor_->async_accept(socket, peer, asio::redirect_error(kUseTask, ec));
      if (ec == asio::error::operation_aborted || !acceptor_->is_open()) break;
      if (ec == asio::error::connection_aborted) continue;
      if (ec) {
        const TimePoint now = std::chrono::steady_clock::now();
        if (now >= quiet_until) LogWarning("cannot accept a connection", {{"why", ec.message()}});
        if (now >= quiet_until) quiet_until = now + kLogPause;
        pause_->expires_after(kAcceptPause);
        co_await pause_->async_wait(asio::redirect_error(kUseTask, ec));
        continue;
      }
      shared_.connections_total.fetch_add(1, std::memory_order_relaxed);
      Admit(loop, std::move(socket), peer.address());
    }
  }

  void Admit(EventLoop& loop, Socket socket, const asio::ip::address& peer) {
    using Purpose = Connection::Purpose;
    PeerCount::Place place = shared_.peers.Enter(peer);
    Purpose purpose = Purpose::kServe;
    if (shared_.open.load() >= shared_.options.most_connections) purpose = Purpose::kNoRoom;
    if (place.over_limit()) purpose = Purpose::kTooManyOfPeer;
    auto connection = std::make_shared<Connection>(loop, std::move(socket), peer, std::move(place));
    asio::post(loop.io, [c = std::move(connection), l = &loop, s = &shared_, purpose]() mutable {
      if (s->draining.load()) return;
      if (purpose == Purpose::kNoRoom && l->CloseLongestIdle()) purpose = Purpose::kServe;
      if (purpose != Purpose::kServe && l->refusing >= kMostRefusing) {
        s->connections_refused.fetch_add(1);
        return;
      }
      Connection::Start(std::move(c), purpose);
    });
  }

  Task<void> LookAtCertificate() {
    while (!shared_.draining.load()) {
      look_->expires_after(shared_.options.tls_look_time);
      ErrorCode ec;
      co_await look_->async_wait(asio::redirect_error(kUseTask, ec));
      if (ec || shared_.draining.load()) break;
      if (!shared_.tls->LooksChanged()) continue;
      static_cast<void>(shared_.pool.Submit([s = &shared_] {
        static_cast<void>(s->tls->Reload());  // logged there
      }));
    }
  }

  ServerShared shared_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::unique_ptr<Acceptor> acceptor_;  // loop 0's, as the timers
  std::unique_ptr<Timer> pause_, look_;
  std::uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(ServerOptions options, Router router) {
  try {
    auto server = std::make_unique<AsioHttpServer>(std::move(options), std::move(router));
    CML_RETURN_IF_ERROR(server->Listen());
    return std::unique_ptr<HttpServer>(std::move(server));
  } catch (const std::exception& e) {  // no descriptors or threads left
    return Error(Code::kUnavailable, std::string("cannot start the HTTP server: ") + e.what());
  }
}

}  // namespace cml::net
