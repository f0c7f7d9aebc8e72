// The sections of the report page, as HTML. One of which nothing was found has a note instead, or
// is
// "" where most runs have nothing of the kind.
#pragma once
#include <string>

#include "cli/report.h"

namespace bbam {

std::string idea_section(const ReportData& data);
std::string results_section(const ReportData& data);
std::string plots_section(const ReportData& data);
std::string pictures_section(const ReportData& data);
std::string objects_section(const ReportData& data);
std::string seen_section(const ReportData& data);
std::string training_section(const ReportData& data);
std::string seconds_section(const ReportData& data);
std::string making_section(const ReportData& data);

}  // namespace bbam
