// The same kind of change as a pattern: a product with a transposed weight and a bias is one linear operator.
export const fuseLinear = {
  name: 'fuse-linear',
  level: 'torch',
  summary: 'x.mm(w.t()) + b is linear(x, w, b).',
  pattern: `
    graph(%x, %w, %b):
      %one : int = prim::Constant[value=1]()
      %t = aten::t(%w)
      %p = aten::mm(%x, %t)
      %r = aten::add(%p, %b, %one)
      return (%r)`,
  replacement: `
    graph(%x, %w, %b):
      %r = aten::linear(%x, %w, %b)
      return (%r)`,
} as const;
