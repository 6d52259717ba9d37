-- The cell that was built last is the default.
module_version("ai-hpc/nvidia-h100/debian13-sapphirerapids-sm90", "default")
