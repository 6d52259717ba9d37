"""Fill the indexes of the package repositories in this process's own cache, so that later solves find them made."""

from __future__ import annotations

import spack.repo

made = (spack.repo.PATH.provider_index, spack.repo.PATH.tag_index, spack.repo.PATH.get_patch_index())
