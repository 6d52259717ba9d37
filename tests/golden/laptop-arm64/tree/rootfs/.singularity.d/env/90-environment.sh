#!/bin/sh
export LC_ALL='C.UTF-8'
