// JSON must be UTF-8; names and paths that users give need not be.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace bbam {

bool is_utf8(const std::string& text);

// The value as text, with `indent` blanks per level (-1: one line). Bytes that are not UTF-8 become
// U+FFFD, so that one odd name does not cost a run its record.
template <class Json>
std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bbam
