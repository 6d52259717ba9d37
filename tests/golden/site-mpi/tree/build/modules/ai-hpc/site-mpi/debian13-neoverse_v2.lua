-- The module of ai-hpc/site-mpi/debian13-neoverse_v2, written by sovstack. The image is found by the place of this file.
local root = myFileName():match("^(.*)/modules/[^/]+/[^/]+/[^/]+$")
local cell = pathJoin(root, "ai-hpc/site-mpi/debian13-neoverse_v2")

whatis("Name: " .. "ai-hpc")
whatis("Version: " .. "site-mpi/debian13-neoverse_v2")
whatis("Description: " .. "PyTorch with NumPy, MPI and BLAS, and the compilers to build against them")
whatis("Lock: " .. "4a583eca168cdd66d981bdf34acafa93cbdd03946eccf16d126478e01633357e")
help("PyTorch with NumPy, MPI and BLAS, and the compilers to build against them",
     "\nRuns in an Apptainer image; the commands on PATH pass through to it.",
     "\n  " .. "gcc 14.2.0: GNU compilers for C, C++ and Fortran",
     "\n  " .. "mpi4py 4.1.0: MPI for Python",
     "\n  " .. "mpich 8.1.29: MPICH, message passing",
     "\n  " .. "numpy 2.2.4: Arrays and linear algebra in Python",
     "\n  " .. "openblas 0.3.29: OpenBLAS, dense linear algebra",
     "\n  " .. "python 3.13.5: The Python interpreter",
     "\n  " .. "pytorch 4.1.0: Tensors, automatic differentiation and neural networks",
     "\nFolders to see inside, besides the home and the current one: SOVSTACK_BIND=/data,/scratch")

family("sovstack")
prepend_path("PATH", pathJoin(cell, "bin"))
setenv("SOVSTACK_CELL", "ai-hpc/site-mpi/debian13-neoverse_v2")
setenv("SOVSTACK_IMAGE", pathJoin(cell, "ai-hpc.sif"))
