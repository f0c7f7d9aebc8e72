// bbam convert: weights between formats, and what is in them.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/detector_file.h"
#include "cli/weights.h"
#include "layers/checkpoint.h"
#include "tensor/check.h"

namespace bbam {
namespace {

struct ConvertOptions {
  std::string in, out, layout = "as-is", prefix;
  bool list = false;
};

std::string shape_text(const Shape& shape) {
  std::string text;
  for (int i = 0; i < shape.rank(); ++i) text += (i > 0 ? " x " : "") + std::to_string(shape[i]);
  return text.empty() ? "one number" : text;
}

void list_tensors(const std::string& path, std::ostream& out) {
  const WeightsFile file = read_weights_file(path);
  size_t name_width = 6;
  for (const auto& [name, tensor] : file.tensors) name_width = std::max(name_width, name.size());
  out << fmt::format("{:<{}}  {:<5}  {}\n", "tensor", name_width, "type", "shape");
  int64_t numbers = 0;
  for (const auto& [name, tensor] : file.tensors) {
    out << fmt::format("{:<{}}  {:<5}  {}\n", name, name_width, to_string(tensor.dtype()),
                       shape_text(tensor.shape()));
    numbers += tensor.size();
  }
  out << fmt::format("{} tensors, {} numbers, {}\n", file.tensors.size(), numbers, file.format);
  for (const auto& [key, value] : file.metadata)
    out << fmt::format("metadata {}: {}\n", key, value);
  for (const std::string& line : file.ignored) out << "not a tensor: " << line << '\n';
}

void change_layout(const ConvertOptions& options, TensorMap& tensors,
                   std::map<std::string, std::string>& metadata) {
  if (options.layout == "to-ohwi") {
    check(metadata.count(kLayoutKey) == 0 || metadata.at(kLayoutKey) != kLayoutOhwi, options.in,
          ": its convolutions are (out, height, width, in) already");
    convolutions_to(ConvolutionLayout::kOhwi, tensors);
    metadata[kLayoutKey] = kLayoutOhwi;
  } else if (options.layout == "to-oihw") {
    convolutions_to(ConvolutionLayout::kOihw, tensors);
    metadata.erase(kLayoutKey);
  }
}

void convert(const ConvertOptions& options, Session& session) {
  if (options.list) list_tensors(options.in, session.out);
  if (options.out.empty()) {
    check(options.list, "convert: there is nothing to do; expected a file to write, or --list");
    return;
  }
  check(options.out.ends_with(".safetensors"), options.out,
        ": only safetensors can be written; the name must end with .safetensors");
  check(std::filesystem::weakly_canonical(options.out) !=
            std::filesystem::weakly_canonical(options.in),
        options.out, ": is the file to convert; expected another name");
  std::string format;
  TensorMap tensors = read_weights(options.in, &format);
  std::map<std::string, std::string> metadata;
  if (format == "safetensors") metadata = read_safetensors(options.in).metadata;
  metadata.emplace("source", format);
  if (!options.prefix.empty()) {
    tensors = below(tensors, options.prefix);
    check(!tensors.empty(), options.in, ": no tensor's name begins with '", options.prefix, "'");
    metadata.erase(kCardKey);  // it describes the whole
  }
  change_layout(options, tensors, metadata);
  write_safetensors(options.out, tensors, metadata);
  session.out << options.out << ": " << tensors.size() << " tensors\n";
}

}  // namespace

void add_convert(Program& program) {
  auto options = std::make_shared<ConvertOptions>();
  Command command = program.add("convert", "Weights between formats; lists tensors with --list");
  command.option("IN", options->in, "PyTorch .pth, Detectron .pkl or safetensors").required();
  command.option("OUT", options->out, "the .safetensors file to write");
  command.flag("--list", options->list, "print each tensor's name, type and shape");
  command
      .option("--layout", options->layout,
              "of convolution weights: PyTorch has (out, in, height, width), this program "
              "(out, height, width, in)")
      .one_of({"as-is", "to-ohwi", "to-oihw"});
  command.option("--prefix", options->prefix, "only tensors whose name begins so, without it");
  command.action([options](Session& session) { convert(*options, session); });
}

}  // namespace bbam
