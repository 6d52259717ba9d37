-- The module of ai-hpc/blis-mpich/debian13-x86_64_v4, written by sovstack. The image is found by the place of this file.
local root = myFileName():match("^(.*)/modules/[^/]+/[^/]+/[^/]+$")
local cell = pathJoin(root, "ai-hpc/blis-mpich/debian13-x86_64_v4")

whatis("Name: " .. "ai-hpc")
whatis("Version: " .. "blis-mpich/debian13-x86_64_v4")
whatis("Description: " .. "PyTorch with NumPy, MPI and BLAS, and the compilers to build against them")
whatis("Lock: " .. "b04c400c164252802c7b5b5321a23132ebeafa0fb9a360dcdfac37f2212c1bc2")
help("PyTorch with NumPy, MPI and BLAS, and the compilers to build against them",
     "\nRuns in an Apptainer image; the commands on PATH pass through to it.",
     "\n  " .. "blis 1.1: BLIS, dense linear algebra",
     "\n  " .. "gcc 14.2.0: GNU compilers for C, C++ and Fortran",
     "\n  " .. "mpi4py 4.1.0: MPI for Python",
     "\n  " .. "mpich 4.2.1: MPICH, message passing",
     "\n  " .. "numpy 2.2.4: Arrays and linear algebra in Python",
     "\n  " .. "python 3.13.5: The Python interpreter",
     "\n  " .. "pytorch 4.1.0: Tensors, automatic differentiation and neural networks",
     "\nFolders to see inside, besides the home and the current one: SOVSTACK_BIND=/data,/scratch")

family("sovstack")
prepend_path("PATH", pathJoin(cell, "bin"))
setenv("SOVSTACK_CELL", "ai-hpc/blis-mpich/debian13-x86_64_v4")
setenv("SOVSTACK_IMAGE", pathJoin(cell, "ai-hpc.sif"))
