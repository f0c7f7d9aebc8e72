#include "layers/pickle_text.h"

#include <charconv>

#include "tensor/check.h"

namespace bbam {

namespace {

template <class T, class... Base>
T parse_number(std::string_view text, const std::string& what, Base... base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  check(error == std::errc() && end == text.data() + text.size(), what, ": '", text.substr(0, 40),
        "' is not a number in range");
  return value;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += char(code);
  } else if (code < 0x800) {
    out += char(0xc0 | (code >> 6));
    out += char(0x80 | (code & 0x3f));
  } else {
    out += char(0xe0 | (code >> 12));
    out += char(0x80 | ((code >> 6) & 0x3f));
    out += char(0x80 | (code & 0x3f));
  }
}

}  // namespace

int64_t parse_decimal(std::string_view text, const std::string& what) {
  return parse_number<int64_t>(text, what, 10);
}

double parse_real(std::string_view text, const std::string& what) {
  return parse_number<double>(text, what);
}

std::string unquote(std::string_view text, const std::string& what) {
  check(text.size() >= 2 && text.front() == text.back() && (text[0] == '\'' || text[0] == '"'),
        what, ": a string without its quotes");
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    check(++i < text.size(), what, ": a string that ends within an escape");
    switch (text[i]) {
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case '\\':
      case '\'':
      case '"': out += text[i]; break;
      case 'x':
        check(text.size() - i > 2, what, ": a string that ends within an escape");
        out += char(parse_number<uint8_t>(text.substr(i + 1, 2), what, 16));
        i += 2;
        break;
      default: fail(what, ": a string with the escape \\", text[i], ", which is not known");
    }
  }
  return out;
}

std::string utf8_from_raw_unicode(std::string_view text, const std::string& what) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\\u") {
      check(text.size() - i >= 6, what, ": a string that ends within an escape");
      append_utf8(out, parse_number<uint16_t>(text.substr(i + 2, 4), what, 16));
      i += 5;
    } else {
      append_utf8(out, uint8_t(text[i]));
    }
  }
  return out;
}

std::string latin1_from_utf8(std::string_view text, const std::string& what) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = uint8_t(text[i]);
    if (byte < 0x80) {
      out += char(byte);
      continue;
    }
    const bool two_bytes = (byte == 0xc2 || byte == 0xc3) && i + 1 < text.size() &&
                           (uint8_t(text[i + 1]) & 0xc0) == 0x80;
    check(two_bytes, what, ": bytes written as text hold a character above 255");
    out += char(((byte & 3) << 6) | (uint8_t(text[++i]) & 0x3f));
  }
  return out;
}

}  // namespace bbam
