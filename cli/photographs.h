// Photographs that a command is given by name, and what it draws of them.
#pragma once
#include <string>
#include <vector>

namespace bbam {

std::string stem_of(const std::string& path);
// OUT/STEM.jpg
std::string drawn_path(const std::string& out, const std::string& photograph);

// The paths, of folders their pictures.
std::vector<std::string> with_folders_opened(const std::vector<std::string>& paths);

// Throws Error where a drawn picture would meet a photograph or another drawn picture, and for
// names that results cannot have.
void check_drawn(const std::vector<std::string>& photographs, const std::string& out);

}  // namespace bbam
