#include "net/event_loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

#include "base/random.h"
#include "net/connection.h"

namespace cml::net {

using std::chrono::steady_clock;

namespace {
// A new connection gets this long to say something before another may take its place.
constexpr std::chrono::milliseconds kLeastIdle{1'000};
}  // namespace

void ServerShared::ConnectionClosed() {
  if (open.fetch_sub(1) == 1) {
    const std::lock_guard lock(mutex);
    all_closed.notify_all();
  }
}

EventLoop::EventLoop(ServerShared& s) : server(s), id_prefix_(RandomToken(6)) {
  const auto& o = server.options;
  const auto shortest = std::min({o.head_time, o.body_progress_time, o.idle_time, o.write_time});
  grain_ = std::clamp<steady_clock::duration>(shortest / 4, std::chrono::milliseconds(2),
                                              std::chrono::seconds(1));
}

EventLoop::~EventLoop() { Stop(); }

void EventLoop::Run() {
  thread_ = std::jthread([this] { io.run(); });
}

void EventLoop::Stop() {
  if (!thread_.joinable()) return;
  asio::post(io, [this] {
    ticker_.cancel();
    work_.reset();
  });
  thread_.join();
}

void EventLoop::Add(Connection& c) {
  c.index = connections_.size();
  connections_.push_back(&c);
}

void EventLoop::Remove(Connection& c) {
  connections_[c.index] = connections_.back();
  connections_[c.index]->index = c.index;
  connections_.pop_back();
}

void EventLoop::Arm(TimePoint t) {
  armed_ = t;
  ticker_.expires_at(t);
  ticker_.async_wait([this](ErrorCode ec) {
    if (!ec) Tick();
  });
}

void EventLoop::Tick() {
  const TimePoint now = steady_clock::now();
  TimePoint next = TimePoint::max();
  for (Connection* c : connections_) {
    if (c->deadline() <= now) {
      c->Expire();
    } else {
      next = std::min(next, c->deadline());
    }
  }
  armed_ = TimePoint::max();
  if (next != TimePoint::max()) Arm(std::max(next, now + grain_));
}

void EventLoop::CloseIdle() {
  for (Connection* c : connections_) c->CloseIfIdle();
}

bool EventLoop::CloseLongestIdle() {
  const auto longest = std::min_element(
      connections_.begin(), connections_.end(), [](const Connection* a, const Connection* b) {
        return a->idle() != b->idle() ? a->idle() : a->waits_since() < b->waits_since();
      });
  if (longest == connections_.end() || !(*longest)->idle()) return false;
  if (steady_clock::now() - (*longest)->waits_since() < kLeastIdle) return false;
  (*longest)->Cut();
  return true;
}

void EventLoop::CutAll() {
  for (Connection* c : connections_) c->Cut();
}

std::string EventLoop::NewRequestId() {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), ++next_id_, 36).ptr;
  std::string id = id_prefix_;
  id.append(digits.data(), end);
  return id;
}

void EventLoop::CountAnswer(int status) {
  if (status < 100 || status > 599) return;
  auto& n = answers[static_cast<std::size_t>(status - 100)];
  n.store(n.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);  // one writer
}

}  // namespace cml::net
