// Pieces of a web page that needs nothing but itself.
#pragma once
#include <string>
#include <string_view>

#include "datasets/image.h"

namespace bbam {

// & < > " ' become entities.
std::string html_escape(std::string_view text);
std::string base64(std::string_view bytes);
// "data:image/jpeg;base64,..."
std::string data_uri(const Image& image, int jpeg_quality = 88);

}  // namespace bbam
