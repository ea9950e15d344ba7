"""Formulas as a mathematician has them: expression trees over elements of tensors.

`tree` is the data, `read` makes trees of nodes, `simplify` does the algebra, `matrix` finds the
matrix form of an element's formula, `layout` writes trees in the styles `plain` (Unicode),
`latex` and `mathml`.
"""
