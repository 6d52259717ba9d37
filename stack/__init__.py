"""Sovereign Stack: build, prove and hand out a site's own AI-HPC software from one description."""

__version__ = "0.1.0"
