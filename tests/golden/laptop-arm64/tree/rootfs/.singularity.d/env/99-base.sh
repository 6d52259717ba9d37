#!/bin/sh
# The last of these files. Right after it Apptainer sets what --env and APPTAINERENV_... ask for.
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/.singularity.d/libs"
PS1="${PS1:-Apptainer> }"
export LD_LIBRARY_PATH PS1
