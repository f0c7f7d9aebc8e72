// Letters of 5 x 7 pixels for labels inside pictures: a glyph's row is one digit of base 32, 0 to 9
// and A to V, whose highest bit is the leftmost pixel.
#pragma once
#include <cstdint>

namespace bbam {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 7;

// Of the characters 32 (space) to 126 (~).
inline constexpr const char* kGlyphs[95] = {
    "0000000", "4444404", "AAA0000", "AAVAVAA", "4FKE5U4", "OP248J3", "CIK8LID", "4480000",
    "2488842", "8422248", "04LEL40", "044V440", "0000C48", "000E000", "00000CC", "01248G0",
    "EHJLPHE", "4C4444E", "EH1248V", "V2421HE", "26AIV22", "VGU11HE", "68GUHHE", "V124888",
    "EHHEHHE", "EHHF12C", "0CC0CC0", "0CC0C48", "248G842", "00V0V00", "8421248", "EH12404",
    "EH1DLLE", "EHHVHHH", "UHHUHHU", "EHGGGHE", "SIHHHIS", "VGGUGGV", "VGGUGGG", "EHGNHHF",
    "HHHVHHH", "E44444E", "72222IC", "HIKOKIH", "GGGGGGV", "HRLLHHH", "HHPLJHH", "EHHHHHE",
    "UHHUGGG", "EHHHLID", "UHHUKIH", "FGGE11U", "V444444", "HHHHHHE", "HHHHHA4", "HHHLLLA",
    "HHA4AHH", "HHHA444", "V1248GV", "E88888E", "0G84210", "E22222E", "4AH0000", "000000V",
    "8420000", "00E1FHF", "GGMPHHU", "00EGGHE", "11DJHHF", "00EHVGE", "698S888", "0FHHF1E",
    "GGMPHHH", "40C444E", "20622IC", "GGIKOKI", "C44444E", "00QLLHH", "00MPHHH", "00EHHHE",
    "00UHUGG", "00DJF11", "00MPGGG", "00EGE1U", "88S8896", "00HHHJD", "00HHHA4", "00HHLLA",
    "00HA4AH", "00HHF1E", "00V248V", "2448442", "4444444", "8442448", "008L200"};

inline bool glyph_pixel(char c, int x, int y) {
  const auto code = uint8_t(c);
  const char digit = kGlyphs[(code < 32 || code > 126 ? '?' : code) - 32][y];
  const int row = digit <= '9' ? digit - '0' : digit - 'A' + 10;
  return (row >> (kGlyphWidth - 1 - x) & 1) != 0;
}

}  // namespace bbam
