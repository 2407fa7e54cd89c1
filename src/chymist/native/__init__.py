"""Training dense networks by a compiled kernel, where their calls are known and a compiler is."""
