// The notations inside a pickle: protocol 0 writes numbers and strings as Python source, and
// Python 3 hides bytes in text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace bbam {

// Each throws Error beginning with `what`.
int64_t parse_decimal(std::string_view text, const std::string& what);
double parse_real(std::string_view text, const std::string& what);
// 'it\'s\x00' with its quotes (repr of a Python 2 str) to the bytes it stands for.
std::string unquote(std::string_view text, const std::string& what);
// raw-unicode-escape (Latin-1, and \u with four hexadecimal digits) to UTF-8.
std::string utf8_from_raw_unicode(std::string_view text, const std::string& what);
// UTF-8 of characters below 256 to one byte for each.
std::string latin1_from_utf8(std::string_view text, const std::string& what);

}  // namespace bbam
