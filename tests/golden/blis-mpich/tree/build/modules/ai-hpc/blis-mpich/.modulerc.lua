-- The cell that was built last is the default.
module_version("ai-hpc/blis-mpich/debian13-x86_64_v4", "default")
