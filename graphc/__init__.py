"""graphc: a NumPy function in; its gradient, its pictures and readable C out."""
