// Builds the tables of a permutohedral lattice; the part of PermutohedralLattice that runs once.
#pragma once
#include "tensor/tensor.h"

namespace bbam {

// D features, N points, M vertices. Vertex M touches no point and has no neighbours: it stands for
// every lattice position that no point touches, so kernels need no special case.
struct LatticeTables {
  int64_t vertices = 0;  // M
  // (D+1, N): the vertex at each corner of a point's simplex, and its barycentric weight.
  Tensor corner_vertex, corner_weight;
  // The same, by vertex: entries splat_begin[v] to splat_begin[v + 1] are the points that touch v,
  // ascending, with their weights. (M+2), ((D+1) N), ((D+1) N).
  Tensor splat_begin, splat_point, splat_weight;
  // (D+1, M+1, 2): the next and the previous vertex along each lattice direction, or M.
  Tensor neighbours;
};

// features: (N, D) f32, D = 2 or 5. See PermutohedralLattice for the errors.
LatticeTables build_lattice(const Tensor& features);

}  // namespace bbam
