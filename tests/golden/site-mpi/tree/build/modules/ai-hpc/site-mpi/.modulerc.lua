-- The cell that was built last is the default.
module_version("ai-hpc/site-mpi/debian13-neoverse_v2", "default")
