#!/bin/sh
export CMAKE_PREFIX_PATH='/opt/sovstack/ai-hpc/view'
export CPATH='/opt/sovstack/ai-hpc/view/include'
export LC_ALL='C.UTF-8'
export LD_LIBRARY_PATH='/opt/sovstack/ai-hpc/view/lib:/opt/sovstack/ai-hpc/view/lib64'
export LIBRARY_PATH='/opt/sovstack/ai-hpc/view/lib:/opt/sovstack/ai-hpc/view/lib64'
export PATH='/opt/sovstack/ai-hpc/view/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
export PKG_CONFIG_PATH='/opt/sovstack/ai-hpc/view/lib/pkgconfig:/opt/sovstack/ai-hpc/view/lib64/pkgconfig:/opt/sovstack/ai-hpc/view/share/pkgconfig'
export PYTHONPATH='/opt/sovstack/ai-hpc/view/lib/python3.13/site-packages'
