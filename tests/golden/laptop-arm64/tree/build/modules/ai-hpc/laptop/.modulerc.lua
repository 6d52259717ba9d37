-- The cell that was built last is the default.
module_version("ai-hpc/laptop/debian13-aarch64", "default")
