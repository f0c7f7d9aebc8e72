// The pictures that a command works through, given by name or as a data set, and what it draws of
// them.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "datasets/dataset.h"

namespace bbam {

std::string stem_of(const std::string& path);
// OUT/STEM.jpg
std::string drawn_path(const std::string& out, const std::string& photograph);

// The paths, of folders their pictures.
std::vector<std::string> with_folders_opened(const std::vector<std::string>& paths);

// Throws Error where a drawn picture would meet a photograph or another drawn picture, and for
// names that results cannot have.
void check_drawn(const std::vector<std::string>& photographs, const std::string& out);

// Reads each photograph and hands it to `find`, then to `keep`. One for which reading or `find`
// throws Error is told, passed over and counted; Error when none is left. What `keep` throws ends
// it: files that cannot be written are no fault of a photograph.
using WithPhotograph = std::function<void(const std::string& path, Image& picture)>;
void for_each_photograph(const std::vector<std::string>& paths, Session& session,
                         const WithPhotograph& find, const WithPhotograph& keep);

// The same of a data set, under a progress line of this name; what is wrong is added to `problems`.
using WithPicture = std::function<void(const Record& record, const Image& picture)>;
void for_each_picture(const Dataset& dataset, const std::string& name, Session& session,
                      std::vector<std::string>& problems, const WithPicture& find,
                      const WithPicture& keep = {});
// Warns of them; Error when no picture of the data set is left.
void tell_problems(const std::vector<std::string>& problems, const Dataset& dataset,
                   const std::string& data, Session& session);

}  // namespace bbam
