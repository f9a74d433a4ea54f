// Errors in arguments. The functions are not inlined, since there are many messages.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

namespace carrousel {

void append(std::string& text, const char* part);
void append(std::string& text, const std::string& part);
void append(std::string& text, std::int64_t number);
void append(std::string& text, double number);
template <std::integral Number>
  requires(!std::same_as<Number, std::int64_t>)
void append(std::string& text, Number number) {
  append(text, static_cast<std::int64_t>(number));
}

[[noreturn]] void refuse_text(const std::string& text);

// Throws std::invalid_argument. Its message consists of the parts: texts and numbers.
template <class... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void refuse(Parts... parts) {
  std::string text;
  (append(text, parts), ...);
  refuse_text(text);
}

}  // namespace carrousel
