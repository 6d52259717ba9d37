-- The cell that was built last is the default.
module_version("ai-hpc/amd-mi300x", "default")
