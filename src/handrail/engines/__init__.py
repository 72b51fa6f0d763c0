"""The databases: one package per engine, all with the same file names."""
