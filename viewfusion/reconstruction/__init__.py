"""Views to a mesh: posed pictures of any system go in, a textured mesh comes out (NeuS, arXiv 2106.10689)."""
