// base/secret.h — text that must never reach a log, an answer or a core dump of ours by accident.
//
// Has no stream operator and no conversion: whoever needs the text writes Reveal(), which a
// reviewer can search for. The bytes are overwritten when the value dies.
#pragma once
#include <string>
#include <string_view>
#include <utility>

namespace cml {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&&) = default;
  Secret& operator=(Secret&&) = default;
  ~Secret() { Wipe(); }

  std::string_view Reveal() const noexcept { return text_; }
  bool empty() const noexcept { return text_.empty(); }

 private:
  void Wipe() noexcept {
    volatile char* p = text_.data();
    for (std::size_t i = 0; i < text_.size(); ++i) p[i] = 0;
  }
  std::string text_;
};

}  // namespace cml
