-- The module of ai-hpc/laptop/debian13-riscv64, written by sovstack. The image is found by the place of this file.
local root = myFileName():match("^(.*)/modules/[^/]+/[^/]+/[^/]+$")
local cell = pathJoin(root, "ai-hpc/laptop/debian13-riscv64")

whatis("Name: " .. "ai-hpc")
whatis("Version: " .. "laptop/debian13-riscv64")
whatis("Description: " .. "PyTorch with NumPy, MPI and BLAS, and the compilers to build against them")
whatis("Lock: " .. "97af29926f01c643af041e2235b45b548358dd18926326e999e9e665e46184c3")
help("PyTorch with NumPy, MPI and BLAS, and the compilers to build against them",
     "\nRuns in an Apptainer image; the commands on PATH pass through to it.",
     "\n  " .. "gcc 14.2.0: GNU compilers for C, C++ and Fortran",
     "\n  " .. "mpi4py 4.0.3: MPI for Python",
     "\n  " .. "numpy 2.2.4: Arrays and linear algebra in Python",
     "\n  " .. "openblas 0.3.29: OpenBLAS, dense linear algebra",
     "\n  " .. "openmpi 5.0.7: Open MPI, message passing",
     "\n  " .. "python 3.13.5: The Python interpreter",
     "\n  " .. "pytorch 2.6.0: Tensors, automatic differentiation and neural networks",
     "\nFolders to see inside, besides the home and the current one: SOVSTACK_BIND=/data,/scratch")

family("sovstack")
prepend_path("PATH", pathJoin(cell, "bin"))
setenv("SOVSTACK_CELL", "ai-hpc/laptop/debian13-riscv64")
setenv("SOVSTACK_IMAGE", pathJoin(cell, "ai-hpc.sif"))
