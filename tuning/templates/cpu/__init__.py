"""C++ templates for x86 vector units (AVX-512, AVX2) and, by compiler vectors, any other CPU."""
