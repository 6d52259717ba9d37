-- The cell that was built last is the default.
module_version("ai-hpc/amd-mi300x/debian13-zen4-gfx942", "default")
